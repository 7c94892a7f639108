//! The pushes of an interval, one after another: what was sent when, as far as counts say.

use crate::interval::{Interval, Usage};

/// The most charges for one second, so that invented numbers take bounded time: more pushes than that are charged in groups of the same size.
const MOST_CHARGES: u32 = 10_000;

/// One push, or a group of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Charge {
    /// Seconds since the interval began.
    pub(crate) within: f64,
    pub(crate) requests: u64,
    pub(crate) items: u64,
}

/// The pushes of an interval: spread evenly, the largest first. Where that hides the interval's highest second, that second comes first, and the others follow
/// evenly.
pub(crate) fn charges(interval: &Interval) -> impl Iterator<Item = Charge> {
    let (first, rest) = highest_second(interval).unwrap_or((*interval, Interval::default()));
    spread(first, 0.0).chain(spread(rest, first.seconds.into()))
}

/// The highest second and the others; `None` if evenly spread pushes have such a second too.
fn highest_second(interval: &Interval) -> Option<(Interval, Interval)> {
    let Interval { seconds, total, peak_requests, peak_items } = *interval;
    let Usage { requests, items, largest, .. } = total;
    let (in_first, others) = (requests.div_ceil(seconds.max(1)), requests.saturating_sub(1).max(1));
    let rest_of_first = in_first.saturating_sub(1).saturating_mul(items.saturating_sub(largest).div_ceil(others));
    let is_hidden = peak_requests > in_first || peak_items > largest.saturating_add(rest_of_first);
    if seconds <= 1 || requests == 0 || !is_hidden {
        return None;
    }
    let peak_requests = peak_requests.clamp(1, requests);
    let peak_items = if peak_requests == requests { items } else { peak_items.max(largest).min(items) };
    let (requests, items) = (requests - peak_requests, items - peak_items);
    let peak = Usage { requests: peak_requests, items: peak_items, largest, ..Usage::default() };
    let even = Usage { requests, items, largest: items.div_ceil(requests.max(1)), ..Usage::default() };
    Some((Interval::second(peak), Interval { seconds: seconds - 1, total: even, ..Interval::default() }))
}

/// All pushes of an interval evenly, from so many seconds on.
fn spread(interval: Interval, from: f64) -> impl Iterator<Item = Charge> {
    let Usage { requests, items, largest, .. } = interval.total;
    let charges = requests.min(interval.seconds.saturating_mul(MOST_CHARGES));
    let items = u64::from(items);
    let largest = u64::from(largest).min(items);
    let grouped = requests > charges;
    (0..charges).map(move |charge| {
        let items = match charge {
            _ if grouped || charges == 1 => share(items, charges, charge),
            0 => largest,
            _ => share(items - largest, charges - 1, charge - 1),
        };
        let within = from + f64::from(interval.seconds) * f64::from(charge) / f64::from(charges);
        Charge { within, requests: share(requests.into(), charges, charge), items }
    })
}

/// The part with this number of so many equal parts.
fn share(all: u64, of: u32, number: u32) -> u64 {
    let (of, number) = (u64::from(of), u64::from(number));
    (all * (number + 1) / of).saturating_sub(all * number / of)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn step(requests: u32, items: u32, largest: u32, (peak_requests, peak_items): (u32, u32)) -> Interval {
        let total = Usage { requests, counted: requests, items, largest, ..Usage::default() };
        Interval { seconds: 10, total, peak_requests, peak_items }
    }

    /// When the pushes are sent, and their items.
    fn played(interval: &Interval) -> Vec<(f64, u64)> {
        charges(interval).map(|charge| (charge.within, charge.items)).collect()
    }

    #[test]
    fn a_step_without_a_higher_second_is_even() {
        assert_eq!(played(&step(2, 200, 100, (1, 100))), [(0.0, 100), (5.0, 100)]);
        assert_eq!(played(&step(4, 310, 100, (1, 100))), [(0.0, 100), (2.5, 70), (5.0, 70), (7.5, 70)]);
        assert_eq!(played(&step(0, 0, 0, (0, 0))), []);
    }

    #[test]
    fn the_highest_second_of_a_step_comes_first() {
        let peak = [(0.0, 100), (0.25, 66), (0.5, 67), (0.75, 67)];
        let rest = [(1.0, 17), (4.0, 16), (7.0, 17)];
        assert_eq!(played(&step(7, 350, 100, (4, 300))), [&peak[..], &rest[..]].concat());
        assert_eq!(played(&step(3, 90, 30, (3, 90))), [(0.0, 30), (1.0 / 3.0, 30), (2.0 / 3.0, 30)]);
        // The second with the most items need not be the one with the most pushes.
        assert_eq!(played(&step(3, 90, 80, (2, 80))), [(0.0, 80), (0.5, 0), (1.0, 10)]);
    }

    #[test]
    fn grouped_pushes_lose_no_item() {
        let total = Usage { requests: 123_456, counted: 123_456, items: 1_000_003, largest: 100, ..Usage::default() };
        let all: Vec<Charge> = charges(&Interval::second(total)).collect();
        assert_eq!(all.len(), 10_000);
        assert_eq!(all.iter().map(|charge| charge.requests).sum::<u64>(), 123_456);
        assert_eq!(all.iter().map(|charge| charge.items).sum::<u64>(), 1_000_003);
    }

    proptest! {
        /// Also of numbers that no replica counts.
        #[test]
        fn every_push_and_item_is_played_once_and_in_order(
            seconds in 1u32..12, requests in 0u32..500, items in any::<u32>(), largest in any::<u32>(), peaks in any::<(u32, u32)>()
        ) {
            let interval = Interval { seconds, ..step(requests, items, largest, peaks) };
            let all: Vec<Charge> = charges(&interval).collect();
            prop_assert_eq!(all.iter().map(|charge| charge.requests).sum::<u64>(), u64::from(requests));
            prop_assert_eq!(all.iter().map(|charge| charge.items).sum::<u64>(), if requests == 0 { 0 } else { items.into() });
            prop_assert!(all.is_sorted_by(|one, next| one.within < next.within));
            prop_assert!(all.iter().all(|charge| charge.within < f64::from(seconds)));
        }
    }
}
