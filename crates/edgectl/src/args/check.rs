//! The command line of `edgectl check`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, ValueEnum};
use limits::MimirVersion;
use limits_source::{DefaultLimitsError, DefaultLimitsOptions, MimirUrl, UrlError};

use super::{Cli, InstallationArgs, Output, some_duration};

// One line a paragraph: clap breaks them to the width of the terminal.
const HELP: &str = "\
Without FILE it checks the health of an installation, in groups: front door, Envoy, mimir-rls, overrides-sync, overrides \
document, Mimir. Each result is √ (well), ‼ (warning), × (failure) or - (skipped: what no flag names, and kubectl does not \
find), or a word where the locale is not UTF-8. What is not well has a hint, the command that mends it, and a page of the \
repository. edgectl diagnose names the first hop that is broken. --pre checks the cluster and the Mimir that are to get an \
edge. The probe pushes to --front and --envoy store nothing; edgectl diagnose --help describes them.

Each FILE is checked alone, as the first document of a mimir-rls; with --merge all of them together, as Mimir merges the \
files of -runtime-config.file=A,B. A problem is one line with the file, the line, a stable code (docs/edgectl.md lists \
them), the tenant, the field, and how to fix it. Mimir's own error, if it has one, is the next line. The last line of a \
file counts its tenants and problems, and says `rejected` if mimir-rls and Mimir would keep their current document.

--show adds the limits of every tenant in the files; tenants without fields have the defaults. In JSON and YAML they are \
numbers, booleans, lists and texts; a number that JSON cannot represent is the text +Inf, -Inf or NaN.

--against fetches /config and /runtime_config of a running Mimir, and reports every field of a tenant that the edge reads \
and that has another value there as a problem (MRC0050). Files are compared together, as with --merge. Mimir's version and \
default limits are used, unless flags set others.

Examples:
  edgectl check
  edgectl check -n mimir-edge-enforcement --wait 5m
  edgectl check --front https://mimir.example/api/v1/push --tenant team-a -o json
  edgectl check --pre --configmap mimir/mimir-runtime --mimir http://127.0.0.1:9009
  edgectl check runtime.yaml
  edgectl check --default-limits mimir.yaml --format json --show runtime.yaml
  edgectl check --default-limits-flags '-distributor.ingestion-rate-limit=500000' runtime.yaml
  edgectl check --merge base.yaml overrides.yaml
  edgectl check --against http://mimir-distributor:8080 runtime.yaml
  kubectl get configmap mimir-runtime -o jsonpath='{.data.runtime\\.yaml}' |
    edgectl check -

Exit codes: 0 no problem, 1 problems, differences or a failure, 2 a document is rejected, 64 bad usage, 66 a file or a page \
of Mimir can't be read. Of several the highest holds";

/// Check the health of an installation, or overrides documents as mimir-rls does
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct CheckArgs {
    /// Overrides document: Mimir's runtime configuration, or flat `TENANT.FIELD: "VALUE"` keys. `-` is standard input [default: the installation is checked]
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// Check what an installation needs, before there is one
    #[arg(long, conflicts_with = "files")]
    pub(crate) pre: bool,

    /// Check again until nothing fails, for at most this long: 5m, 90s
    #[arg(long, value_name = "D", value_parser = some_duration, conflicts_with = "files")]
    pub(crate) wait: Option<Duration>,

    /// Check all files together, merged from left to right as Mimir merges those of -runtime-config.file=A,B
    #[arg(long, requires = "files")]
    pub(crate) merge: bool,

    #[command(flatten)]
    pub(crate) defaults: DefaultLimitsOptions,

    /// The version of Mimir whose fields are known, as MAJOR.MINOR [default: that of --against, or else the newest known, 3.1]
    #[arg(long, value_name = "X.Y")]
    pub(crate) mimir_version: Option<MimirVersion>,

    /// A running Mimir to compare with, such as http://mimir-distributor:8080, with its path prefix if it has one
    #[arg(long, value_name = "URL", value_parser = mimir, requires = "files")]
    pub(crate) against: Option<MimirUrl>,

    /// Print the resulting limits of every tenant in the files
    #[arg(long, requires = "files")]
    pub(crate) show: bool,

    /// How problems of files are printed: one line for each problem, or one object for the whole run
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,

    #[command(flatten, next_help_heading = "The installation")]
    pub(crate) installation: InstallationArgs,
}

/// How `check` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
    Yaml,
}

impl CheckArgs {
    /// How problems of files are printed; --output means the same.
    pub(crate) fn format(&self) -> Format {
        match (self.format, self.installation.api.output) {
            (Format::Text, Output::Json) => Format::Json,
            (Format::Text, Output::Yaml) => Format::Yaml,
            (format, _) => format,
        }
    }

    /// How the health of an installation is printed; --format means the same.
    pub(crate) fn output(&self) -> Output {
        match (self.installation.api.output, self.format) {
            (Output::Table, Format::Json) => Output::Json,
            (Output::Table, Format::Yaml) => Output::Yaml,
            (output, _) => output,
        }
    }

    /// Whether all files are one configuration, as for a comparison with Mimir, which has one.
    pub(crate) fn is_merged(&self) -> bool {
        self.merge || self.against.is_some()
    }

    pub(super) fn validate(&self) -> Result<(), clap::Error> {
        if let Some(flag) = self.installation.first_given().filter(|_| !self.files.is_empty()) {
            let message = format!(
                "{flag} is for the check of an installation, without files; --against compares files with a Mimir"
            );
            return Err(Cli::command().error(ErrorKind::ArgumentConflict, message));
        }
        validate_inputs(self.files.iter().map(PathBuf::as_path), &self.defaults)
    }
}

/// Checks that standard input is one of the files at most, and that the flags for default limits go together.
pub(super) fn validate_inputs<'f>(
    files: impl Iterator<Item = &'f Path>,
    defaults: &'f DefaultLimitsOptions,
) -> Result<(), clap::Error> {
    let inputs = files.chain(defaults.file.as_deref());
    if inputs.filter(|path| *path == Path::new("-")).count() > 1 {
        return Err(Cli::command().error(ErrorKind::ValueValidation, "standard input can be read only once"));
    }
    if let Err(error @ (DefaultLimitsError::Usage(_) | DefaultLimitsError::Url(_))) =
        defaults.read_with(&MimirVersion::default(), |_| Ok((String::new(), Vec::new())))
    {
        return Err(Cli::command().error(ErrorKind::ValueValidation, error));
    }
    Ok(())
}

fn mimir(text: &str) -> Result<MimirUrl, UrlError> {
    MimirUrl::parse(text, "/")
}
