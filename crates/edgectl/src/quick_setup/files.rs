//! The files: what is there, what is to be there, and the writing.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::running::Running;
use super::{OWN_URL, Setup};
use crate::args::Platform;
use crate::edge_api::EdgeError;

pub(super) const LIMITS: &str = "ops/compose/limits/limits.yaml";
pub(super) const EDGE: &str = "ops/compose/limits/edge.yaml";

/// The files of a checkout.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    /// `.env`, or else the example.
    env: String,
    limits: String,
    edge: String,
    /// The names and the texts of what is to be there.
    wanted: Vec<(&'static str, String)>,
}

impl Files {
    /// # Errors
    /// It is no checkout.
    pub(super) fn read(folder: &Path) -> Result<Self, EdgeError> {
        let read = |name: &str| {
            fs::read_to_string(folder.join(name)).map_err(|error| {
                let path = folder.join(name);
                EdgeError::Unusable(format!(
                    "{}: {error}; run it in a checkout of the repository, or name one with --dir",
                    path.display()
                ))
            })
        };
        read("compose.yaml")?;
        let env = match fs::read_to_string(folder.join(".env")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => read(".env.example")?,
            Err(error) => return Err(EdgeError::Unusable(format!("{}: {error}", folder.join(".env").display()))),
            Ok(text) => text,
        };
        Ok(Self { env, limits: read(LIMITS)?, edge: read(EDGE)?, folder: folder.to_owned(), wanted: Vec::new() })
    }

    /// Makes the texts.
    ///
    /// # Errors
    /// A file has no line for what is to be set.
    pub(super) fn prepare(&mut self, setup: &Setup, running: Option<&Running>) -> anyhow::Result<()> {
        let mode = format!("mode: {}", setup.mode.as_str());
        let edge = with_line(&self.edge, "mode: ", &mode);
        let limits = running.and_then(|running| running.overrides.text()).map(|overrides| {
            format!("# The overrides of both Mimir and mimir-rls, as Mimir had them when edgectl quick-setup wrote this file.\n{overrides}")
        });
        self.wanted = match setup.platform {
            Platform::Compose => vec![(".env", env(&self.env, setup))],
            Platform::Railway => {
                vec![("mimir-envoy.env", railway_envoy(setup)), ("mimir-rls.env", RAILWAY_RLS.to_owned())]
            }
        };
        self.wanted.push((EDGE, edge));
        self.wanted.push((LIMITS, limits.unwrap_or_else(|| self.limits.clone())));
        Ok(())
    }

    /// The files that are there and would change.
    ///
    /// # Errors
    /// A file is there, but cannot be read.
    pub(super) fn overwritten(&self) -> Result<Vec<PathBuf>, EdgeError> {
        let mut paths = Vec::new();
        for (name, text) in &self.wanted {
            let path = self.folder.join(name);
            if there(&path)?.is_some_and(|there| there != text.as_bytes()) {
                paths.push(path);
            }
        }
        Ok(paths)
    }

    /// Writes what is not there yet, and says what it did.
    ///
    /// # Errors
    /// A file cannot be written.
    pub(super) fn write(&self) -> anyhow::Result<String> {
        let mut said = String::new();
        for (name, text) in &self.wanted {
            let path = self.folder.join(name);
            let there = there(&path)?;
            if there.as_deref() == Some(text.as_bytes()) {
                said += &format!("unchanged  {name}\n");
                continue;
            }
            let mut kept = String::new();
            if there.is_some() {
                let copy = self.keep(name).with_context(|| format!("keep {name}"))?;
                kept = format!(", the one of before is {copy}");
            }
            fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
            said += &format!("written    {name}{kept}\n");
        }
        Ok(said)
    }

    /// Copies a file to the first name that is free: `.before`, `.before.2` and so on. The name.
    fn keep(&self, name: &str) -> io::Result<String> {
        for number in 1_u32.. {
            let copy = if number == 1 { format!("{name}.before") } else { format!("{name}.before.{number}") };
            match File::create_new(self.folder.join(&copy)) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
                // It gets the permissions of the file before its text.
                Ok(_) => return fs::copy(self.folder.join(name), self.folder.join(&copy)).map(|_| copy),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }
}

/// What a file has; `None` if there is none.
fn there(path: &Path) -> Result<Option<Vec<u8>>, EdgeError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(EdgeError::Unusable(format!("{}: {error}", path.display()))),
    }
}

/// The text with this line in place of those that begin so, or at its end.
fn with_line(text: &str, begin: &str, line: &str) -> String {
    let mut found = false;
    let mut lines: Vec<&str> = Vec::new();
    for old in text.lines() {
        match old.starts_with(begin) {
            true if !std::mem::replace(&mut found, true) => lines.push(line),
            true => {}
            false => lines.push(old),
        }
    }
    if !found {
        lines.push(line);
    }
    lines.join("\n") + "\n"
}

fn env(text: &str, setup: &Setup) -> String {
    let values = [
        ("MIMIR_URL", setup.mimir.as_deref().unwrap_or(OWN_URL)),
        ("OWN_MIMIR", if setup.mimir.is_none() { "1" } else { "0" }),
        ("MIMIR_QUERY_URL", setup.query_url.as_str()),
    ];
    values
        .iter()
        .fold(text.to_owned(), |text, (name, value)| with_line(&text, &format!("{name}="), &format!("{name}={value}")))
}

/// The variables of docs/compose.md for mimir-envoy.
fn railway_envoy(setup: &Setup) -> String {
    format!(
        "IMAGE=mimir-envoy\nRLS=mimir-rls.railway.internal:8081\nMIMIR_URL={}\nLISTEN_ADDRESS=::\nEDGE_PORT=8080\n",
        setup.mimir.as_deref().unwrap_or_default()
    )
}

/// Those for mimir-rls.
const RAILWAY_RLS: &str = "IMAGE=mimir-rls-bundled\nMIMIR_RLS_GRPC_LISTEN=[::]:8081\nMIMIR_RLS_HTTP_LISTEN=[::]:9090\n";

#[cfg(test)]
mod tests {
    use super::with_line;

    #[test]
    fn a_line_is_replaced_once_or_added() {
        assert_eq!(with_line("# a\nX=1\nY=2\nX=3\n", "X=", "X=9"), "# a\nX=9\nY=2\n");
        assert_eq!(with_line("# X=1\n", "X=", "X=9"), "# X=1\nX=9\n");
        assert_eq!(with_line("", "X=", "X=9"), "X=9\n");
    }
}
