//! What a subcommand that tries something out did, one line each, as `linkerd check` prints it. Nothing is coloured.

use serde::Serialize;

use crate::output::on_one_line;

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    Passed,
    /// It could not be tried.
    Skipped,
    Failed,
}

impl Outcome {
    pub(crate) fn mark(self) -> char {
        match self {
            Self::Passed => '√',
            Self::Skipped => '‼',
            Self::Failed => '×',
        }
    }
}

/// A step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) outcome: Outcome,
    /// What was found.
    pub(crate) detail: String,
    /// What to do about it.
    pub(crate) hint: Option<String>,
}

impl Step {
    pub(crate) fn passed(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, outcome: Outcome::Passed, detail: detail.into(), hint: None }
    }

    pub(crate) fn skipped(name: &'static str, detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { name, outcome: Outcome::Skipped, detail: detail.into(), hint: Some(hint.into()) }
    }

    pub(crate) fn failed(name: &'static str, detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { name, outcome: Outcome::Failed, detail: detail.into(), hint: Some(hint.into()) }
    }

    pub(crate) fn is_passed(&self) -> bool {
        self.outcome == Outcome::Passed
    }

    /// One line, and one for the hint, each with a line break.
    pub(crate) fn text(&self) -> String {
        let hint = self.hint.iter().map(|hint| format!("    {}\n", on_one_line(hint)));
        format!("{} {}: {}\n{}", self.outcome.mark(), self.name, on_one_line(&self.detail), hint.collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use super::Step;

    #[test]
    fn a_step_is_one_line_and_its_hint_another() {
        assert_eq!(Step::passed("the push is accepted", "200").text(), "√ the push is accepted: 200\n");
        assert_eq!(Step::failed("a", "b\nc", "look\tthere").text(), "× a: b c\n    look there\n");
        assert_eq!(Step::skipped("a", "b", "c").text(), "‼ a: b\n    c\n");
    }
}
