//! Accepts the single-dash spelling of long flags (`-url X`, `-url=X`), as Go programs and Mimir's own tools do.
//!
//! Only an argument that is exactly a known long flag is respelled: `-h`, `-` (standard input), negative numbers and unknown
//! arguments reach clap as they are, and nothing after `--` is touched.

use std::collections::BTreeSet;
use std::ffi::OsString;

use clap::Command;

/// Respells `-name` and `-name=value` as `--name` and `--name=value` for every long flag of `command` and its subcommands.
pub(crate) fn normalise(command: &Command, argv: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let known = long_names(command);
    let mut literal = false;
    let respell = |argument: OsString| {
        literal = literal || argument == "--";
        if literal { argument } else { with_two_dashes(&known, argument) }
    };
    argv.into_iter().map(respell).collect()
}

fn with_two_dashes(known: &BTreeSet<String>, argument: OsString) -> OsString {
    let Some(name) = argument.to_str().and_then(|text| text.strip_prefix('-')).and_then(|rest| rest.split('=').next())
    else {
        return argument;
    };
    if !known.contains(name) {
        return argument;
    }
    let mut respelled = OsString::from("-");
    respelled.push(argument);
    respelled
}

fn long_names(command: &Command) -> BTreeSet<String> {
    let own = command.get_arguments().filter_map(|argument| argument.get_long()).map(str::to_owned);
    let below = command.get_subcommands().flat_map(long_names);
    own.chain(below).chain(["help".to_owned()]).collect()
}

#[cfg(test)]
mod tests {
    use clap::{Arg, Command};

    use super::normalise;

    #[track_caller]
    fn check(given: &[&str], expected: &[&str]) {
        let load = Command::new("load").arg(Arg::new("url").long("url")).arg(Arg::new("d").long("duration").short('d'));
        let command = Command::new("edgectl").subcommand(load);
        let arguments = normalise(&command, given.iter().map(Into::into));
        assert_eq!(arguments, expected.iter().map(std::ffi::OsString::from).collect::<Vec<_>>(), "{given:?}");
    }

    #[test]
    fn respells_known_long_flags() {
        check(&["edgectl", "load", "-url", "http://x"], &["edgectl", "load", "--url", "http://x"]);
        check(&["edgectl", "load", "-url=http://x?a=-url"], &["edgectl", "load", "--url=http://x?a=-url"]);
        check(&["edgectl", "load", "-duration=30s", "--url=x"], &["edgectl", "load", "--duration=30s", "--url=x"]);
        check(&["edgectl", "load", "-help"], &["edgectl", "load", "--help"]);
    }

    #[test]
    fn leaves_everything_else_alone() {
        check(
            &["edgectl", "-h", "-", "-5", "-urls", "-ur", "-d", "url"],
            &["edgectl", "-h", "-", "-5", "-urls", "-ur", "-d", "url"],
        );
        check(&["edgectl", "---url", "-=url", ""], &["edgectl", "---url", "-=url", ""]);
        check(&["edgectl", "-url", "--", "-url"], &["edgectl", "--url", "--", "-url"]);
    }
}
