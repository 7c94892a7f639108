//! Limits under which a tenant's past passes, with room.

use serde::Serialize;

use crate::charges::{Charge, charges};
use crate::interval::{Interval, with_all_items};

/// The average over this time sets the rate: shorter peaks are for the burst.
const SUSTAINED_SECONDS: u32 = 15 * 60;
/// How much more than what was seen.
const ROOM: f64 = 1.25;
/// How many digits of a suggestion are not 0.
const DIGITS: i32 = 2;

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// Samples, histograms, exemplars and metadata.
    Items,
    /// Pushes.
    Requests,
}

impl Counted {
    fn all(self, interval: &Interval) -> u32 {
        match self {
            Self::Items => interval.total.items,
            Self::Requests => interval.total.requests,
        }
    }

    fn highest_second(self, interval: &Interval) -> u32 {
        match self {
            Self::Items => interval.peak_items,
            Self::Requests => interval.peak_requests,
        }
    }

    fn largest_push(self, interval: &Interval) -> u32 {
        match self {
            Self::Items => interval.total.largest,
            Self::Requests => interval.total.requests.min(1),
        }
    }

    fn of(self, charge: &Charge) -> u64 {
        match self {
            Self::Items => charge.items,
            Self::Requests => charge.requests,
        }
    }
}

/// A rate and a burst, and what they come from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Suggestion {
    /// The rate, a second: the highest average over a quarter of an hour, and a quarter more, rounded up to two digits.
    pub rate: f64,
    /// The burst: the most that was sent beyond this rate at once, and a quarter more, rounded up to two digits; never less than a second of the rate.
    pub burst: u64,
    /// The highest average over a quarter of an hour, or over all of a shorter past.
    pub sustained: f64,
    /// The highest second.
    pub peak: u32,
    /// The most that was sent beyond the rate at once, or in one push.
    pub beyond: u64,
    /// How many seconds were seen.
    pub seconds: u64,
}

/// Suggests limits by what a tenant sent, under which [`simulate()`](crate::simulate()) denies none of it.
///
/// `None` if nothing was sent.
#[must_use]
pub fn suggest(past: &[Interval], counted: Counted) -> Option<Suggestion> {
    let past = &with_all_items(past);
    let seconds = past.iter().map(|interval| u64::from(interval.seconds)).sum();
    let sustained = highest_average(past, |interval| counted.all(interval));
    if sustained <= 0.0 {
        return None;
    }
    let rate = round_up(sustained * ROOM);
    let peak = past.iter().map(|interval| counted.highest_second(interval)).max().unwrap_or_default();
    let beyond = most_beyond(past, rate, counted);
    let burst = round_up((beyond as f64 * ROOM).max(rate)).ceil() as u64;
    Some(Suggestion { rate, burst, sustained, peak, beyond, seconds })
}

/// The highest average of as many consecutive intervals as last [`SUSTAINED_SECONDS`], or of all of them if they last less.
fn highest_average(past: &[Interval], of: impl Fn(&Interval) -> u32) -> f64 {
    let (mut highest, mut sum, mut seconds, mut first) = (0.0_f64, 0_u64, 0_u32, past.iter());
    let mut whole = false;
    for interval in past {
        sum += u64::from(of(interval));
        seconds += interval.seconds;
        while seconds > SUSTAINED_SECONDS {
            let Some(oldest) = first.next() else { break };
            sum -= u64::from(of(oldest));
            seconds -= oldest.seconds;
            whole = true;
        }
        if whole || seconds == SUSTAINED_SECONDS {
            highest = highest.max(sum as f64 / f64::from(seconds.max(1)));
        }
    }
    if highest > 0.0 { highest } else { sum as f64 / f64::from(seconds.max(1)) }
}

/// The lowest burst under which the past passes at this rate: how deep a bucket that may go into debt would go. What is sent within a second may come at once.
fn most_beyond(past: &[Interval], rate: f64, counted: Counted) -> u64 {
    let (mut debt, mut most) = (0.0_f64, 0.0_f64);
    for interval in past {
        most = most.max(debt + f64::from(counted.highest_second(interval).max(counted.largest_push(interval))));
        let mut last = 0.0;
        for charge in charges(interval) {
            debt = (debt - rate * (charge.within - last)).max(0.0) + counted.of(&charge) as f64;
            most = most.max(debt);
            last = charge.within;
        }
        debt = (debt - rate * (f64::from(interval.seconds) - last)).max(0.0);
    }
    most.ceil() as u64
}

