use std::collections::BTreeMap;

use limits::{LimitsState, SourceDocument, TenantLimits};
use proptest::prelude::*;
use prost::Message;
use proto::edge::limits::v1::TenantLimits as EntryMessage;

use super::*;

const BOUNDS: HistoryBounds = HistoryBounds { changes: 5, keys: 12 };

/// Tenants and their ingestion rates.
type Document = BTreeMap<u8, u32>;

/// A source and the publisher behind it.
struct Server {
    state: LimitsState,
    publisher: Publisher,
}

impl Server {
    fn new(epoch: u64, bounds: HistoryBounds) -> Self {
        Self { state: LimitsState::new(TenantLimits::default(), true), publisher: Publisher::new(epoch, bounds) }
    }

    fn read(&mut self, document: &Document, resource_version: u32) -> Option<Arc<Published>> {
        let lines: String =
            document.iter().map(|(tenant, rate)| format!("\n  t{tenant}: {{ingestion_rate: {rate}}}")).collect();
        self.read_text(&format!("overrides: {}", if lines.is_empty() { "{}" } else { &lines }), resource_version)
    }

    fn read_text(&mut self, text: &str, resource_version: u32) -> Option<Arc<Published>> {
        let applied = self.state.apply(&[SourceDocument::new("overrides.yaml", text)]);
        assert_eq!(applied.problems, [], "{text}");
        let origin = ObjectRevision { uid: "uid".into(), resource_version: resource_version.to_string().into() };
        let state =
            LoadedLimits { limits: applied.snapshot, origin: Some(Arc::new(origin)), ..LoadedLimits::default() };
        self.publisher.publish(&state, Instant::now())
    }
}

/// What a client of the feed has.
#[derive(Default)]
struct Client {
    have: Option<Version>,
    entries: BTreeMap<String, EntryMessage>,
}

impl Client {
    /// Applies an update; returns whether it was complete, and how many entries it had.
    fn take(&mut self, published: &Published) -> (bool, usize) {
        let parts = published.parts(self.have.as_ref());
        let (mut complete, mut entries) = (false, 0);
        for (place, part) in parts.iter().enumerate() {
            assert_eq!(part.version.as_ref(), Some(published.version()));
            assert_eq!(part.last, place + 1 == parts.len());
            assert!(part.removed.is_empty() || !part.complete);
            if part.complete && place == 0 {
                self.entries.clear();
            }
            complete = part.complete;
            entries += part.put.len() + part.removed.len();
            self.entries.extend(part.put.iter().map(|entry| (entry.tenant.clone(), entry.clone())));
            self.entries.retain(|tenant, _| !part.removed.contains(tenant));
        }
        self.have = Some(published.version().clone());
        (complete, entries)
    }
}

fn of(tenants: impl IntoIterator<Item = (u8, u32)>) -> Document {
    tenants.into_iter().collect()
}

proptest! {
    #[test]
    fn a_client_that_misses_versions_ends_with_the_newest_entries(
        documents in prop::collection::vec((prop::collection::btree_map(0..9_u8, 1..4_u32, 0..9), any::<bool>()), 1..12),
        restart_at in 0..12_usize,
    ) {
        let mut server = Server::new(1, BOUNDS);
        let (mut always, mut now_and_then) = (Client::default(), Client::default());
        for (number, (document, takes)) in documents.iter().enumerate() {
            if number == restart_at {
                server = Server::new(2, BOUNDS);
            }
            let Some(published) = server.read(document, 7) else { continue };
            always.take(&published);
            if *takes {
                now_and_then.take(&published);
            }
        }
        if let Some(newest) = &server.publisher.newest {
            now_and_then.take(newest);
            let tenants: Vec<_> = newest.snapshot.tenants().map(|(key, _)| key.to_string()).collect();
            prop_assert_eq!(now_and_then.entries.keys().cloned().collect::<Vec<_>>(), tenants);
        }
        prop_assert_eq!(&now_and_then.entries, &always.entries);
        prop_assert_eq!(&now_and_then.have, &always.have);
    }
}

#[test]
fn a_known_client_gets_changes_a_new_one_gets_everything() {
    let mut server = Server::new(1, BOUNDS);
    let mut client = Client::default();
    let first = server.read(&of((0..9).map(|tenant| (tenant, 1))), 1).unwrap();
    assert_eq!(client.take(&first), (true, 9));
    assert_eq!(client.take(&first), (false, 0));
    let second = server.read(&of((1..9).map(|tenant| (tenant, 1 + u32::from(tenant == 4)))), 2).unwrap();
    assert_eq!(client.take(&second), (false, 2), "one changed and one removed");
    assert_eq!(client.entries["t4"].fields, "{ingestion_rate: 2}");
    assert!(!client.entries.contains_key("t0"));
    assert_eq!(Client::default().take(&second), (true, 8));
}

