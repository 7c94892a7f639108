//! `edgectl check`: checks overrides documents with the code of mimir-rls, before they are in force.
//!
//! Each file is checked as the first document of a new mimir-rls, or all together as Mimir merges them. The `limits` crate does
//! the checks; this module reads files, fetches Mimir's pages, compares and prints. Without a file, `health` checks the installation.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use limits::{MimirVersion, SourceDocument, TenantLimits};
use limits_source::{DefaultLimits, DefaultLimitsError, DefaultLimitsOptions, MAX_FILE_BYTES};

mod against;
mod health;
mod report;
mod verdict;

pub(crate) use against::{BUILD_PAGE, OVERRIDES_PAGE, RunningMimir, release};
pub(crate) use report::fields as limits_json;
pub(crate) use verdict::{Outcome, Verdict, one_line};

use crate::args::{CheckArgs, Format};
use crate::exit;
use crate::input;

/// The user can try again.
const NO_RETRY: Duration = Duration::ZERO;

/// The results of a run.
struct Results {
    verdicts: Vec<Verdict>,
    /// The default limits; `None` if they cannot be used.
    defaults: Option<DefaultLimits>,
}

/// Checks every file and prints the verdicts.
pub(crate) fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    if args.files.is_empty() {
        return health::run(args);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("start")?;
    let Results { verdicts, defaults } = runtime.block_on(check_all(args));
    let mut out = io::stdout().lock();
    let defaults = defaults.as_ref().filter(|_| args.show).map(|known| &known.defaults.limits);
    match args.format() {
        Format::Text => verdicts.iter().try_for_each(|verdict| verdict.write_text(args.show, &mut out)),
        Format::Json => report::write_json(&verdicts, defaults, &mut out),
        Format::Yaml => report::write_yaml(&verdicts, defaults, &mut out),
    }
    .context("print the verdict")?;
    Ok(verdicts.iter().map(Verdict::exit_code).max().unwrap_or_default().into())
}

/// The limits of documents that are one configuration.
pub(crate) struct Documents {
    /// Of tenants without an entry.
    pub(crate) defaults: TenantLimits,
    /// Of each key of `overrides`.
    pub(crate) overrides: BTreeMap<String, TenantLimits>,
}

impl Documents {
    /// Reads and checks files, merged as Mimir merges them; their problems go to standard error.
    ///
    /// # Errors
    /// The exit code where there are no limits: a file cannot be read, or is rejected.
    pub(crate) async fn read(
        files: &[PathBuf],
        defaults: &DefaultLimitsOptions,
        version: Option<&MimirVersion>,
    ) -> Result<Self, ExitCode> {
        let version = version.cloned().unwrap_or_default();
        let (defaults, verdict) = self::defaults(defaults, &version, None).await;
        verdict.iter().for_each(Verdict::report);
        let Some(defaults) = defaults else {
            return Err(verdict.map_or(exit::NO_INPUT, |verdict| verdict.exit_code()).into());
        };
        let verdict = check_merged(files, &defaults, &version);
        verdict.report();
        let code = verdict.exit_code();
        let Outcome::Accepted { limits, .. } = verdict.outcome else { return Err(code.into()) };
        Ok(Self { defaults: defaults.defaults.limits, overrides: limits.into_iter().collect() })
    }

    /// The limits of a bare tenant.
    pub(crate) fn of(&self, tenant: &str) -> &TenantLimits {
        self.overrides.get(tenant).unwrap_or(&self.defaults)
    }
}

