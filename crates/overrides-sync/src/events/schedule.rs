//! When each Event is reported. Pure, with time as an argument.
//!
//! Kubernetes keeps an Event for an hour, so a lasting problem is reported repeatedly. However fast problems change, the rate of requests is bounded.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::note::Note;

/// The time between two reports of a problem: well below the hour that an Event is kept.
pub(super) const AGAIN_AFTER: Duration = Duration::from_secs(1_800);
/// How many Events are reported at once.
pub(super) const MAX_AT_ONCE: usize = 4;
/// How many can be reported in a row: two full states.
const BURST: u32 = 110;
/// The time for each further one: some 700 an hour.
const ONE_EVERY: Duration = Duration::from_secs(5);
/// The pause after an API server that does not answer; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause, and the pause after a 403: a Role is not fixed within seconds.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What was reported, and when to report next.
#[derive(Debug)]
pub(super) struct Schedule {
    reported: HashMap<String, Reported>,
    paused_until: Instant,
    pause: Duration,
    budget: Budget,
}

#[derive(Clone, Copy, Debug)]
struct Reported {
    again_at: Instant,
    times: i32,
}

/// What to do next.
#[derive(Debug, PartialEq)]
pub(super) enum Next<'n> {
    /// Report these, at most [`MAX_AT_ONCE`].
    Report(Vec<&'n Note>),
    /// Wait until then, or for a change.
    Wait(Instant),
}

impl Schedule {
    pub(super) fn new(now: Instant) -> Self {
        let budget = Budget { left: BURST, counted_at: now };
        Self { reported: HashMap::new(), paused_until: now, pause: FIRST_PAUSE, budget }
    }

    /// What to do next for these notes. Notes that are no longer among them are forgotten, and reported at once when they are back.
    pub(super) fn next<'n>(&mut self, now: Instant, notes: &'n [Note]) -> Next<'n> {
        self.reported.retain(|name, _| notes.iter().any(|note| note.name == *name));
        if now < self.paused_until {
            return Next::Wait(self.paused_until);
        }
        let again_at = |note: &Note| self.reported.get(&note.name).map(|reported| reported.again_at);
        let due: Vec<_> =
            notes.iter().filter(|note| again_at(note).is_none_or(|at| at <= now)).take(MAX_AT_ONCE).collect();
        if due.is_empty() {
            let earliest = notes.iter().filter_map(again_at).min();
            return Next::Wait(earliest.unwrap_or(now + AGAIN_AFTER));
        }
        match self.budget.take(now, due.len()) {
            0 => Next::Wait(self.budget.counted_at + ONE_EVERY),
            granted => Next::Report(due.into_iter().take(granted).collect()),
        }
    }

    /// How many times a note was reported, as far as this process knows.
    pub(super) fn times(&self, name: &str) -> i32 {
        self.reported.get(name).map_or(0, |reported| reported.times)
    }

    /// Records that a note was reported, `times` in all.
    pub(super) fn reported(&mut self, now: Instant, name: &str, times: i32) {
        self.pause = FIRST_PAUSE;
        self.reported.insert(name.to_owned(), Reported { again_at: now + AGAIN_AFTER, times });
    }

    /// Backs off after a request without a response. `jitter`, from 0 to 1, spreads the retries of several processes.
    pub(super) fn not_answered(&mut self, now: Instant, jitter: f64) {
        self.paused_until = now + self.pause.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0));
        self.pause = LONGEST_PAUSE.min(self.pause * 2);
    }

    /// Backs off after a 403.
    pub(super) fn forbidden(&mut self, now: Instant) {
        self.paused_until = now + LONGEST_PAUSE;
    }
}

/// A token bucket of requests.
#[derive(Debug)]
struct Budget {
    left: u32,
    counted_at: Instant,
}