#[test]
fn changes_to_neither_limits_nor_origin_are_not_published() {
    let mut server = Server::new(1, BOUNDS);
    assert_eq!(server.publisher.publish(&LoadedLimits::default(), Instant::now()).map(|_| ()), None, "no limits yet");
    assert_eq!(server.read(&of([(1, 1)]), 1).unwrap().version().sequence, 1);
    assert!(server.read(&of([(1, 1)]), 1).is_none());
    let (mut client, newer) = (Client::default(), server.read(&of([(1, 1)]), 2).unwrap());
    assert_eq!((newer.version().sequence, newer.version().resource_version.as_str()), (2, "2"));
    assert_eq!(client.take(&newer), (true, 1));
}

#[test]
fn another_process_with_the_same_limits_tells_only_its_version() {
    let (mut one, mut other) = (Server::new(1, BOUNDS), Server::new(2, BOUNDS));
    let mut client = Client::default();
    client.take(&one.read(&of([(1, 1), (2, 2)]), 1).unwrap());
    assert_eq!(client.take(&other.read(&of([(2, 2), (1, 1)]), 1).unwrap()), (false, 0));
    assert_eq!(client.have.as_ref().unwrap().epoch, 2);
    assert_eq!(client.take(&other.read(&of([(1, 1)]), 2).unwrap()), (false, 1), "and from then on what changes");
    assert_eq!(client.take(&one.read(&of([(3, 3)]), 3).unwrap()), (true, 1), "and everything where limits differ");
}

#[test]
fn a_client_older_than_the_history_gets_everything() {
    let mut server = Server::new(1, BOUNDS);
    let mut client = Client::default();
    client.take(&server.read(&of([(1, 1), (2, 1)]), 1).unwrap());
    let mut behind = |rates: std::ops::Range<u32>| {
        let newest = rates.map(|rate| server.read(&of([(1, rate), (2, 1)]), rate).unwrap()).last().unwrap();
        client.take(&newest)
    };
    assert_eq!(behind(2..7), (false, 1), "five changes are remembered");
    assert_eq!(behind(10..16), (true, 2), "six are not");

    let all_tenants = |rate| of((0..13).map(move |tenant| (tenant, rate)));
    client.take(&server.read(&all_tenants(1), 50).unwrap());
    assert_eq!(client.take(&server.read(&all_tenants(2), 51).unwrap()), (true, 13), "a change of too many keys is not");
    assert_eq!(client.take(&server.read(&of([(0, 2)]), 52).unwrap()), (false, 12));
}

#[test]
fn what_a_client_claims_to_have_changes_nothing_for_others() {
    let mut server = Server::new(1, BOUNDS);
    let mut client = Client::default();
    let first = server.read(&of([(1, 1)]), 1).unwrap();
    client.take(&first);
    let second = server.read(&of([(1, 2)]), 2).unwrap();
    let claims = |version: Version| second.parts(Some(&version)).iter().map(|part| part.put.len()).sum::<usize>();
    assert_eq!(claims(Version { content_sum: second.version().content_sum, ..first.version().clone() }), 0);
    assert_eq!(claims(Version { sequence: 3, ..first.version().clone() }), 1, "a version that is not there yet");
    assert_eq!(claims(Version { sequence: u64::MAX, ..first.version().clone() }), 1);
    assert_eq!(claims(Version { sequence: 0, ..first.version().clone() }), 1);
    assert_eq!(client.take(&second), (false, 1));
}

#[test]
fn parts_have_a_bounded_size() {
    let entry = |tenant: usize, bytes: usize| {
        format!("  t{tenant}: {{ruler_protected_namespaces: x, ingestion_rate: {}}}\n", "1".repeat(bytes))
    };
    let mut server = Server::new(1, BOUNDS);
    let text: String = (0..20_000).map(|tenant| entry(tenant, 9)).collect();
    let published = server.read_text(&format!("overrides:\n{text}"), 1).unwrap();
    let parts = published.parts(None);
    assert!((2..5).contains(&parts.len()), "{}", parts.len());
    for part in parts.iter() {
        assert!(part.encoded_len() <= PART_BYTES + 1_024, "{}", part.encoded_len());
    }
    assert_eq!(Client::default().take(&published), (true, 20_000));
}
