//! Any messages of the feed of limits, as from a server.
//!
//! Checks: a rejected message changes nothing; accepted limits have the server's checksum; a state that gets the same update directly
//! has the same limits; and the entries of the limits reproduce them.
//!
//! The first byte of an input chooses whether the checksums of changes of one part are corrected (bit 0); they are hard to guess.
//! The others are length-delimited messages; an empty one begins a new stream.

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

/// Feeds an input to a client.
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
            let direct = updated_directly(&mirror, &message, client.is_between_changes());
            if let (Some((_, sum)), Some(FeedUpdate::Limits(part)), 1) = (&direct, &mut message.update, choice & 1)
                && let Some(version) = &mut part.version
            {
                version.content_sum = *sum;
            }
            take_message(&mut client, &mut mirror, message, direct.map(|(state, _)| state)).await;
        }
    });
}

async fn take_message(
    client: &mut FeedClient,
    mirror: &mut LimitsState,
    message: WatchResponse,
    direct: Option<LimitsState>,
) {
    let before = client.limits();
    let taken = client.take(message).await;
    let after = client.limits();
    let changed = before.as_ref().map(Arc::as_ptr) != after.as_ref().map(Arc::as_ptr);
    assert!(taken.is_ok() || !changed, "a rejected message changed the limits");
    let Some(limits) = after.filter(|_| changed) else { return };
    *mirror = direct.unwrap_or_else(|| from_entries(&limits));
    let sum = mirror.current().map(|limits| limits.content_sum());
    assert_eq!(sum, Some(limits.content_sum()), "a direct update gives other limits");
    assert_eq!(from_entries(&limits).current().map(|limits| limits.content_sum()), sum);
}

/// The state after a message with a whole change, without the feed, and its checksum.
fn updated_directly(mirror: &LimitsState, message: &WatchResponse, between: bool) -> Option<(LimitsState, u64)> {
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

/// A state with these limits, from their entries.
fn from_entries(limits: &Snapshot) -> LimitsState {
    let entries: Vec<_> = limits.tenants().map(|(key, entry)| (key.as_str(), entry.mode, entry.own_fields())).collect();
    let put = entries.iter().map(|(tenant, mode, own_fields)| EntryUpdate { tenant, mode: *mode, own_fields });
    let mut state = LimitsState::new(TenantLimits::default(), true);
    let update = Update { complete: true, put: put.collect(), removed: Vec::new() };
    state.update(&update).expect("the fields of an entry can be read");
    state
}
