//! What is given back, and that it is never more than was taken.

use super::*;

fn tokens(enforcer: &Enforcer, tenant: &BucketOwner<'_>, limit: RateLimit, now: MonotonicNanos) -> Option<f64> {
    enforcer.ingestion_level(tenant, limit, now).tokens()
}

#[test]
fn what_comes_back_can_be_charged_again() {
    let enforcer = Enforcer::new();
    let ten = limit(0.001, 10);
    for _ in 0..50 {
        check(&enforcer.charge_items(&tenant("a"), ten, 7, START), None);
        check(&enforcer.charge_items(&tenant("a"), ten, 7, START), Some(DenyReason::IngestionRate));
        enforcer.refund_items(&tenant("a"), ten, 7, START);
        check(&enforcer.admit_requests(&tenant("a"), ten, 10, START), None);
        check(&enforcer.admit_request(&tenant("a"), ten, START), Some(DenyReason::RequestRate));
        enforcer.refund_requests(&tenant("a|a"), ten, 10, START);
    }
    assert_eq!(tokens(&enforcer, &tenant("a"), ten, START), Some(10.0));
    assert_eq!(enforcer.request_level(&tenant("a"), ten, START).tokens(), Some(10.0));
}

#[test]
fn a_refund_makes_no_tenant_and_no_spelling() {
    let enforcer = Enforcer::new();
    enforcer.refund_items(&tenant("a"), limit(1.0, 10), u64::MAX, START);
    enforcer.refund_requests(&tenant("a:k=v"), limit(1.0, 10), 1, START);
    assert_eq!(enforcer.tenants(), 0);
    check(&enforcer.charge_items(&tenant("a"), limit(0.001, 10), 10, START), None);
    enforcer.refund_items(&tenant("a:k=v"), limit(0.001, 10), 10, START);
    assert_eq!(tokens(&enforcer, &tenant("a"), limit(0.001, 10), START), Some(0.0));
}

#[test]
fn each_spelling_gets_back_its_own() {
    let enforcer = Enforcer::new();
    let ten = limit(0.001, 10);
    for header in ["a", "a:k=v", "a:k=w"] {
        check(&enforcer.charge_items(&tenant(header), ten, 10, START), None);
    }
    enforcer.refund_items(&tenant("a:k=v"), ten, 6, START);
    let left = ["a", "a:k=v", "a:k=w"].map(|header| tokens(&enforcer, &tenant(header), ten, START));
    assert_eq!(left, [Some(0.0), Some(6.0), Some(0.0)]);
}

#[test]
fn refunds_return_to_the_shared_bucket_that_paid() {
    let enforcer = Enforcer::new();
    let ten = limit(0.001, 10);
    for number in 0..MAX_SPELLINGS {
        check(&enforcer.charge_items(&tenant(&format!("a:k={number}")), ten, 1, START), None);
    }
    check(&enforcer.charge_items(&tenant("a:k=more"), ten, 10, START), None);
    assert_eq!(tokens(&enforcer, &tenant("a"), ten, START), Some(0.0));
    enforcer.refund_items(&tenant("a:k=more"), ten, 10, START);
    assert_eq!(tokens(&enforcer, &tenant("a"), ten, START), Some(10.0));
}

#[test]
fn the_limit_of_the_refund_is_the_one_that_holds() {
    let enforcer = Enforcer::new();
    check(&enforcer.charge_items(&tenant("a"), limit(0.001, 1_000), 900, START), None);
    enforcer.refund_items(&tenant("a"), limit(0.001, 10), 900, START);
    assert_eq!(tokens(&enforcer, &tenant("a"), limit(0.001, 10), START), Some(10.0));
    enforcer.refund_items(&tenant("a"), UNLIMITED, 900, START);
    assert_eq!(tokens(&enforcer, &tenant("a"), UNLIMITED, START), None);
    check(&enforcer.charge_items(&tenant("a"), UNLIMITED, u64::MAX, START), None);
}

#[test]
fn what_gos_arithmetic_makes_of_odd_rates_stays() {
    for (per_second, burst, left) in [(-1.0, 10, 10.0), (0.0, 10, 10.0), (1.0, -3, -3.0), (1.0, 0, 0.0)] {
        let (enforcer, odd) = (Enforcer::new(), limit(per_second, burst));
        let taken = enforcer.charge_items(&tenant("a"), odd, 4, START) == Decision::Allow;
        assert_eq!(taken, burst > 4, "{odd:?}");
        enforcer.refund_items(&tenant("a"), odd, u64::MAX, START);
        assert_eq!(tokens(&enforcer, &tenant("a"), odd, START), Some(left), "{odd:?}");
    }
    let (enforcer, nan) = (Enforcer::new(), limit(f64::NAN, 10));
    check(&enforcer.charge_items(&tenant("a"), nan, 4, START), None);
    enforcer.refund_items(&tenant("a"), nan, 4, seconds(1));
    assert!(tokens(&enforcer, &tenant("a"), nan, seconds(1)).is_some_and(f64::is_nan));
}