/// The verdict on the default limits, if they have problems, and on each file, if the default limits can be used.
async fn check_all(args: &CheckArgs) -> Results {
    let running = match &args.against {
        None => None,
        Some(url) => match RunningMimir::fetch(url).await {
            Ok(running) => Some(running),
            Err(verdict) => return Results { verdicts: vec![verdict], defaults: None },
        },
    };
    let version = args.mimir_version.clone().or_else(|| running.as_ref()?.version.clone()).unwrap_or_default();
    let (defaults, verdict) = defaults(&args.defaults, &version, running.as_ref()).await;
    let mut verdicts: Vec<_> = verdict.into_iter().collect();
    let Some(defaults) = defaults else { return Results { verdicts, defaults } };
    let of_files: Vec<_> = match args.is_merged() {
        true => vec![check_merged(&args.files, &defaults, &version)],
        false => args.files.iter().map(|file| check_file(file, &defaults, &version)).collect(),
    };
    let compared = running.and_then(|running| running.compare(of_files.first()?, &defaults));
    verdicts.extend(of_files.into_iter().chain(compared));
    Results { verdicts, defaults: Some(defaults) }
}

/// The default limits by the flags, or else those of the running Mimir.
async fn defaults(
    options: &DefaultLimitsOptions,
    version: &MimirVersion,
    running: Option<&RunningMimir>,
) -> (Option<DefaultLimits>, Option<Verdict>) {
    if let Some(running) = running.filter(|_| !options.are_given()) {
        return (Some(running.defaults.clone()), None);
    }
    let name = options.file.as_deref().map_or_else(|| "default limits".to_owned(), document_name);
    let read = |path: &Path| {
        let unreadable =
            |source| DefaultLimitsError::Unreadable { flag: "--default-limits", path: path.to_owned(), source };
        Ok((document_name(path), read(path).map_err(unreadable)?))
    };
    let known = match options.read_with(version, read) {
        Ok(source) => source.resolve(NO_RETRY).await,
        Err(error) => Err(error),
    };
    match known {
        Ok(known) if known.problems.is_empty() => (Some(known), None),
        Ok(known) => {
            let verdict = Verdict::new(name, Outcome::Defaults, known.problems.clone());
            (Some(known), Some(verdict))
        }
        Err(DefaultLimitsError::Rejected(problems)) => {
            let name = problems.first().map_or(name, |problem| problem.document.clone());
            (None, Some(Verdict::new(name, Outcome::DefaultsRejected, problems)))
        }
        Err(DefaultLimitsError::Unreadable { path, source, .. }) => {
            (None, Some(Verdict::unreadable(&path.display().to_string(), &source)))
        }
        Err(error) => (None, Some(Verdict::unreadable(&name, &error))),
    }
}

/// The default limits by the flags, and the verdict on them if they have problems.
pub(crate) async fn default_limits(
    options: &DefaultLimitsOptions,
    version: &MimirVersion,
) -> (Option<DefaultLimits>, Option<Verdict>) {
    defaults(options, version, None).await
}

/// The verdict on a file.
pub(crate) fn check_file(file: &PathBuf, defaults: &DefaultLimits, version: &MimirVersion) -> Verdict {
    check_merged(std::slice::from_ref(file), defaults, version)
}

/// The verdict on files that form one configuration.
fn check_merged(paths: &[PathBuf], defaults: &DefaultLimits, version: &MimirVersion) -> Verdict {
    let names: Vec<_> = paths.iter().map(|path| document_name(path)).collect();
    let mut texts = Vec::new();
    for (path, name) in paths.iter().zip(&names) {
        match read(path) {
            Ok(bytes) => texts.push(bytes),
            Err(error) => return Verdict::unreadable(name, &error),
        }
    }
    let documents: Vec<_> = names.iter().zip(&texts).map(|(name, bytes)| SourceDocument::new(name, bytes)).collect();
    let checked = limits::check(&defaults.defaults, version, &documents);
    let outcome = match checked.rejected {
        true => Outcome::Rejected,
        false => Outcome::Accepted { tenants: checked.tenants, limits: checked.limits },
    };
    Verdict::new(names.join(","), outcome, checked.problems)
}

fn document_name(path: &Path) -> String {
    if path == Path::new("-") { "<stdin>".to_owned() } else { path.display().to_string() }
}

/// The bytes of a file, at most as many as mimir-rls reads.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    input::read(path, MAX_FILE_BYTES)
}
