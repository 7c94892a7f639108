//! Findings as text, with symbols where the terminal has them.

use std::env;

use super::finding::{Finding, Status};
use crate::output::on_one_line;

/// What stands before a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Symbols {
    is_utf8: bool,
}

/// Words instead of symbols.
#[cfg(test)]
pub(crate) const ASCII: Symbols = Symbols { is_utf8: false };

/// Symbols if the locale has UTF-8: the first of these variables that is set counts, as for every program.
pub(crate) fn from_environment() -> Symbols {
    let set = |name: &&str| env::var(name).ok().filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(set).unwrap_or_default().to_lowercase();
    Symbols { is_utf8: locale.contains("utf-8") || locale.contains("utf8") }
}

impl Symbols {
    pub(crate) fn of(self, status: Status) -> &'static str {
        match (self.is_utf8, status) {
            (false, status) => status.name(),
            (true, Status::Ok) => "√",
            (true, Status::Skipped) => "-",
            (true, Status::Warning) => "‼",
            (true, Status::Failure) => "×",
        }
    }

    /// The arrow between two hops.
    pub(crate) fn arrow(self) -> &'static str {
        if self.is_utf8 { "↓" } else { "|" }
    }

    /// The same, padded to the width of all.
    pub(crate) fn padded(self, status: Status) -> String {
        let width = if self.is_utf8 { 1 } else { "warning".len() };
        format!("{:width$}", self.of(status))
    }

    /// A finding with its detail, its hint, its command and its page.
    pub(crate) fn lines(self, finding: &Finding) -> String {
        let Finding { status, check, detail, .. } = finding;
        let symbol = self.padded(*status);
        let first = match status {
            _ if detail.is_empty() => format!("{symbol} {check}\n"),
            Status::Ok if !detail.contains('\n') => format!("{symbol} {check}: {}\n", on_one_line(detail)),
            Status::Skipped => format!("{symbol} {check} (skipped: {})\n", on_one_line(detail)),
            _ => format!("{symbol} {check}\n{}", indented("", detail)),
        };
        first + &advice(finding)
    }
}

/// What to do about a finding, indented.
fn advice(finding: &Finding) -> String {
    let Some(advice) = &finding.advice else { return String::new() };
    let command = advice.command.as_deref().map(|command| indented("  ", command)).unwrap_or_default();
    format!("{}{command}{}", indented("hint: ", &advice.hint), indented("see ", advice.see.page()))
}

/// Lines below a result; the first begins with a word.
fn indented(word: &str, text: &str) -> String {
    let line =
        |(number, line): (usize, &str)| format!("    {}{}\n", if number == 0 { word } else { "" }, on_one_line(line));
    text.lines().enumerate().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::installation::finding::{Advice, Hop, Link};

    #[test]
    fn a_failure_says_what_to_do() {
        let advice = Advice::new("start it", "kubectl x".to_owned(), Link::RlsDown);
        let failure = Finding::failure(Hop::MimirRls, "it answers", "a: refused\nb: refused", advice);
        let expected = "× it answers\n    a: refused\n    b: refused\n    hint: start it\n      kubectl x\n    see ops/runbooks/alerts.md#rlsdown\n";
        assert_eq!(Symbols { is_utf8: true }.lines(&failure), expected);
        let ok = Finding::ok(Hop::MimirRls, "it answers", "a");
        assert_eq!(Symbols { is_utf8: true }.lines(&ok), "√ it answers: a\n");
        assert_eq!(ASCII.lines(&ok), "ok      it answers: a\n");
        let skipped = Finding::skipped(Hop::MimirRls, "it answers", "give --address URL");
        assert_eq!(ASCII.lines(&skipped), "skipped it answers (skipped: give --address URL)\n");
    }
}
