//! The flags of a server as they are in force, and what set each: for the people who look at it.

use std::sync::Arc;

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};
use serde::Serialize;

/// A command line of another program, which may hold its secrets: that there is one is enough.
const UNSHOWN: [&str; 1] = ["default-limits-flags"];
const NO_SETTINGS: [&str; 2] = ["help", "version"];

/// A flag as it is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// Its name, with dashes.
    pub flag: String,
    /// `None` where it is not set and has no default.
    pub value: Option<String>,
    /// `command line`, `environment` or `default`.
    pub set_by: &'static str,
}

impl Setting {
    /// All of a command line, in the order of `--help`.
    pub(crate) fn all(command: &Command, matches: &ArgMatches) -> Arc<[Self]> {
        command.get_arguments().filter_map(|argument| Self::of(argument, matches)).collect()
    }

    fn of(argument: &Arg, matches: &ArgMatches) -> Option<Self> {
        let name = argument.get_long().filter(|name| !NO_SETTINGS.contains(name))?;
        let id = argument.get_id().as_str();
        let set_by = match matches.value_source(id) {
            Some(ValueSource::CommandLine) => "command line",
            Some(ValueSource::EnvVariable) => "environment",
            _ => "default",
        };
        let values = matches.try_get_raw(id).ok().flatten();
        let value = values.map(|values| values.map(|value| value.to_string_lossy()).collect::<Vec<_>>().join(","));
        let value = if UNSHOWN.contains(&name) { value.map(|_| "(set, not shown)".to_owned()) } else { value };
        Some(Self { flag: format!("--{name}"), value, set_by })
    }
}

#[cfg(test)]
mod tests {
    use clap::{ArgAction, Command};

    use super::*;

    #[test]
    fn each_flag_has_its_value_and_what_set_it() {
        let mut command = Command::new("server").version("1").args([
            Arg::new("limits").long("limits"),
            Arg::new("port").long("port").default_value("9090"),
            Arg::new("quiet").long("quiet").action(ArgAction::SetTrue),
            Arg::new("default_limits_flags").long("default-limits-flags"),
            Arg::new("edge_config").long("edge-config"),
        ]);
        let line = ["server", "--limits=file:a.yaml", "--default-limits-flags=--secret=1"];
        let matches = command.try_get_matches_from_mut(line).unwrap();
        let settings = Setting::all(&command, &matches);
        let shown: Vec<_> = settings.iter().map(|it| (&*it.flag, it.value.as_deref(), it.set_by)).collect();
        assert_eq!(
            shown,
            [
                ("--limits", Some("file:a.yaml"), "command line"),
                ("--port", Some("9090"), "default"),
                ("--quiet", Some("false"), "default"),
                ("--default-limits-flags", Some("(set, not shown)"), "command line"),
                ("--edge-config", None, "default"),
            ]
        );
    }
}
