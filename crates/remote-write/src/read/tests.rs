//! Pushes that are abandoned: with caps so low that ordinary ones come to them, against the same without.

use limits::{LabelValueStrategy, RelabelAction, RelabelRule, TenantLimits};
use proptest::prelude::*;

use super::*;
use crate::encode::{Exemplar, Histogram, MetricKind, Series, SeriesMetadata, encode_push};
use crate::relabel::Relabeler;
use crate::work::{Caps, FREE_BYTES, touched};
use crate::{Contents, Dedupe, HaRules, Replica, TenantRelabeler, Validation};

const LIMITS: BodyLimits = BodyLimits { max_decoded_bytes: 1 << 20 };
const NOW: i64 = 1_700_000_000_000;

fn read(
    protocol: Protocol,
    body: &[u8],
    limits: &TenantLimits,
    scratch: &mut Scratch,
) -> Result<PushCounts, BodyError> {
    let relabeler = Relabeler::compile(limits).unwrap();
    let mut dedupe = |replica: Replica<'_>| match replica.replica {
        b"" => Dedupe::NoPair,
        b"a" => Dedupe::Elected,
        _ => Dedupe::Dropped,
    };
    let ha = HaRules {
        cluster_label: b"b",
        replica_label: b"c",
        each_series: limits.ha_tracker_per_sample_dedupe,
        dedupe: &mut dedupe,
    };
    let rules = Rules {
        validation: Validation::new(limits),
        relabeler: relabeler.as_ref().map(|relabeler| TenantRelabeler { relabeler, tenant: "team" }),
        ha: limits.accept_ha_samples.then_some(ha),
        enough: None,
    };
    read_push(protocol, body, LIMITS, rules, NOW, scratch)
}

/// A few texts, so that they come more than once; some are long, and more than one is the same but for its end.
fn text() -> impl Strategy<Value = String> {
    let long = |end: &str| format!("{}{end}", "x".repeat(100));
    prop_oneof![
        4 => prop::sample::select(vec!["a", "b", "c", "d", "m_sum", "m_bucket", "", "0"]).prop_map(str::to_owned),
        1 => prop::sample::select(vec![long(""), long("a"), long("b"), "𝄞".repeat(30)]),
    ]
}

fn time() -> impl Strategy<Value = i64> {
    // Some a little, and some far, beyond the ten minutes that are valid.
    prop_oneof![4 => NOW - 5..NOW, 1 => prop::sample::select(vec![NOW + 600_001, NOW + 610_000, NOW + 610_001])]
}

prop_compose! {
    fn series()(
        labels in prop::collection::vec((text(), text()), 0..6),
        name in text(),
        samples in prop::collection::vec(time(), 0..5),
        histograms in prop::collection::vec(time(), 0..3),
        exemplars in prop::collection::vec((text(), text(), time()), 0..3),
        kind in prop::sample::select(vec![MetricKind::Unknown, MetricKind::Gauge, MetricKind::Histogram]),
        help in text(),
        unit in text(),
    ) -> Series {
        let histogram = |timestamp_ms| Histogram { timestamp_ms, ..Histogram::default() };
        let exemplar = |(name, value, timestamp_ms)| Exemplar { labels: vec![(name, value)], value: 1.0, timestamp_ms };
        let name = ("__name__".to_owned(), name);
        Series {
            labels: [name].into_iter().chain(labels).collect(),
            samples: samples.into_iter().map(|time| (1.0, time)).collect(),
            histograms: histograms.into_iter().map(histogram).collect(),
            exemplars: exemplars.into_iter().map(exemplar).collect(),
            metadata: Some(SeriesMetadata { kind, help, unit }),
        }
    }
}

prop_compose! {
    fn tenant()(
        rules in 0..3_usize,
        drops in any::<bool>(),
        pairs in any::<bool>(),
        each_series in any::<bool>(),
        max_label_value_length in prop::sample::select(vec![50, 2048]),
        cuts in any::<bool>(),
    ) -> TenantLimits {
        let drop = RelabelRule {
            source_labels: ["a".into()].into(), regex: "b".into(), action: RelabelAction::Drop, ..RelabelRule::default()
        };
        let write = RelabelRule { source_labels: ["d".into()].into(), target_label: "e".into(), ..RelabelRule::default() };
        let strategy = if cuts { LabelValueStrategy::Truncate } else { LabelValueStrategy::Error };
        TenantLimits {
            metric_relabel_configs: [drop, write].into_iter().take(rules).collect(),
            drop_labels: drops.then(|| "c".into()).into_iter().collect(),
            accept_ha_samples: pairs,
            ha_tracker_per_sample_dedupe: each_series,
            max_label_value_length,
            label_value_length_over_limit_strategy: strategy,
            max_global_exemplars_per_user: 1,
            ..TenantLimits::default()
        }
    }
}