impl Budget {
    /// Takes up to `wanted` tokens; returns how many.
    fn take(&mut self, now: Instant, wanted: usize) -> usize {
        let earned = now.duration_since(self.counted_at).as_secs() / ONE_EVERY.as_secs();
        let earned = u32::try_from(earned).unwrap_or(u32::MAX);
        self.left = self.left.saturating_add(earned).min(BURST);
        self.counted_at = if self.left == BURST { now } else { self.counted_at + ONE_EVERY * earned };
        let granted = u32::try_from(wanted).unwrap_or(u32::MAX).min(self.left);
        self.left -= granted;
        usize::try_from(granted).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use limits::{Code, ObjectRevision, Problem, Severity};
    use limits_source::NamespacedName;

    use super::super::note::notes;
    use super::*;

    fn some(numbers: std::ops::Range<usize>) -> Vec<Note> {
        let configmap = NamespacedName { namespace: "mimir".to_owned(), name: "overrides".to_owned() };
        let origin = ObjectRevision { uid: "u".into(), resource_version: "1".into() };
        let problem = |number| Problem {
            code: Code::BadValue,
            document: "runtime.yaml".to_owned(),
            tenant: None,
            field: None,
            line: None,
            severity: Severity::Ignored,
            message: format!("number {number}"),
            mimir: None,
        };
        notes(&configmap, &origin, &numbers.map(problem).collect::<Vec<_>>())
    }

    /// Reports everything that is due now, and gives how many that were and until when there is nothing more.
    fn report_all(schedule: &mut Schedule, now: Instant, notes: &[Note]) -> (usize, Duration) {
        let mut count = 0;
        loop {
            match schedule.next(now, notes) {
                Next::Wait(until) => return (count, until - now),
                Next::Report(batch) => {
                    assert!((1..=MAX_AT_ONCE).contains(&batch.len()));
                    count += batch.len();
                    batch.iter().for_each(|note| schedule.reported(now, &note.name, 1));
                }
            }
        }
    }

    #[test]
    fn lasting_problems_are_reported_again_and_resolved_ones_are_not() {
        let start = Instant::now();
        let (mut schedule, both, one) = (Schedule::new(start), some(0..2), some(0..1));
        assert_eq!(report_all(&mut schedule, start, &both), (2, AGAIN_AFTER));
        assert_eq!(report_all(&mut schedule, start + AGAIN_AFTER / 2, &both), (0, AGAIN_AFTER / 2));
        assert_eq!(report_all(&mut schedule, start + AGAIN_AFTER, &one), (1, AGAIN_AFTER));
        assert_eq!(schedule.times(&one[0].name), 1);
        assert_eq!(schedule.times(&both[1].name), 0, "it is forgotten");
        assert_eq!(report_all(&mut schedule, start + AGAIN_AFTER, &both), (1, AGAIN_AFTER), "it is back");
    }

    #[test]
    fn problems_that_keep_changing_are_reported_at_a_bounded_rate() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start);
        let hour: usize = (0..3_600)
            .map(|second| {
                let now = start + Duration::from_secs(second);
                let second = usize::try_from(second).unwrap_or(usize::MAX);
                report_all(&mut schedule, now, &some(second * 50..second * 50 + 50)).0
            })
            .sum();
        // 110 in a row, and one in each 5 s of 3,599 s.
        assert_eq!(hour, 110 + 719);
    }

    #[test]
    fn backoff_doubles_up_to_its_limit_until_a_response() {
        let start = Instant::now();
        let (mut schedule, note) = (Schedule::new(start), some(0..1));
        let mut pauses = Vec::new();
        for _ in 0..8 {
            schedule.not_answered(start, 1.0);
            pauses.push(report_all(&mut schedule, start, &note).1.as_millis());
        }
        assert_eq!(pauses, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
        schedule.reported(start, "another", 1);
        schedule.not_answered(start, 0.0);
        assert_eq!(schedule.next(start, &note), Next::Wait(start + FIRST_PAUSE / 2));
        schedule.forbidden(start);
        assert_eq!(schedule.next(start, &note), Next::Wait(start + LONGEST_PAUSE));
        assert_eq!(report_all(&mut schedule, start + LONGEST_PAUSE, &note).0, 1);
    }
}
