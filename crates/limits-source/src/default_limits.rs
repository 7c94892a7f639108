//! The limits of tenants without an override, as Mimir's process has them: from its configuration file, from its flags, or from the Mimir itself.
//!
//! Mimir reads its file first and its flags over it, so where both set a limit the flag holds.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use limits::{Code, Defaults, MimirVersion, Problem, Severity, SourceDocument, TenantLimits};
use thiserror::Error;

use crate::url::{MimirUrl, UrlError};
use crate::watched::MAX_FILE_BYTES;
use crate::web::{PageError, fetch_page};

mod expand;
mod flags;
mod query_store_after;

use flags::LimitFlags;

/// The flag that names the file.
const FILE: &str = "--default-limits";
/// The flag with Mimir's own, and what problems of them name.
const FLAGS: &str = "--default-limits-flags";
/// The page on which Mimir shows its configuration (Mimir `pkg/api/api.go`).
const CONFIG_PAGE: &str = "/config";

/// What a program was told of the default limits. All empty: nobody said what they are, and they are Mimir's built-in ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DefaultLimitsOptions {
    /// A file with a `limits:` block, or a whole Mimir config file.
    pub file: Option<PathBuf>,
    /// Whether environment variables are replaced in the file, as by Mimir's `-config.expand-env=true`. Mimir's other configurations have `$1` in
    /// relabelling rules, which a replacement would empty, so it is only done where Mimir does it.
    pub expand_env: bool,
    /// Mimir's command line, or `@FILE` with it.
    pub flags: Option<String>,
    /// Where a Mimir shows its configuration.
    pub url: Option<String>,
    /// The release whose fields the file may have.
    pub version: MimirVersion,
}

/// The default limits, with what was passed over where they were read.
#[derive(Debug, Clone, Default)]
pub struct DefaultLimits {
    /// What holds for a tenant without an override, and what documents are judged over.
    pub defaults: Defaults,
    /// What is wrong and was ignored.
    pub problems: Vec<Problem>,
}

