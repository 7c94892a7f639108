//! Questions to the operator, one line each, on standard output; the answers are lines of standard input.

use std::io::{self, BufRead, Write};

use anyhow::{Context, anyhow, bail};

/// Asks, or takes the defaults.
pub(super) struct Prompt {
    takes_defaults: bool,
}

impl Prompt {
    pub(super) fn new(takes_defaults: bool) -> Self {
        Self { takes_defaults }
    }

    /// The answer to a question, asked again until it can be used.
    ///
    /// # Errors
    /// Standard input has ended, or the default cannot be used.
    pub(super) fn ask<T>(
        &mut self,
        question: &str,
        default: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> anyhow::Result<T> {
        if self.takes_defaults {
            return parse(default).map_err(|why| anyhow!("{question} {why}"));
        }
        loop {
            let line = read_line(&format!("{question} [{default}] "))?;
            match parse(if line.is_empty() { default } else { &line }) {
                Ok(answer) => return Ok(answer),
                Err(why) => say(&format!("{why}\n"))?,
            }
        }
    }

    /// Yes or no. The default is what `--yes` takes too: nothing that could do harm is one.
    ///
    /// # Errors
    /// As [`Prompt::ask`].
    pub(super) fn confirm(&mut self, question: &str, default: bool) -> anyhow::Result<bool> {
        self.ask(question, if default { "yes" } else { "no" }, |answer| match answer.to_ascii_lowercase().as_str() {
            "y" | "yes" => Ok(true),
            "n" | "no" => Ok(false),
            _ => Err("yes or no".to_owned()),
        })
    }
}

fn say(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("ask")
}

fn read_line(question: &str) -> anyhow::Result<String> {
    say(question)?;
    let mut line = String::new();
    if io::stdin().lock().read_line(&mut line).context("read the answer")? == 0 {
        bail!("there is no answer: standard input has ended; --yes takes the defaults");
    }
    Ok(line.trim().to_owned())
}
