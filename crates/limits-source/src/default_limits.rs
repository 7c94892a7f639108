//! The limits of tenants without an override, as in Mimir: from its configuration file, from its flags, or from a running Mimir.
//!
//! As in Mimir, flags override the file.

use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use limits::{Code, Defaults, MimirVersion, Problem, Severity, SourceDocument, TenantLimits};
use thiserror::Error;

use crate::url::{MimirUrl, UrlError};
use crate::watched::{MAX_FILE_BYTES, read_file};
use crate::web::{PageError, fetch_page};

mod expand;
mod flags;
mod query_store_after;

use flags::LimitFlags;

/// The flag that names the file.
const FILE: &str = "--default-limits";
/// The flag with Mimir's flags, and the document of their problems.
const FLAGS: &str = "--default-limits-flags";
/// Mimir's page with its configuration (Mimir `pkg/api/api.go`).
const CONFIG_PAGE: &str = "/config";

/// The flags for default limits. Without any of them, the default limits are Mimir's built-in ones.
#[derive(clap::Args, Debug, Clone, Default, PartialEq, Eq)]
pub struct DefaultLimitsOptions {
    /// The limits of tenants without an override, over which overrides are checked: a file with a `limits:` block, or a whole Mimir config file
    /// [default: Mimir's built-in limits]
    #[arg(long = "default-limits", value_name = "FILE")]
    pub file: Option<PathBuf>,

    /// Replace $NAME, ${NAME} and ${NAME:default} in the file of --default-limits by environment variables, as a Mimir with
    /// -config.expand-env=true does; give this program the variables that Mimir has. Off by default as in Mimir, since it would empty the $1 of
    /// relabelling rules
    #[arg(long = "default-limits-expand-env")]
    pub expand_env: bool,

    /// Mimir's command line, if it sets limits by flags such as "-distributor.ingestion-rate-limit=500000"; they override the file, as in Mimir,
    /// and other flags are ignored. @FILE: arguments in a file, one or more per line [default: none]
    #[arg(long = "default-limits-flags", value_name = "FLAGS", allow_hyphen_values = true)]
    pub flags: Option<String>,

    /// A running Mimir whose configuration is read instead of file and flags, such as http://MIMIR:8080; without a path, /config. Servers request it
    /// at the start, and retry for up to 30 seconds [default: none]
    #[arg(long = "default-limits-url", value_name = "URL")]
    pub url: Option<String>,
}

/// The default limits, and their problems.
#[derive(Debug, Clone, Default)]
pub struct DefaultLimits {
    /// The limits of a tenant without an override, over which documents are checked.
    pub defaults: Defaults,
    /// What was ignored.
    pub problems: Vec<Problem>,
}

/// Default limits, or the Mimir that serves them.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "a program has one of them")]
pub enum DefaultLimitsSource {
    /// From file and flags.
    Known(DefaultLimits),
    /// From the Mimir at this URL.
    Mimir(MimirUrl),
}

