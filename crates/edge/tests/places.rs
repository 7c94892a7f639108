//! Whether a tenant without buckets gets a place of its own once all places are taken: the control state says so that decides its push.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::num::NonZeroU32;
use std::sync::Arc;

use edge::{
    BodyPolicy, Clock, ControlHandle, ControlWriter, HaTracker, Hits, Pipeline, Policy, Push, PushBody, TenantHeader,
};
use enforce::{BucketOwner, MAX_PLACES, MonotonicNanos};
use limits::{EdgeConfig, LimitsState, SourceDocument, Tenant, TenantLimits};
use remote_write::{BodyLimits, PushCounts};

const BODIES: BodyPolicy = BodyPolicy {
    decode: true,
    max_request_bytes: 1 << 20,
    limits: BodyLimits { max_decoded_bytes: 1 << 20 },
    forward_unreadable: false,
};
const START: MonotonicNanos = MonotonicNanos::from_nanos(0);
const SETTINGS: &str = "{ request_rate: 10, request_burst_size: 10, ingestion_rate: 10, ingestion_burst_size: 10 }";

/// A pipeline whose places are all taken, by tenants with these limits.
fn full() -> (Pipeline, ControlWriter, ControlHandle) {
    let (mut writer, control) = ControlWriter::new(Arc::new(EdgeConfig::default()), HaTracker::default());
    put_limits(&mut writer, "");
    let policy = Policy { bodies: BODIES, charge_items: true, ha_tracker: true };
    let pipeline = Pipeline::new(control.clone(), policy, None, Clock::start());
    let limit = TenantLimits::default().ingestion_limit(NonZeroU32::MIN);
    for number in 0..MAX_PLACES {
        let name = format!("invented-{number}");
        let owner = BucketOwner { tenant: tenant(&name), has_override: false };
        assert!(pipeline.enforcer().charge_items(&owner, limit, 1, START).into_result().is_ok());
    }
    assert!(pipeline.enforcer().is_full());
    (pipeline, writer, control)
}

fn put_limits(writer: &mut ControlWriter, overrides: &str) {
    let text = format!("overrides: {{ other: {SETTINGS}{overrides} }}");
    let limits = LimitsState::new(TenantLimits::default(), false).apply(&[SourceDocument::new("runtime.yaml", &text)]);
    assert!(limits.problems.is_empty(), "{:?}", limits.problems);
    writer.put_limits_compiled(limits.snapshot.unwrap());
}

fn tenant(name: &str) -> Tenant<'_> {
    Tenant::parse(Some(name.as_bytes())).unwrap()
}

#[test]
fn the_state_of_a_push_says_whether_its_tenant_shares() {
    let (pipeline, mut writer, control) = full();
    let before = control.load();
    put_limits(&mut writer, &format!(", late: {SETTINGS}"));
    let after = control.load();
    let enforcer = pipeline.enforcer();
    // A call that began before the override counts on shared buckets to its end, although there is one now.
    for (hits, overflows) in [(Hits::Requests(1), 1), (Hits::Items(1), 2)] {
        assert!(!pipeline.charge_hits(&before, &tenant("late"), hits).unwrap().has_override);
        assert_eq!((enforcer.tenants(), enforcer.tenant_overflows()), (MAX_PLACES, overflows));
    }
    for hits in [Hits::Requests(1), Hits::Items(1)] {
        assert!(pipeline.charge_hits(&after, &tenant("late"), hits).unwrap().has_override);
        assert_eq!((enforcer.tenants(), enforcer.tenant_overflows()), (MAX_PLACES + 1, 2));
    }
}

#[test]
fn the_verdict_on_a_push_names_its_override() {
    let (mut writer, control) = ControlWriter::new(Arc::new(EdgeConfig::default()), HaTracker::default());
    put_limits(&mut writer, "");
    let policy = Policy { bodies: BODIES, charge_items: true, ha_tracker: true };
    let pipeline = Pipeline::new(control, policy, None, Clock::start());
    let has_override = |tenant: &'static str| {
        let push = Push {
            tenant: TenantHeader::Once(tenant.into()),
            content_type: None,
            retry_attempt: 0,
            skips_validation: false,
            body: PushBody::Counted(PushCounts { samples: 1, ..PushCounts::default() }),
        };
        pipeline.decide_here(&push).unwrap().has_override
    };
    assert_eq!(["other", "other:k=v", "unknown", "a|b"].map(has_override), [true, true, false, false]);
}
