//! Any bytes as a push of a tenant with relabelling, HA deduplication and exemplars.
//!
//! Checks: rules change neither the decoding error nor the counts as sent; rules that drop every series leave nothing; each replica
//! is deduplicated once; and reading again with the same buffers gives the same.
//!
//! The first byte of an input chooses the protocol (bit 0), whether each series is deduplicated (bit 1), whether exemplars are
//! stored (bit 2), the decision on replicas (bits 3 and 4), and the rules (bits 5 to 7). The others are the uncompressed body.

use std::collections::HashSet;
use std::sync::LazyLock;

use limits::{LimitsState, SourceDocument, TenantLimits};
use remote_write::relabel::Relabeler;
use remote_write::{
    BodyError, BodyLimits, Dedupe, HaRules, Protocol, PushCounts, Replica, Rules, Scratch, TenantRelabeler, Validation,
    read_push,
};

use crate::compress;

const BODY: BodyLimits = BodyLimits { max_decoded_bytes: 1 << 20 };
const NOW: i64 = 1_700_000_060_000;
const KINDS: usize = 8;
/// Rules that drop every series. Even others change the counts: with rules, Mimir merges duplicate labels, so that the series is
/// valid.
const EVERYTHING: usize = 1;

const DOCUMENT: &str = r#"
overrides:
  t0: { metric_relabel_configs: [{ action: drop, source_labels: [no_such_label], regex: ".+" }] }
  t1: { metric_relabel_configs: [{ action: drop, regex: ".*" }] }
  t2: { drop_labels: [pod, job] }
  t3: { metric_relabel_configs: [{ action: replace, source_labels: [job, pod], regex: "(.*);(.*)", target_label: "$1x", replacement: "${2}$1${2}" }] }
  t4: { metric_relabel_configs: [{ action: labelmap, regex: "(.)(.*)", replacement: "$2$1" }, { action: labeldrop, regex: "[a-f].*" }] }
  t5: { metric_relabel_configs: [{ action: hashmod, source_labels: [__name__], modulus: 3, target_label: m }, { action: keep, source_labels: [m], regex: "[01]" }] }
  t6: { metric_relabel_configs: [{ action: uppercase, source_labels: [job], target_label: job }, { action: keepequal, source_labels: [job], target_label: pod }] }
  t7: { drop_labels: [a], label_value_length_over_limit_strategy: truncate, max_label_value_length: 71, metric_relabel_configs: [{ action: replace, source_labels: [a], target_label: "b" }] }
"#;

/// The limits and rules of each choice.
static TENANTS: LazyLock<Vec<(TenantLimits, Option<Relabeler>)>> = LazyLock::new(|| {
    let documents = [SourceDocument::new("runtime.yaml", DOCUMENT)];
    let applied = LimitsState::new(TenantLimits::default(), false).apply(&documents);
    assert!(applied.problems.is_empty(), "{:?}", applied.problems);
    let snapshot = applied.snapshot.expect("the document is good");
    let rewrites = snapshot.tenants().map(|(_, entry)| {
        let relabeler = Relabeler::compile(&entry.limits).expect("the rules are good");
        (entry.limits.clone(), relabeler)
    });
    rewrites.collect()
});

/// Reads an input with and without rules.
pub fn read(input: &[u8]) {
    let Some((choice, bytes)) = input.split_first() else { return };
    let protocol = if choice & 1 == 0 { Protocol::V1 } else { Protocol::V2 };
    let body = compress(bytes);
    let kind = usize::from(choice >> 5) % KINDS;
    let (limits, relabeler) = TENANTS.get(kind).expect("there is one for each choice");
    let limits = TenantLimits { max_global_exemplars_per_user: i64::from(choice >> 2 & 1), ..limits.clone() };
    let mut reader = Reader { protocol, body: &body, limits: &limits, scratch: Scratch::default() };

    let plain = reader.read(None, None);
    let relabelled = reader.read(relabeler.as_ref(), None);
    compare(&plain, &relabelled);
    if let (Ok(plain), Ok(relabelled)) = (&plain, &relabelled)
        && relabelled.unmetered.is_none()
        && plain.unmetered.is_none()
        && kind == EVERYTHING
    {
        assert_eq!((relabelled.samples, relabelled.histograms, relabelled.exemplars), (0, 0, 0));
    }
    assert_eq!(relabelled, reader.read(relabeler.as_ref(), None), "buffers keep state between pushes");

    let each_series = choice & 2 != 0;
    let elected = (choice >> 3) & 3;
    for relabeler in [None, relabeler.as_ref()] {
        let paired = reader.read(relabeler, Some((each_series, elected)));
        compare(&plain, &paired);
        if let (Ok(without), Ok(paired), None) = (&plain, &paired, relabeler) {
            assert!(paired.samples <= without.sent.samples, "more samples than were sent");
            if elected == ALL_DROPPED && paired.unmetered.is_none() && reader.names_replicas() {
                assert_eq!(paired.items(), 0, "of a replica that is not elected nothing is left");
            }
        }
        assert_eq!(paired, reader.read(relabeler, Some((each_series, elected))), "buffers keep state between pushes");
    }
}

/// The decisions: 0 no pair, 1 all elected, 2 by name, 3 none elected.
const ALL_DROPPED: u8 = 3;

struct Reader<'b> {
    protocol: Protocol,
    body: &'b [u8],
    limits: &'b TenantLimits,
    scratch: Scratch,
}

impl Reader<'_> {
    fn read(&mut self, relabeler: Option<&Relabeler>, pair: Option<(bool, u8)>) -> Result<PushCounts, BodyError> {
        let mut asked = HashSet::new();
        let mut dedupe = |replica: Replica<'_>| {
            let is_new = asked.insert((replica.cluster.to_vec(), replica.replica.to_vec()));
            assert!(is_new, "a replica is deduplicated for the second time");
            match pair {
                Some((_, 1)) => Dedupe::Elected,
                Some((_, 2)) if replica.replica.is_empty() => Dedupe::NoPair,
                Some((_, 2)) if replica.replica.len() % 2 == 1 => Dedupe::Elected,
                Some((_, 2 | ALL_DROPPED)) => Dedupe::Dropped,
                _ => Dedupe::NoPair,
            }
        };
        let ha = pair.map(|(each_series, _)| HaRules {
            cluster_label: b"cluster",
            replica_label: b"__replica__",
            each_series,
            dedupe: &mut dedupe,
        });
        let rules = Rules {
            validation: Validation::new(self.limits),
            relabeler: relabeler.map(|relabeler| TenantRelabeler { relabeler, tenant: "team" }),
            ha,
            enough: None,
        };
        read_push(self.protocol, self.body, BODY, rules, NOW, &mut self.scratch)
    }

    /// Whether the push has series, and so a replica.
    fn names_replicas(&mut self) -> bool {
        self.read(None, None).is_ok_and(|counts| counts.series > 0)
    }
}

/// Both read, with the same counts as sent, or both rejected.
fn compare(plain: &Result<PushCounts, BodyError>, ruled: &Result<PushCounts, BodyError>) {
    match (plain, ruled) {
        (Ok(plain), Ok(ruled)) => {
            assert_eq!(plain.decoded_bytes, ruled.decoded_bytes);
            // An unmetered push is charged as sent.
            assert_eq!((plain.series, plain.sent), (ruled.series, ruled.sent));
        }
        (plain, ruled) => assert_eq!(plain.is_ok(), ruled.is_ok(), "{plain:?} {ruled:?}"),
    }
}