prop_compose! {
    fn caps()(
        (work_per_byte, work) in (0..2_usize, 0..2000_usize),
        (symbols, families) in (1..40_usize, 1..4_usize),
        (times, exemplars) in (1..6_usize, 1..6_usize),
        (labels, label_bytes) in (1..8_usize, 1..400_usize),
        // Which of them are low: often one alone.
        low in prop::sample::select(vec![1, 2, 4, 8, 16, 32, 64, 127]),
    ) -> Caps {
        let usual = Caps::USUAL;
        let pick = |bit, one, other| if low & bit != 0 { one } else { other };
        Caps {
            work_per_byte: pick(1, work_per_byte, usual.work_per_byte),
            work: pick(1, work, usual.work),
            symbols: pick(2, symbols, usual.symbols),
            families: pick(4, families, usual.families),
            times: pick(8, times, usual.times),
            exemplars: pick(16, exemplars, usual.exemplars),
            labels: pick(32, labels, usual.labels),
            label_bytes: pick(64, label_bytes, usual.label_bytes),
        }
    }
}

fn charged(counts: &PushCounts) -> [u64; 4] {
    [counts.samples, counts.histograms, counts.exemplars, counts.metadata]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

    #[test]
    fn an_abandoned_push_is_never_charged_less(
        series in prop::collection::vec(series(), 0..8),
        limits in tenant(),
        caps in caps(),
    ) {
        let mut scratch = Scratch { caps, ..Scratch::default() };
        for protocol in [Protocol::V1, Protocol::V2] {
            let body = encode_push(protocol, &series, &[]).unwrap();
            let exact = read(protocol, &body, &limits, &mut Scratch::default()).unwrap();
            let capped = read(protocol, &body, &limits, &mut scratch).unwrap();
            if capped.unmetered.is_none() {
                let sent = Contents { metadata: exact.sent.metadata, ..capped.sent };
                prop_assert_eq!(PushCounts { sent, ..capped }, exact);
            }
            for (capped, exact) in charged(&capped).into_iter().zip(charged(&exact)) {
                prop_assert!(capped >= exact, "{capped} of {exact}");
            }
            let sent = |counts: &PushCounts| Contents { metadata: 0, ..counts.sent };
            prop_assert_eq!((capped.series, sent(&capped)), (exact.series, sent(&exact)));
            prop_assert!(capped.sent.metadata >= exact.sent.metadata);
        }
    }

    /// Whatever refers to what, and however it is broken.
    #[test]
    fn work_by_reference_stays_within_the_budget_of_bytes(
        series in prop::collection::vec(series(), 0..8),
        limits in tenant(),
        caps in caps(),
        mutations in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        for protocol in [Protocol::V1, Protocol::V2] {
            let body = encode_push(protocol, &series, &[]).unwrap();
            let mut plain = snap::raw::Decoder::new().decompress_vec(&body).unwrap();
            for (index, byte) in &mutations {
                if !plain.is_empty() {
                    let index = index.index(plain.len());
                    plain[index] = *byte;
                }
            }
            let body = snap::raw::Encoder::new().compress_vec(&plain).unwrap();
            touched::take();
            let _ = read(protocol, &body, &limits, &mut Scratch { caps, ..Scratch::default() });
            // A label takes two bytes at least, and is looked at some six times: scanned, copied, compared and judged.
            let free = FREE_BYTES * 6 * plain.len();
            prop_assert!(touched::take() <= caps.budget(plain.len()) + free);
        }
    }
}

/// Series that use such symbols are not validated.
#[test]
fn references_are_checked_beyond_the_last_kept_symbol() {
    let limits = TenantLimits::default();
    let caps = Caps { symbols: 2, ..Caps::USUAL };
    let check = |series: &[u8]| {
        let symbols = b"\x22\x00\x22\x08__name__\x22\x01m\x22\x01n".as_slice();
        let plain = [symbols, &[0x2a, series.len() as u8], series].concat();
        let body = snap::raw::Encoder::new().compress_vec(&plain).unwrap();
        read(Protocol::V2, &body, &limits, &mut Scratch { caps, ..Scratch::default() })
    };
    let counts = check(b"\x0a\x02\x01\x03\x12\x00\x2a\x02\x08\x01").unwrap();
    assert_eq!((counts.samples, counts.metadata), (1, 1));
    assert_eq!(counts.unmetered, Some(crate::Unmetered::Buffers));
    let error = BodyError::Protobuf(ProtobufError::InvalidLabelReference);
    assert_eq!(check(b"\x0a\x02\x01\x04"), Err(error));
}