/// Default limits, or the Mimir that has to be asked for them.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "a program has one of them")]
pub enum DefaultLimitsSource {
    /// They are known.
    Known(DefaultLimits),
    /// A Mimir serves them at this address.
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
    /// What is in it is refused; each problem says where and why.
    #[error("default limits: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Refused(Vec<Problem>),
    /// The address is none of a Mimir.
    #[error("--default-limits-url: {0}")]
    Url(#[from] UrlError),
    /// Mimir could not be asked.
    #[error("--default-limits-url: {0}")]
    Page(#[from] PageError),
    /// Two flags that do not go together.
    #[error("{0}")]
    Usage(&'static str),
}

impl DefaultLimitsOptions {
    /// Whether somebody said what the default limits are.
    #[must_use]
    pub fn are_given(&self) -> bool {
        self.file.is_some() || self.flags.is_some() || self.url.is_some()
    }

    /// The files that are read, with the flag that names each.
    #[must_use]
    pub fn files(&self) -> Vec<(&'static str, &Path)> {
        let file = self.file.as_deref().map(|path| (FILE, path));
        let arguments = self.flags.as_deref().and_then(|text| text.strip_prefix('@'));
        file.into_iter().chain(arguments.map(|path| (FLAGS, Path::new(path)))).collect()
    }

    /// Reads file and flags. `read` gives the bytes of the file of `--default-limits`, and the name that problems call it by.
    ///
    /// # Errors
    /// A file cannot be read, Mimir would refuse what is in it, or the options do not go together.
    pub fn read_with(
        &self,
        read: impl FnOnce(&Path) -> Result<(String, Vec<u8>), DefaultLimitsError>,
    ) -> Result<DefaultLimitsSource, DefaultLimitsError> {
        let Self { file, expand_env, flags, url, version } = self;
        if let Some(url) = url {
            if file.is_some() || flags.is_some() {
                let message = "--default-limits-url has all that Mimir's file and flags say; leave out --default-limits \
                               and --default-limits-flags";
                return Err(DefaultLimitsError::Usage(message));
            }
            return Ok(DefaultLimitsSource::Mimir(MimirUrl::parse(url, CONFIG_PAGE)?));
        }
        if *expand_env && file.is_none() {
            let message = "--default-limits-expand-env is about the file of --default-limits, which is missing";
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

    /// The same with the file as it is on disk, at most 16 MiB of it.
    ///
    /// # Errors
    /// As [`DefaultLimitsOptions::read_with`].
    pub fn read(&self) -> Result<DefaultLimitsSource, DefaultLimitsError> {
        self.read_with(|path| {
            let name = path.file_name().map_or(path, Path::new).display().to_string();
            Ok((name, read_file(FILE, path)?))
        })
    }
}

impl DefaultLimitsSource {
    /// The limits; of a Mimir, which is asked until `patience` is over.
    ///
    /// # Errors
    /// The Mimir gives no answer, or one that is no configuration.
    pub async fn resolve(self, patience: Duration) -> Result<DefaultLimits, DefaultLimitsError> {
        match self {
            Self::Known(known) => Ok(known),
            Self::Mimir(url) => {
                let page = fetch_page(&url, patience).await?;
                let known = parse(&url.to_string(), &page, Defaults::default(), &any_version())?;
                // A field that the edge does not know is no fault of anybody: the Mimir that shows it has it.
                Ok(DefaultLimits { problems: Vec::new(), ..known })
            }
        }
    }
}

impl DefaultLimits {
    /// What to say where nobody said what the default limits are.
    #[must_use]
    pub fn nobody_said() -> Problem {
        let TenantLimits { ingestion_rate, ingestion_burst_size, .. } = TenantLimits::default();
        let message = format!(
            "a tenant without an override has Mimir's built-in limits, such as ingestion_rate {ingestion_rate} and \
             ingestion_burst_size {ingestion_burst_size}, whatever your Mimir has; give what it has with --default-limits, \
             --default-limits-flags or --default-limits-url, or say with --default-limits-flags= that it has the built-in ones"
        );
        Problem::of_document(Code::NoDefaultLimits, "default limits", Severity::Ignored, message)
    }
}

fn read_file(flag: &'static str, path: &Path) -> Result<Vec<u8>, DefaultLimitsError> {
    let unreadable = |source| DefaultLimitsError::Unreadable { flag, path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_FILE_BYTES {
        return Err(unreadable(io::Error::other(format!("it has more than the {MAX_FILE_BYTES} bytes that are read"))));
    }
    Ok(bytes)
}

fn read_flags(text: &str) -> Result<LimitFlags, DefaultLimitsError> {
    let refused = |messages: Vec<String>| {
        let problem = |message| Problem::of_document(Code::BadValue, FLAGS, Severity::Rejected, message);
        DefaultLimitsError::Refused(messages.into_iter().map(problem).collect())
    };
    let from_file = match text.strip_prefix('@') {
        Some(path) => Some(String::from_utf8(read_file(FLAGS, Path::new(path))?)),
        None => None,
    };
    let text = match &from_file {
        Some(Ok(text)) => text,
        Some(Err(_)) => return Err(refused(vec!["the file is not UTF-8: save it as UTF-8".to_owned()])),
        None => text,
    };
    LimitFlags::parse(text).map_err(refused)
}

fn expand_environment(name: &str, bytes: &[u8]) -> Result<Vec<u8>, DefaultLimitsError> {
    let variable = |name: &[u8]| std::env::var_os(std::ffi::OsStr::from_bytes(name)).map(OsStringExt::into_vec);
    expand::expand(bytes, variable, usize::try_from(MAX_FILE_BYTES).unwrap_or(usize::MAX)).ok_or_else(|| {
        let message = format!("has more than {MAX_FILE_BYTES} bytes with its environment variables replaced");
        DefaultLimitsError::Refused(vec![Problem::of_document(Code::TooLarge, name, Severity::Rejected, message)])
    })
}

/// A release of which nobody knows the fields, so that none is refused.
fn any_version() -> MimirVersion {
    "0.0".parse().unwrap_or_default()
}

/// Reads a `limits:` block or a whole configuration.
fn parse(
    name: &str,
    bytes: &[u8],
    below: Defaults,
    version: &MimirVersion,
) -> Result<DefaultLimits, DefaultLimitsError> {
    let refused = DefaultLimitsError::Refused;
    let store_after = query_store_after::of_document(name, bytes).map_err(refused)?;
    let below = Defaults { query_store_after: store_after.unwrap_or(below.query_store_after), ..below };
    let read = limits::parse_defaults(&SourceDocument::new(name, bytes), below, version);
    read.map(|(defaults, problems)| DefaultLimits { defaults, problems }).map_err(refused)
}

/// Lays flags over what the file says, as a block of their fields.
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
        Err(problems) => Err(DefaultLimitsError::Refused(of_flags(problems))),
    }
}

/// A problem of the document that was made of flags, as one of the flag.
fn of_flag(problem: Problem, flags: &LimitFlags) -> Problem {
    let flag = problem.field.as_deref().and_then(|field| flags.flag_of(field));
    let message = flag.map_or_else(|| problem.message.clone(), |flag| format!("-{flag}: {}", problem.message));
    let message = message.replace("; the whole document is refused", "");
    Problem { message, line: None, ..problem }
}

#[cfg(test)]
mod tests;