/// Up to the next number of two digits and zeros.
fn round_up(number: f64) -> f64 {
    if number <= 0.0 {
        return 0.0;
    }
    let digits = number.log10().floor() as i32 + 1 - DIGITS;
    // A power of ten below 1 has no exact value, and its inverse has.
    let unit = 10_f64.powi(digits.abs());
    if digits < 0 { (number * unit - 1e-9).ceil() / unit } else { (number / unit - 1e-9).ceil() * unit }
}

#[cfg(test)]
mod tests {
    use limits::{Burst, Rate, RateLimit};
    use proptest::prelude::*;

    use super::*;
    use crate::interval::Usage;
    use crate::simulate::{Limits, simulate};

    fn second(requests: u32, items: u32, largest: u32) -> Interval {
        Interval::second(Usage { requests, counted: requests, items, largest, ..Usage::default() })
    }

    fn with(mut interval: Interval, next: Interval) -> Interval {
        interval.add(&next);
        interval
    }

    #[test]
    fn a_steady_load_gets_a_quarter_more() {
        let suggestion = suggest(&vec![second(10, 1_000, 100); 1_800], Counted::Items).unwrap();
        assert_eq!((suggestion.rate, suggestion.burst), (1_300.0, 1_300));
        assert_eq!((suggestion.sustained, suggestion.peak, suggestion.seconds), (1_000.0, 1_000, 1_800));
    }

    #[test]
    fn a_peak_is_for_the_burst_alone() {
        let mut past = vec![second(1, 100, 100); 1_800];
        past[900] = second(10, 50_000, 5_000);
        let suggestion = suggest(&past, Counted::Items).unwrap();
        assert!((155.0..=155.5).contains(&suggestion.sustained), "{suggestion:?}");
        assert_eq!((suggestion.rate, suggestion.burst), (200.0, 63_000));
        assert!((50_000..50_200).contains(&suggestion.beyond));
    }

    #[test]
    fn nothing_sent_suggests_nothing() {
        assert_eq!(suggest(&[], Counted::Items), None);
        assert_eq!(suggest(&[second(0, 0, 0)], Counted::Items), None);
    }

    #[test]
    fn rounds_up_to_two_digits() {
        for (number, rounded) in
            [(1.0, 1.0), (99.5, 100.0), (101.0, 110.0), (1_250.0, 1_300.0), (0.031, 0.031), (3.21, 3.3)]
        {
            assert_eq!(round_up(number), rounded);
        }
    }

    proptest! {
        /// Under what is suggested, the past passes, second by second and in steps.
        #[test]
        fn what_is_suggested_denies_nothing(
            seconds in proptest::collection::vec((0u32..20, 0u32..2_000, 0u32..20_000, 0u32..3), 1..400),
            step in prop_oneof![Just(1_usize), Just(10)],
        ) {
            let past: Vec<Interval> = seconds
                .into_iter()
                .map(|(requests, each, largest, unknown)| match requests {
                    0 => second(0, 0, 0),
                    _ => {
                        let mut known = second(requests, (requests - 1) * each.min(largest) + largest, largest);
                        known.total.requests += unknown;
                        known.peak_requests += unknown;
                        known
                    }
                })
                .collect();
            let past: Vec<Interval> = past.chunks(step).map(|seconds| seconds.iter().copied().fold(Interval::default(), with)).collect();
            let none = RateLimit::of_one(Rate::Unlimited, Burst::Items(0));
            for counted in [Counted::Items, Counted::Requests] {
                let Some(Suggestion { rate, burst, .. }) = suggest(&past, counted) else { continue };
                let suggested = RateLimit::of_one(Rate::PerSecond(rate), Burst::Items(i64::try_from(burst).unwrap()));
                let limits = match counted {
                    Counted::Items => Limits { request: none, ingestion: suggested },
                    Counted::Requests => Limits { request: suggested, ingestion: none },
                };
                prop_assert_eq!(simulate(&past, &limits).denied(), 0, "{:?}", counted);
            }
        }
    }
}
