//! `edgectl quick-setup`: writes what docs/compose.md describes.
//!
//! `prompt` asks the operator, `running` asks Mimir, `files` makes the files and writes them. Nothing is written before all is known.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use limits::Mode;

mod files;
mod prompt;
mod running;

use files::{EDGE, Files, LIMITS};
use prompt::Prompt;
use running::Running;

use crate::args::{Platform, QuickSetupArgs};
use crate::edge_api::{EdgeError, block_on};
use crate::exit;
use crate::steps::Step;

/// The answer that starts a Mimir here.
const OWN: &str = "own";
/// The address of that Mimir in the network of compose.
const OWN_URL: &str = "http://mimir:8080";

/// What the operator wants.
#[derive(Debug)]
struct Setup {
    platform: Platform,
    /// `None` starts one here.
    mimir: Option<String>,
    query_url: String,
    mode: Mode,
}

/// Asks, writes, and says what comes next.
pub(crate) fn run(args: &QuickSetupArgs) -> anyhow::Result<ExitCode> {
    let mut files = Files::read(&args.dir)?;
    let mut prompt = Prompt::new(args.yes);
    let platform = platform(args, &mut prompt)?;
    let mimir = mimir_url(args, platform, &mut prompt)?;
    let running = match mimir.as_deref().filter(|_| !args.no_check) {
        None => None,
        Some(url) => match block_on_running(url, args)? {
            Ok(running) => {
                say(&running.step().text())?;
                Some(running)
            }
            Err(step) => {
                say(&step.text())?;
                if !prompt.confirm("Write the files without an answer of Mimir?", false)? {
                    return Ok(ExitCode::from(exit::PROBLEMS));
                }
                None
            }
        },
    };
    let setup = Setup {
        platform,
        query_url: query_url(args, mimir.as_deref()),
        mode: mode(args, mimir.as_deref(), &mut prompt)?,
        mimir,
    };
    files.prepare(&setup, running.as_ref())?;
    if !allowed(&files, args, &mut prompt)? {
        return Ok(ExitCode::from(exit::PROBLEMS));
    }
    say(&files.write()?)?;
    say(&next(&setup))?;
    Ok(ExitCode::SUCCESS)
}

fn say(text: &str) -> anyhow::Result<()> {
    io::stdout().lock().write_all(text.as_bytes()).context("print the result")
}

fn platform(args: &QuickSetupArgs, prompt: &mut Prompt) -> anyhow::Result<Platform> {
    match args.platform {
        Some(platform) => Ok(platform),
        None => prompt.ask("Where does the edge run, compose or railway?", "compose", |answer| match answer {
            "compose" => Ok(Platform::Compose),
            "railway" => Ok(Platform::Railway),
            _ => Err("compose or railway".to_owned()),
        }),
    }
}

fn mimir_url(args: &QuickSetupArgs, platform: Platform, prompt: &mut Prompt) -> anyhow::Result<Option<String>> {
    let parse = |answer: &str| match answer {
        OWN if platform == Platform::Railway => {
            Err("give the address of your Mimir: this platform starts none".to_owned())
        }
        OWN => Ok(None),
        url => running::address(url).map(Some),
    };
    match &args.mimir_url {
        Some(url) => parse(url).map_err(|why| EdgeError::Unusable(format!("--mimir-url or MIMIR_URL: {why}")).into()),
        None => prompt.ask("Address of the Mimir behind the edge, or own to start one here?", OWN, parse),
    }
}

fn query_url(args: &QuickSetupArgs, mimir: Option<&str>) -> String {
    let default = || format!("{}/prometheus", mimir.unwrap_or(OWN_URL));
    args.query_url.clone().unwrap_or_else(default)
}

fn mode(args: &QuickSetupArgs, mimir: Option<&str>, prompt: &mut Prompt) -> anyhow::Result<Mode> {
    let default = if mimir.is_some() { Mode::Shadow } else { Mode::Enforce };
    match args.mode {
        Some(mode) => Ok(mode),
        None => prompt.ask(
            "Mode: enforce denies pushes, shadow only counts what it would deny?",
            default.as_str(),
            |answer| {
                let known = [Mode::Enforce, Mode::Shadow].into_iter().find(|mode| mode.as_str() == answer);
                known.ok_or_else(|| "enforce or shadow".to_owned())
            },
        ),
    }
}

fn block_on_running(url: &str, args: &QuickSetupArgs) -> anyhow::Result<Result<Running, Step>> {
    let mut found = None;
    let code = block_on(async {
        found = Some(Running::ask(url, &args.credentials).await?);
        Ok(ExitCode::SUCCESS)
    });
    code?;
    found.context("interrupted")
}

/// Whether each file that would change may be overwritten.
fn allowed(files: &Files, args: &QuickSetupArgs, prompt: &mut Prompt) -> anyhow::Result<bool> {
    for path in files.overwritten()? {
        if !args.force && !prompt.confirm(&format!("{} exists and changes. Overwrite it?", path.display()), false)? {
            let why = if args.yes { "; --force overwrites it" } else { "" };
            exit::note(&format!("nothing is written: {} exists{why}", path.display()));
            return Ok(false);
        }
    }
    Ok(true)
}

/// The next commands.
fn next(setup: &Setup) -> String {
    let lines = match (setup.platform, &setup.mimir) {
        (Platform::Compose, None) => vec![
            "docker compose up --build".to_owned(),
            "edgectl load-remote-write --tenant demo --rate 1000".to_owned(),
            "edgectl top --address http://127.0.0.1:9092".to_owned(),
        ],
        (Platform::Compose, Some(url)) => vec![
            format!("edgectl check --against {url} ops/compose/limits/limits.yaml"),
            "docker compose up --build".to_owned(),
            format!("edgectl flow-test --mimir {url} --address http://127.0.0.1:9092"),
        ],
        (Platform::Railway, _) => vec![
            format!("git add {EDGE} {LIMITS}"),
            format!("git commit --message 'Set the limits of the edge' {EDGE} {LIMITS}"),
            "# copy mimir-envoy.env and mimir-rls.env into the variables of the two services (docs/compose.md)"
                .to_owned(),
        ],
    };
    format!("Next:\n{}", lines.iter().map(|line| format!("  {line}\n")).collect::<String>())
}
