//! One fault under load: what clients saw, what was lost, and how long until normal.

use std::collections::BTreeMap;
use std::env;
use std::time::{Duration, Instant};

use e2e::{PushOutcome, compare_with, let_time_pass, report, until, until_some};

use super::stack::Stack;

/// So many expected responses in a row are normal: those of a second.
const IN_A_ROW: usize = 50;
const BEFORE: usize = 50;
/// Mimir gives up on a push after 2 s, and on a busy machine one in this many can take that long without a fault.
const ONE_WRONG_IN: usize = 100;

/// Whether everything is to be run, and for longer.
pub(crate) fn is_long() -> bool {
    env::var("FAULTS").is_ok_and(|form| form == "long")
}

/// How long a fault lasts.
pub(crate) fn fault_duration() -> Duration {
    Duration::from_millis(if is_long() { 5_000 } else { 1_200 })
}

/// Lets a fault last: how long it lasts is a part of what is tested.
pub(crate) fn let_fault_last() {
    let_time_pass(fault_duration());
}

/// What clients may see of a fault.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Costs {
    /// Right answers only.
    Nothing,
    /// 5xx, which clients send again, and connections that break.
    Retries,
}

/// A fault.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) costs: Costs,
    /// How soon everything is normal, counted from its end.
    pub(crate) normal_within: Duration,
    /// Begins it, lets it last, and ends it.
    pub(crate) fault: fn(&mut Stack),
    /// Whether the way of a limit is a part of what has to be normal.
    pub(crate) changes_a_limit: bool,
}

impl Case {
    /// Runs it, prints its figures, and checks what must never be.
    pub(crate) fn run(self, stack: &mut Stack) {
        let Self { name, costs, normal_within, fault, changes_a_limit } = self;
        let load = stack.load();
        let began = Instant::now();
        until("everything is well before the fault", || load.all_expected_since(began, BEFORE).is_some());
        let (begun, lost_before) = (Instant::now(), stack.prometheus_lost());
        fault(stack);
        let ended = Instant::now();
        let normal = until_some("everything is normal", || load.all_expected_since(ended, IN_A_ROW)) - ended;
        let change = changes_a_limit.then(|| stack.change_a_limit());
        let outcomes = load.stop();
        let caught_up = stack.prometheus_catches_up();
        let (missing, unacknowledged) = compare_with(&stack.mimir, &outcomes);
        let prometheus_lost = stack.prometheus_lost() - lost_before;

        let within: Vec<&PushOutcome> = outcomes.iter().filter(|outcome| outcome.sender.expected == 200).collect();
        let denied = within.iter().filter(|outcome| matches!(outcome.status, Some(400..=499))).count();
        let seconds = |time: Duration| format!("{:.2}s", time.as_secs_f64());
        let mut line = format!("fault={name} lasted={} pushes={}", seconds(ended - begun), outcomes.len());
        line += &format!(" {}", statuses(&outcomes));
        line += &format!(" acknowledged_lost={missing} denied_within={denied} stored_unacknowledged={unacknowledged}");
        line += &format!(" normal={}", seconds(normal));
        if let Some(change) = change {
            line += &format!(" change={}", seconds(change));
        }
        let slowest = outcomes.iter().map(|outcome| outcome.took).max().unwrap_or_default();
        let late = outcomes.iter().map(|outcome| outcome.late).max().unwrap_or_default();
        line += &format!(" slowest={} late={}", seconds(slowest), seconds(late));
        line += &format!(" prometheus_lost={prometheus_lost} prometheus_caught_up={}", seconds(caught_up));
        report(&line);

        assert_eq!((missing, denied, prometheus_lost), (0, 0, 0.0), "{line}");
        assert!(normal <= normal_within, "not normal within {normal_within:?}: {line}");
        if costs == Costs::Nothing {
            let wrong = outcomes.iter().filter(|outcome| !outcome.is_expected()).count();
            assert!(wrong * ONE_WRONG_IN <= outcomes.len(), "it costs clients something: {line}");
        }
        let wrong = outcomes.iter().find(|outcome| outcome.sender.expected == 429 && outcome.status == Some(200));
        assert!(wrong.is_none(), "a push over its limit passed: {wrong:?}");
    }
}

/// How many pushes had which answer, with those within their limits apart from those over them.
fn statuses(outcomes: &[PushOutcome]) -> String {
    let mut counts: BTreeMap<(&str, String), usize> = BTreeMap::new();
    for outcome in outcomes {
        let status = outcome.status.map_or_else(|| "none".to_owned(), |status| status.to_string());
        *counts.entry((&*outcome.sender.tenant, status)).or_default() += 1;
    }
    let shown: Vec<String> =
        counts.iter().rev().map(|((tenant, status), count)| format!("{tenant}:{status}={count}")).collect();
    shown.join(" ")
}
