//! The command line of `edgectl diff`.

use std::path::PathBuf;

use clap::Args;
use limits::MimirVersion;
use limits_source::DefaultLimitsOptions;

use super::{Output, check};

const HELP: &str = "\
Compares the limits that two overrides documents give each tenant, over the same default limits: a field that one of them \
does not set has its default. Comments, order and spelling make no difference. Problems of the documents are printed as by \
edgectl check, on standard error.

Examples:
  edgectl diff runtime.yaml runtime-new.yaml
  edgectl diff --default-limits mimir.yaml -o json runtime.yaml runtime-new.yaml
  edgectl diff - runtime-new.yaml < runtime.yaml

Exit codes: 0 no limit differs, 1 some do, 2 a document is rejected, 64 bad usage, 66 a file can't be read";

/// Compare the limits that two overrides documents give each tenant
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct DiffArgs {
    /// Overrides document as it is: Mimir's runtime configuration, or flat `TENANT.FIELD: "VALUE"` keys. `-` is standard input
    #[arg(value_name = "OLD")]
    pub(crate) old: PathBuf,

    /// Overrides document as it is to be
    #[arg(value_name = "NEW")]
    pub(crate) new: PathBuf,

    #[command(flatten)]
    pub(crate) defaults: DefaultLimitsOptions,

    /// The version of Mimir whose fields are known, as MAJOR.MINOR [default: the newest known, 3.1]
    #[arg(long, value_name = "X.Y")]
    pub(crate) mimir_version: Option<MimirVersion>,

    /// A table for people, or JSON or YAML for programs
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
}

impl DiffArgs {
    pub(super) fn validate(&self) -> Result<(), clap::Error> {
        check::validate_inputs([&*self.old, &*self.new].into_iter(), &self.defaults)
    }
}
