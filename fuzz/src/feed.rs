//! Any messages of a feed of limits, taken over as from a server.
//!
//! The yardsticks: what is refused changes nothing; what is taken has the sum that its server said; a state that is told the same directly has the
//! same limits; and what the limits say of themselves gives them again.
//!
//! The first byte of an input chooses whether the sums of changes of one part are set right (bit 0); they are hard to guess. The others are
//! messages, each behind its length; an empty one begins a new stream.

use std::sync::{Arc, LazyLock};

use limits::{EntryUpdate, LimitsState, Mode, Snapshot, TenantLimits, Update};
use limits_source::fuzzing::FeedClient;
use prost::Message;
use proto::edge::limits::v1::watch_response::Update as FeedUpdate;
use proto::edge::limits::v1::{LimitsPart, Mode as FeedMode, WatchResponse};
use tokio::runtime::Runtime;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build();
    runtime.expect("a runtime can be started")
});

/// Takes an input over.
pub fn take(input: &[u8]) {
    let Some((choice, mut bytes)) = input.split_first() else { return };
    RUNTIME.block_on(async {
        let mut client = FeedClient::new().expect("a client needs nothing");
        let mut mirror = LimitsState::new(TenantLimits::default(), false);
        while !bytes.is_empty() {
            let Ok(mut message) = WatchResponse::decode_length_delimited(&mut bytes) else { return };
            if message.update.is_none() {
                client.begin_stream();
                continue;
            }
            let told = told_directly(&mirror, &message, client.is_between_changes());
            if let (Some((_, sum)), Some(FeedUpdate::Limits(part)), 1) = (&told, &mut message.update, choice & 1)
                && let Some(version) = &mut part.version
            {
                version.content_sum = *sum;
            }
            take_message(&mut client, &mut mirror, message, told.map(|(state, _)| state)).await;
        }
    });
}

async fn take_message(
    client: &mut FeedClient,
    mirror: &mut LimitsState,
    message: WatchResponse,
    told: Option<LimitsState>,
) {
    let before = client.limits();
    let taken = client.take(message).await;
    let after = client.limits();
    let changed = before.as_ref().map(Arc::as_ptr) != after.as_ref().map(Arc::as_ptr);
    assert!(taken.is_ok() || !changed, "what was refused changed something");
    let Some(limits) = after.filter(|_| changed) else { return };
    *mirror = told.unwrap_or_else(|| said_by_itself(&limits));
    let sum = mirror.current().map(|limits| limits.content_sum());
    assert_eq!(sum, Some(limits.content_sum()), "a state that is told the same has other limits");
    assert_eq!(said_by_itself(&limits).current().map(|limits| limits.content_sum()), sum);
}

/// What the limits come to by a message that is a whole change, without a feed.
fn told_directly(mirror: &LimitsState, message: &WatchResponse, between: bool) -> Option<(LimitsState, u64)> {
    let Some(FeedUpdate::Limits(LimitsPart { complete, last: true, put, removed, .. })) = &message.update else {
        return None;
    };
    let put = put.iter().map(|entry| {
        let mode = match FeedMode::try_from(entry.mode) {
            Ok(FeedMode::Enforce) => Some(Mode::Enforce),
            Ok(FeedMode::Shadow) => Some(Mode::Shadow),
            Err(_) => None,
        };
        mode.map(|mode| EntryUpdate { tenant: &entry.tenant, mode, own_fields: &entry.fields })
    });
    let put = put.collect::<Option<Vec<_>>>().filter(|_| between)?;
    let mut state = mirror.clone();
    let removed = removed.iter().map(String::as_str).collect();
    let updated = state.update(&Update { complete: *complete, put, removed }).ok()?;
    let sum = updated.snapshot.content_sum();
    Some((state, sum))
}

/// A state with these limits, from what they say of themselves.
fn said_by_itself(limits: &Snapshot) -> LimitsState {
    let entries: Vec<_> = limits.tenants().map(|(key, entry)| (key.as_str(), entry.mode, entry.own_fields())).collect();
    let put = entries.iter().map(|(tenant, mode, own_fields)| EntryUpdate { tenant, mode: *mode, own_fields });
    let mut state = LimitsState::new(TenantLimits::default(), true);
    let update = Update { complete: true, put: put.collect(), removed: Vec::new() };
    state.update(&update).expect("what an entry says of itself is read");
    state
}
