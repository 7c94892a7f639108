//! Denials of charges whose number of items is known within bounds only.

use super::*;

#[test]
fn all_numbers_of_items_must_get_the_same_denial() {
    let enforcer = Enforcer::new();
    let (owner, limit) = (tenant("a"), limit(1.0, 10));
    let deny = |least, most| enforcer.deny_items(&owner, limit, (least, most), START).map(|denial| denial.reason());
    assert_eq!(deny(1, 5), None, "a full bucket allows them");
    check(&enforcer.charge_items(&owner, limit, 10, START), None);
    assert_eq!(deny(1, 10), Some(DenyReason::IngestionRate));
    assert_eq!(deny(0, 10), None, "no items are allowed");
    assert_eq!(deny(1, 11), None, "11 are over the burst");
    assert_eq!(deny(11, 12), None, "the denial names the number");
    assert_eq!(deny(11, 11), Some(DenyReason::IngestionBurst));
}

#[test]
fn only_a_denial_charges_a_shared_bucket() {
    let (enforcer, limit) = (Enforcer::with_places(1), limit(1.0, 10));
    check(&enforcer.charge_items(&tenant("known"), limit, 1, START), None);
    let (owner, overflows) = (tenant("shared"), || enforcer.tenant_overflows());
    assert_eq!((enforcer.deny_items(&owner, limit, (1, 5), START), overflows()), (None, 0));
    check(&enforcer.charge_items(&owner, limit, 10, START), None);
    assert_eq!(overflows(), 1);
    assert!(enforcer.deny_items(&owner, limit, (1, 5), START).is_some() && overflows() == 2);
}

proptest! {
    #[test]
    fn a_denial_within_bounds_has_the_effect_of_a_charge(
        steps in vec((0..20_u64, 0..20_u64, 0..5_u64, 1..15_i64, any::<bool>()), 1..30),
    ) {
        let (one, other) = (Enforcer::new(), Enforcer::new());
        let mut now = 0;
        for (least, more, pause, burst, has_metadata) in steps {
            now += pause;
            let (owner, limit) = (tenant(if has_metadata { "a:k=v" } else { "a" }), limit(1.0, burst));
            let expected: Vec<Decision> = (least..=least + more)
                .map(|items| other.ingestion_level(&owner, limit, seconds(now)).preview_items(items))
                .collect();
            let denied = one.deny_items(&owner, limit, (least, least + more), seconds(now));
            let are_alike = expected.iter().all(|decision| *decision == expected[0]);
            let all = expected[0].clone().into_result().err().filter(|_| are_alike);
            prop_assert_eq!(&denied, &all);
            if denied.is_none() {
                let charged = one.charge_items(&owner, limit, least, seconds(now));
                prop_assert_eq!(&charged, &expected[0]);
            }
            let items = if denied.is_some() { least + more } else { least };
            let charged = other.charge_items(&owner, limit, items, seconds(now));
            prop_assert_eq!(charged, expected[usize::from(denied.is_some()) * usize::try_from(more).unwrap_or_default()].clone());
            for name in ["a", "a:k=v"] {
                let [one, other] = [&one, &other].map(|from| from.ingestion_level(&tenant(name), limit, seconds(now)));
                prop_assert_eq!(one, other);
            }
        }
    }
}