/// Mimir and the edge in front of it, and a tenant that offers twice its rate for 100 s.
#[test]
fn an_overfull_edge_converges_to_mimir_despite_refunds() {
    let (edge, mimir, hundred) = (Enforcer::new(), Enforcer::new(), limit(100.0, 1_000));
    // The edge was started again: its bucket is full, and Mimir's is empty.
    check(&mimir.charge_items(&tenant("a"), hundred, 1_000, START), None);
    let (mut refused, mut late) = (0, 0);
    for tick in 0..2_000 {
        let now = START + Duration::from_millis(50 * tick);
        if edge.charge_items(&tenant("a"), hundred, 10, now) != Decision::Allow {
            continue;
        }
        if mimir.charge_items(&tenant("a"), hundred, 10, now) != Decision::Allow {
            edge.refund_denied_items(&tenant("a"), hundred, 10, now);
            refused += 10;
            late += if tick >= 1_000 { 10 } else { 0 };
        }
    }
    // Both bursts, and a tenth of what the tenant may send: 1,000, 1,000 and 1,000 of 10,000. Without a bound all of 10,000.
    assert!((1_500..=3_000).contains(&refused), "{refused}");
    assert!(late <= 550, "{late} of 5,000 in the second half");
}

#[test]
fn refunds_of_mimirs_429s_are_bounded_by_a_burst() {
    let (enforcer, ten) = (Enforcer::new(), limit(10.0, 10));
    assert!(!enforcer.refund_denied_items(&tenant("a"), ten, 1, START), "nothing was charged");
    assert_eq!(enforcer.tenants(), 0);
    for (number, expected) in [(0, true), (1, true), (2, false)] {
        let now = START;
        check(&enforcer.charge_items(&tenant("a"), ten, 5, now), None);
        assert_eq!(enforcer.refund_denied_items(&tenant("a"), ten, 5, now), expected, "{number}");
        assert_eq!(enforcer.refund_denied_requests(&tenant("a"), ten, 5, now), expected, "{number}");
    }
    assert_eq!(tokens(&enforcer, &tenant("a"), ten, START), Some(5.0));
    // One a second.
    assert!(!enforcer.refund_denied_items(&tenant("a"), ten, 5, seconds(4)));
    assert!(enforcer.refund_denied_items(&tenant("a"), ten, 5, seconds(5)));
    assert!(enforcer.refund_denied_items(&tenant("a"), UNLIMITED, u64::MAX, seconds(5)));
}

/// A push and, if it is to come back once it was charged, how much later.
#[derive(Debug, Clone)]
struct Push {
    pause_millis: u64,
    items: u64,
    refund_after: Option<u64>,
}

fn pushes(latest: u64) -> impl Strategy<Value = Vec<Push>> {
    let push = (0_u64..5_000, 0_u64..150, proptest::option::of(0..=latest));
    vec(push.prop_map(|(pause_millis, items, refund_after)| Push { pause_millis, items, refund_after }), 1..80)
}

/// An edge that sees all pushes and gets some back, and one that never sees those.
struct Pair {
    limit: RateLimit,
    edge: Enforcer,
    spared: Enforcer,
    /// When how much is to come back.
    due: Vec<(u64, u64)>,
    given_back: u64,
}

impl Pair {
    fn new(each_second: u32, burst: i64) -> Self {
        let limit = limit(f64::from(each_second), burst);
        Pair { limit, edge: Enforcer::new(), spared: Enforcer::new(), due: Vec::new(), given_back: 0 }
    }

    fn push(&mut self, millis: u64, push: &Push) {
        self.refund_until(millis);
        let now = START + Duration::from_millis(millis);
        if self.edge.charge_items(&tenant("a"), self.limit, push.items, now) != Decision::Allow {
            return;
        }
        match push.refund_after {
            Some(after) => self.due.push((millis + after, push.items)),
            None => drop(self.spared.charge_items(&tenant("a"), self.limit, push.items, now)),
        }
        self.refund_until(millis);
    }

    fn refund_until(&mut self, millis: u64) {
        self.due.sort_unstable_by(|one, other| other.cmp(one));
        while let Some((at, items)) = self.due.pop_if(|(at, _)| *at <= millis) {
            self.edge.refund_items(&tenant("a"), self.limit, items, START + Duration::from_millis(at));
            self.given_back += items;
        }
    }

    fn held(&self, millis: u64) -> [f64; 2] {
        let now = START + Duration::from_millis(millis);
        [&self.edge, &self.spared].map(|enforcer| tokens(enforcer, &tenant("a"), self.limit, now).unwrap())
    }
}

proptest! {
    /// A push that comes back at once leaves no trace.
    #[test]
    fn what_comes_back_at_once_was_never_charged((each_second, burst) in (0_u32..200, 0_i64..400), pushes in pushes(0)) {
        let (mut pair, mut clock) = (Pair::new(each_second, burst), 0);
        for push in &pushes {
            clock += push.pause_millis;
            pair.push(clock, push);
            let [edge, spared] = pair.held(clock);
            prop_assert!((edge - spared).abs() < 1e-6, "{edge}, and {spared} without what came back");
        }
    }

    /// One that comes back late may find that its place was earned again meanwhile: then the cap holds. The bucket never holds more than it
    /// may, nor more than what came back above a bucket that never saw those pushes.
    #[test]
    fn no_refund_fills_a_bucket_beyond_its_capacity(
        (each_second, burst) in (0_u32..200, 0_i64..400),
        pushes in pushes(20_000),
    ) {
        let (mut pair, mut clock) = (Pair::new(each_second, burst), 0);
        for push in &pushes {
            clock += push.pause_millis;
            pair.push(clock, push);
            let [edge, spared] = pair.held(clock);
            prop_assert!(edge <= burst as f64, "{edge} of {burst}");
            prop_assert!(edge <= spared + pair.given_back as f64 + 1e-6, "{edge}, {spared}");
        }
        pair.refund_until(u64::MAX);
        let [edge, _] = pair.held(0);
        prop_assert!(edge <= burst as f64, "{edge} of {burst}");
    }
}
