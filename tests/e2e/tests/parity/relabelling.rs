//! Relabelling rules that can be run: every action, over the labels that the pushes have.

use limits::{RelabelAction, RelabelRule};

use crate::random::Random;

const NAMES: [&str; 8] = ["__name__", "job", "pod", "le", "cluster", "__replica__", "__meta_tenant_id", "é"];
const REGEXES: [&str; 14] = [
    "(.*)",
    "",
    ".+",
    "up|down",
    "(.+)_(.+)",
    "[a-m].*",
    "(?i)(?P<n>A).*",
    "a)|(b",
    r"\w*",
    "__.*",
    r"\PL+",
    "(|a)*",
    "(?U)(.+)(.*)",
    "tmp_.*",
];
const TEXTS: [&str; 10] = ["$1", "${1}_$2", "x", "", "$n", "$", "a b", "$1$1", "x_$0", "é"];
const TARGETS: [&str; 8] = ["job", "new", "__name__", "pod", "${1}_t", "le", "cluster", "bad name"];

pub(crate) fn rule(random: &mut Random) -> RelabelRule {
    let action = random.of_values(&RelabelAction::ALL);
    let sources = random.count(if action == RelabelAction::Replace { 0 } else { 1 }, 2);
    let by_name = matches!(action, RelabelAction::LabelDrop | RelabelAction::LabelKeep);
    let regex = if by_name {
        random.one(&["__replica__|pod", "[a-j].*", "tmp", "__name__|le|job", "é"])
    } else {
        random.one(&REGEXES)
    };
    RelabelRule {
        source_labels: (0..sources).map(|_| random.one(&NAMES).into()).collect(),
        separator: random.one(&[";", ";", "", "-"]).into(),
        target_label: random.one(&TARGETS).into(),
        regex: regex.into(),
        modulus: u64::try_from(random.number(1, 8)).unwrap_or(1),
        replacement: random.one(&TEXTS).into(),
        action,
    }
}