/// Why there are no default limits.
#[derive(Debug, Error)]
pub enum DefaultLimitsError {
    /// A file cannot be read.
    #[error("{flag}: cannot read {}", path.display())]
    Unreadable {
        /// The flag that names it.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The content is rejected; each problem says where and why.
    #[error("default limits: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Rejected(Vec<Problem>),
    /// The URL is invalid.
    #[error("--default-limits-url: {0}")]
    Url(#[from] UrlError),
    /// The request to Mimir failed.
    #[error("--default-limits-url: {0}")]
    Page(#[from] PageError),
    /// Two flags exclude each other.
    #[error("{0}")]
    Usage(&'static str),
}

impl DefaultLimitsOptions {
    /// Whether flags give the default limits.
    #[must_use]
    pub fn are_given(&self) -> bool {
        self.file.is_some() || self.flags.is_some() || self.url.is_some()
    }

    /// The files that are read, each with its flag.
    #[must_use]
    pub fn files(&self) -> Vec<(&'static str, &Path)> {
        let file = self.file.as_deref().map(|path| (FILE, path));
        let arguments = self.flags.as_deref().and_then(|text| text.strip_prefix('@'));
        file.into_iter().chain(arguments.map(|path| (FLAGS, Path::new(path)))).collect()
    }

    /// Reads file and flags. `version` determines the fields that the file may have. `read` returns the bytes of the file of
    /// `--default-limits`, and its name in problems.
    ///
    /// # Errors
    /// A file cannot be read, Mimir would reject its content, or the options exclude each other.
    pub fn read_with(
        &self,
        version: &MimirVersion,
        read: impl FnOnce(&Path) -> Result<(String, Vec<u8>), DefaultLimitsError>,
    ) -> Result<DefaultLimitsSource, DefaultLimitsError> {
        let Self { file, expand_env, flags, url } = self;
        if let Some(url) = url {
            if file.is_some() || flags.is_some() {
                let message = "--default-limits-url includes Mimir's file and flags; leave out --default-limits \
                               and --default-limits-flags";
                return Err(DefaultLimitsError::Usage(message));
            }
            return Ok(DefaultLimitsSource::Mimir(MimirUrl::parse(url, CONFIG_PAGE)?));
        }
        if *expand_env && file.is_none() {
            let message = "--default-limits-expand-env applies to the file of --default-limits, which is missing";
            return Err(DefaultLimitsError::Usage(message));
        }
        let flags = flags.as_deref().map(read_flags).transpose()?.unwrap_or_default();
        let mut known = match file {
            Some(path) => {
                let (name, bytes) = read(path)?;
                let bytes = if *expand_env { expand_environment(&name, &bytes)? } else { bytes };
                parse(&name, &bytes, Defaults::default(), version)?
            }
            None => DefaultLimits::default(),
        };
        if !flags.is_empty() {
            known.defaults = over(known.defaults, &flags)?;
        }
        Ok(DefaultLimitsSource::Known(known))
    }

    /// The same with the file on disk, of at most 16 MiB.
    ///
    /// # Errors
    /// As [`DefaultLimitsOptions::read_with`].
    pub fn read(&self, version: &MimirVersion) -> Result<DefaultLimitsSource, DefaultLimitsError> {
        self.read_with(version, |path| {
            let name = path.file_name().map_or(path, Path::new).display().to_string();
            Ok((name, read(FILE, path)?))
        })
    }
}

/// How long a server that starts waits for a Mimir: as long as one takes to start. Without its defaults, every tenant without an override would have limits
/// that the operator did not choose.
const START_PATIENCE: Duration = Duration::from_secs(30);

impl DefaultLimitsSource {
    /// The default limits for a server that starts. A request to Mimir is retried for 30 seconds, and each problem is logged.
    ///
    /// # Errors
    /// As [`DefaultLimitsSource::resolve`].
    pub async fn resolve_for_server(self) -> Result<DefaultLimits, DefaultLimitsError> {
        let defaults = self.resolve(START_PATIENCE).await?;
        for problem in &defaults.problems {
            tracing::warn!("default limits problem: {problem}");
        }
        Ok(defaults)
    }

    /// The default limits. A request to Mimir is retried for as long as `patience`.
    ///
    /// # Errors
    /// Mimir does not answer, or its response is no configuration.
    pub async fn resolve(self, patience: Duration) -> Result<DefaultLimits, DefaultLimitsError> {
        match self {
            Self::Known(known) => Ok(known),
            Self::Mimir(url) => {
                let page = fetch_page(&url, patience).await?;
                DefaultLimits::of_config_page(&url.to_string(), &page)
            }
        }
    }
}

impl DefaultLimits {
    /// The default limits on the page `/config` of a running Mimir; `name` is its name in errors.
    ///
    /// # Errors
    /// The page is no configuration.
    pub fn of_config_page(name: &str, page: &[u8]) -> Result<Self, DefaultLimitsError> {
        let known = parse(name, page, Defaults::default(), &any_version())?;
        // A field that is unknown here is no problem: this Mimir has it.
        Ok(Self { problems: Vec::new(), ..known })
    }

    /// The problem of a server without flags for the default limits.
    #[must_use]
    pub fn not_given() -> Problem {
        let TenantLimits { ingestion_rate, ingestion_burst_size, .. } = TenantLimits::default();
        let message = format!(
            "a tenant without an override has Mimir's built-in limits, such as ingestion_rate {ingestion_rate} and \
             ingestion_burst_size {ingestion_burst_size}, whatever your Mimir has; give what it has with --default-limits, \
             --default-limits-flags or --default-limits-url, or say with --default-limits-flags= that it has the built-in ones"
        );
        Problem::of_document(Code::NoDefaultLimits, "default limits", Severity::Ignored, message)
    }
}

fn read(flag: &'static str, path: &Path) -> Result<Vec<u8>, DefaultLimitsError> {
    read_file(path, MAX_FILE_BYTES).map_err(|source| DefaultLimitsError::Unreadable {
        flag,
        path: path.to_owned(),
        source,
    })
}

fn read_flags(text: &str) -> Result<LimitFlags, DefaultLimitsError> {
    let rejected = |messages: Vec<String>| {
        let problem = |message| Problem::of_document(Code::BadValue, FLAGS, Severity::Rejected, message);
        DefaultLimitsError::Rejected(messages.into_iter().map(problem).collect())
    };
    let from_file = match text.strip_prefix('@') {
        Some(path) => Some(String::from_utf8(read(FLAGS, Path::new(path))?)),
        None => None,
    };
    let text = match &from_file {
        Some(Ok(text)) => text,
        Some(Err(_)) => return Err(rejected(vec!["the file is not UTF-8: save it as UTF-8".to_owned()])),
        None => text,
    };
    LimitFlags::parse(text).map_err(rejected)
}

fn expand_environment(name: &str, bytes: &[u8]) -> Result<Vec<u8>, DefaultLimitsError> {
    let variable = |name: &[u8]| std::env::var_os(std::ffi::OsStr::from_bytes(name)).map(OsStringExt::into_vec);
    expand::expand(bytes, variable, usize::try_from(MAX_FILE_BYTES).unwrap_or(usize::MAX)).ok_or_else(|| {
        let message = format!("has more than {MAX_FILE_BYTES} bytes with its environment variables replaced");
        DefaultLimitsError::Rejected(vec![Problem::of_document(Code::TooLarge, name, Severity::Rejected, message)])
    })
}

/// A release whose fields are unknown, so that none is rejected.
fn any_version() -> MimirVersion {
    "0.0".parse().unwrap_or_default()
}

/// Parses a `limits:` block or a whole configuration.
fn parse(
    name: &str,
    bytes: &[u8],
    below: Defaults,
    version: &MimirVersion,
) -> Result<DefaultLimits, DefaultLimitsError> {
    let rejected = DefaultLimitsError::Rejected;
    let store_after = query_store_after::of_document(name, bytes).map_err(rejected)?;
    let below = Defaults { query_store_after: store_after.unwrap_or(below.query_store_after), ..below };
    let read = limits::parse_defaults(&SourceDocument::new(name, bytes), below, version);
    read.map(|(defaults, problems)| DefaultLimits { defaults, problems }).map_err(rejected)
}

/// Applies the flags over the file, as a YAML block of their fields.
fn over(below: Defaults, flags: &LimitFlags) -> Result<Defaults, DefaultLimitsError> {
    let list = |field: &str| match field {
        "drop_labels" => below.limits.drop_labels.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    };
    let store_after = flags.query_store_after.unwrap_or(below.query_store_after);
    let block = format!("limits:\n{}", flags.to_yaml("  ", list));
    let of_flags = |problems: Vec<Problem>| problems.into_iter().map(|problem| of_flag(problem, flags)).collect();
    let below = Defaults { query_store_after: store_after, ..below };
    match limits::parse_defaults(&SourceDocument::new(FLAGS, &block), below, &any_version()) {
        Ok((laid, _)) => Ok(laid),
        Err(problems) => Err(DefaultLimitsError::Rejected(of_flags(problems))),
    }
}

/// A problem of that YAML block as a problem of the flag.
fn of_flag(problem: Problem, flags: &LimitFlags) -> Problem {
    let flag = problem.field.as_deref().and_then(|field| flags.flag_of(field));
    let message = flag.map_or_else(|| problem.message.clone(), |flag| format!("-{flag}: {}", problem.message));
    let message = message.replace("; the whole document is rejected", "");
    Problem { message, line: None, ..problem }
}

#[cfg(test)]
mod tests;
