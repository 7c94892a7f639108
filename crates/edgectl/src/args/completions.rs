//! The command line of `edgectl completions`.

use clap::Args;
use clap_complete::Shell;

const HELP: &str = "\
Examples:
  edgectl completions bash > edgectl.bash
  edgectl completions zsh > _edgectl
  edgectl completions fish > edgectl.fish
  edgectl completions powershell > edgectl.ps1

Exit codes: 0 fine, 64 bad usage";

/// Print a script with which a shell completes subcommands and flags
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct CompletionsArgs {
    /// Shell
    #[arg(value_name = "SHELL")]
    pub(crate) shell: Shell,
}
