//! The worst pushes: what they take of memory and work, and that none of them is free.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod tenant;
#[path = "pushes.rs"]
mod worst;

use remote_write::{PushCounts, Scratch, Unmetered, claimed_bytes, working_bytes};
use tenant::WorstTenant;

/// They are charged as sent.
#[test]
fn the_worst_pushes_stay_within_reserved_memory() {
    for worst in worst::all() {
        let tenant = WorstTenant::of(&worst);
        let claimed = claimed_bytes(&worst.body).unwrap();
        let mut scratch = Scratch::default();
        let mut counts = None;
        let taken = allocation_counter::measure(|| {
            counts = Some(tenant.read(&worst, &mut scratch));
        });
        let (peak, most) = (usize::try_from(taken.bytes_max).unwrap(), working_bytes(claimed));
        assert!(peak <= most, "{}: {peak} bytes of {most}, {claimed} claimed", worst.name);

        // In all, and the same is read of it with what is kept.
        let kept = allocation_counter::measure(|| scratch.shrink(1 << 20)).bytes_current;
        let kept = taken.bytes_current + kept;
        assert!(kept <= (1 << 20) + 1024, "{} keeps {kept} bytes", worst.name);
        let counts = counts.unwrap();
        assert_eq!(tenant.read(&worst, &mut scratch), counts, "{}", worst.name);

        // What was judged before it came to its bound may be invalid.
        let is_charged = counts.unmetered.is_none() || counts.sent.samples == 0 || counts.samples > 0;
        assert!(is_charged, "{}: {counts:?}", worst.name);
        let is_abandoned = counts.unmetered.is_some_and(|why| why != Unmetered::TruncatedValues);
        assert!(!is_abandoned || counts.exemplars == counts.sent.exemplars, "{}: {counts:?}", worst.name);
    }
}

#[test]
fn four_kilobytes_take_no_memory_worth_naming() {
    let worst = worst::long_value_referred_to();
    let tenant = WorstTenant::of(&worst);
    assert!(worst.body.len() < 6000, "{}", worst.body.len());
    let mut counts = PushCounts::default();
    let taken = allocation_counter::measure(|| {
        counts = tenant.read(&worst, &mut Scratch::default());
    });
    assert!(taken.bytes_max < 1 << 20, "{} bytes", taken.bytes_max);
    assert_eq!((counts.items(), counts.unmetered), (10, Some(Unmetered::Buffers)));
}
