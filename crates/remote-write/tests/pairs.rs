//! Pushes of Prometheus pairs, and relabelled ones: what is left of them, and what is asked about them.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use limits::{RelabelAction, RelabelRule, TenantLimits};
use remote_write::encode::{Metadata, MetricKind, Series, SeriesMetadata, encode_push};
use remote_write::relabel::Relabeler;
use remote_write::{
    BodyLimits, Dedupe, HaRules, MAX_REPLICAS, MAX_RULE_RUNS, Protocol, PushCounts, Replica, Rules, Scratch,
    TenantRelabeler, Unmetered, Validation, read_push,
};

const LIMITS: BodyLimits = BodyLimits { max_decoded_bytes: 4 << 20 };
const NOW: i64 = 1_700_000_000_000;
const PROTOCOLS: [Protocol; 2] = [Protocol::V1, Protocol::V2];

/// A replica as it was asked about: cluster, replica and the earliest time.
type Asked = (String, String, Option<i64>);

/// Reads a push whose replicas `dedupe` judges, and tells what was asked.
fn read(
    body: &[u8],
    protocol: Protocol,
    limits: &TenantLimits,
    dedupe: impl Fn(&str, &str) -> Dedupe,
) -> (PushCounts, Vec<Asked>) {
    let mut asked = Vec::new();
    let mut dedupe = |replica: Replica<'_>| {
        let [cluster, name] = [replica.cluster, replica.replica].map(|text| String::from_utf8(text.to_vec()).unwrap());
        let verdict = dedupe(&cluster, &name);
        asked.push((cluster, name, replica.earliest_sample));
        verdict
    };
    let relabeler = Relabeler::compile(limits).unwrap();
    let rules = Rules {
        validation: Validation::new(limits),
        relabeler: relabeler.as_ref().map(|relabeler| TenantRelabeler { relabeler, tenant: "team-a" }),
        ha: Some(HaRules::new(limits, &mut dedupe)),
        enough: None,
    };
    let counts = read_push(protocol, body, LIMITS, rules, NOW, &mut Scratch::default()).unwrap();
    (counts, asked)
}

fn of(cluster: &str, replica: &str, name: &str, time: i64) -> Series {
    let labels = [("__name__", name), ("__replica__", replica), ("cluster", cluster)];
    let labels: Vec<_> = labels.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    Series::sample(&labels, 1.0, time)
}

fn elected(_: &str, replica: &str) -> Dedupe {
    match replica {
        "" => Dedupe::NoPair,
        "a" => Dedupe::Elected,
        _ => Dedupe::Dropped,
    }
}

#[test]
fn the_first_series_speaks_for_the_whole_push() {
    let limits = TenantLimits::default();
    for protocol in PROTOCOLS {
        let mixed = [of("one", "a", "m", NOW), of("two", "b", "n", NOW - 5), of("", "", "o", NOW)];
        let (counts, asked) = read(&encode_push(protocol, &mixed, &[]).unwrap(), protocol, &limits, elected);
        assert_eq!((counts.items(), counts.series), (3, 3), "{protocol:?}");
        assert_eq!(asked, [("one".into(), "a".into(), Some(NOW - 5))]);

        let [first, second, third] = mixed;
        let (counts, asked) =
            read(&encode_push(protocol, &[second, first, third], &[]).unwrap(), protocol, &limits, elected);
        assert_eq!((counts.items(), counts.series, counts.sent.samples), (0, 3, 3), "{protocol:?}");
        assert_eq!(asked, [("two".into(), "b".into(), Some(NOW - 5))]);
    }
}

#[test]
fn a_push_without_series_has_no_pair_but_counts_metadata() {
    let metadata = Metadata { family: "m".to_owned(), ..Metadata::default() };
    let body = encode_push(Protocol::V1, &[], &[metadata]).unwrap();
    let (counts, asked) = read(&body, Protocol::V1, &TenantLimits::default(), |_, _| Dedupe::Dropped);
    assert_eq!((counts.items(), asked.len()), (1, 0));
}

#[test]
fn metadata_is_dropped_with_the_push() {
    let about = SeriesMetadata { kind: MetricKind::Counter, help: "Help.".to_owned(), unit: String::new() };
    let series = Series { metadata: Some(about), ..of("one", "b", "m", NOW) };
    let body = encode_push(Protocol::V2, &[series], &[]).unwrap();
    let (counts, _) = read(&body, Protocol::V2, &TenantLimits::default(), elected);
    assert_eq!((counts.items(), counts.sent.metadata), (0, 1));
}

#[test]
fn the_replica_label_is_removed_before_labels_are_counted() {
    // Three labels are one too many, unless one is taken off.
    let limits = TenantLimits { max_label_names_per_series: 2, ..TenantLimits::default() };
    for protocol in PROTOCOLS {
        let body = encode_push(protocol, &[of("one", "a", "m", NOW), of("one", "a", "n", NOW)], &[]).unwrap();
        assert_eq!(read(&body, protocol, &limits, elected).0.items(), 2, "{protocol:?}");
        assert_eq!(read(&body, protocol, &limits, |_, _| Dedupe::NoPair).0.items(), 0, "{protocol:?}");
    }
}

#[test]
fn the_last_replica_label_names_and_the_first_is_removed() {
    let labels = [("__name__", "m"), ("__replica__", "x"), ("__replica__", "a"), ("cluster", "one")];
    let body = encode_push(Protocol::V1, &[Series::sample(&labels, 1.0, NOW)], &[]).unwrap();
    let (counts, asked) = read(&body, Protocol::V1, &TenantLimits::default(), elected);
    assert_eq!(asked, [("one".into(), "a".into(), Some(NOW))]);
    assert_eq!(counts.items(), 1, "the name is there once when labels is deduplicated");
}

#[test]
fn series_are_deduplicated_one_by_one_where_configured() {
    let limits =
        TenantLimits { ha_tracker_per_sample_dedupe: true, max_label_names_per_series: 2, ..TenantLimits::default() };
    let mixed = [
        of("one", "b", "m", NOW),
        of("one", "a", "n", NOW - 1),
        of("", "", "o", NOW - 2),
        of("one", "b", "p", NOW - 3),
        of("one", "a", "q", NOW - 4),
    ];
    for protocol in PROTOCOLS {
        let (counts, asked) = read(&encode_push(protocol, &mixed, &[]).unwrap(), protocol, &limits, elected);
        assert_eq!((counts.items(), counts.series), (3, 5), "{protocol:?}");
        let seen = [("one", "b", NOW - 3), ("one", "a", NOW - 4), ("", "", NOW - 2)];
        assert_eq!(asked, seen.map(|(cluster, replica, time)| (cluster.into(), replica.into(), Some(time))));
    }
    let [dropped, ..] = mixed;
    let about = SeriesMetadata { kind: MetricKind::Counter, help: "Help.".to_owned(), unit: String::new() };
    let body = encode_push(Protocol::V2, &[Series { metadata: Some(about), ..dropped }], &[]).unwrap();
    assert_eq!(read(&body, Protocol::V2, &limits, elected).0.items(), 0, "nothing is left, so metadata neither");
}

#[test]
fn a_broken_push_is_reported_without_judging_a_replica() {
    let plain = snap::raw::Decoder::new()
        .decompress_vec(&encode_push(Protocol::V1, &[of("one", "a", "m", NOW)], &[]).unwrap())
        .unwrap();
    let broken = snap::raw::Encoder::new().compress_vec(&[plain.as_slice(), &[0x0a, 0x05]].concat()).unwrap();
    let mut dedupe = |_: Replica<'_>| unreachable!("no replica is to be deduplicated");
    let rules = Rules {
        validation: Validation::new(&TenantLimits::default()),
        relabeler: None,
        ha: Some(HaRules {
            cluster_label: b"cluster",
            replica_label: b"__replica__",
            each_series: false,
            dedupe: &mut dedupe,
        }),
        enough: None,
    };
    assert!(read_push(Protocol::V1, &broken, LIMITS, rules, NOW, &mut Scratch::default()).is_err());
}

#[test]
fn relabelling_comes_after_deduplication_and_before_validity() {
    let keep = RelabelRule {
        source_labels: ["__replica__".into()].into(),
        regex: "".into(),
        action: RelabelAction::Keep,
        ..RelabelRule::default()
    };
    let rename = RelabelRule {
        regex: "bad-(.*)".into(),
        replacement: "$1".into(),
        action: RelabelAction::LabelMap,
        ..RelabelRule::default()
    };
    let limits = TenantLimits {
        metric_relabel_configs: [keep, rename].into(),
        drop_labels: ["bad-x".into()].into(),
        ..TenantLimits::default()
    };
    let series =
        Series::sample(&[("__name__", "m"), ("__replica__", "a"), ("bad-x", "1"), ("cluster", "one")], 1.0, NOW);
    for protocol in PROTOCOLS {
        let body = encode_push(protocol, &[series.clone(), series.clone()], &[]).unwrap();
        assert_eq!(read(&body, protocol, &limits, elected).0.items(), 2, "{protocol:?}: the label is gone by then");
        assert_eq!(read(&body, protocol, &limits, |_, _| Dedupe::NoPair).0.items(), 0, "{protocol:?}: dropped");
        let plain = TenantLimits::default();
        assert_eq!(read(&body, protocol, &plain, elected).0.items(), 0, "{protocol:?}: an invalid name");
    }
}

/// Reads so many series that all run these rules.
fn relabelled(series: usize, limits: &TenantLimits) -> PushCounts {
    relabel(Protocol::V1, &vec![of("one", "a", "m", NOW); series], limits)
}

fn relabel(protocol: Protocol, series: &[Series], limits: &TenantLimits) -> PushCounts {
    let body = encode_push(protocol, series, &[]).unwrap();
    let relabeler = Relabeler::compile(limits).unwrap();
    let rules = Rules {
        validation: Validation::new(limits),
        relabeler: relabeler.as_ref().map(|relabeler| TenantRelabeler { relabeler, tenant: "team-a" }),
        ha: None,
        enough: None,
    };
    let limits = BodyLimits { max_decoded_bytes: 100 << 20 };
    read_push(protocol, &body, limits, rules, NOW, &mut Scratch::default()).unwrap()
}

#[test]
fn dropping_labels_by_name_keeps_large_pushes_metered() {
    let names: Vec<_> = (0..100).map(|index| format!("label_{index}").as_str().into()).collect();
    let limits = TenantLimits { drop_labels: names.into(), ..TenantLimits::default() };
    let counts = relabelled(10_000, &limits);
    assert_eq!((counts.items(), counts.unmetered), (10_000, None));
}

#[test]
fn a_label_too_long_to_copy_makes_no_sample_free() {
    let long = "x".repeat(1_100_000);
    let series = |name| Series::sample(&[("__name__", "m"), (name, &long)], 1.0, NOW);
    let drops = TenantLimits { drop_labels: ["long".into()].into(), ..TenantLimits::default() };
    let counts = relabel(Protocol::V2, &vec![series("long"); 1000], &drops);
    assert_eq!((counts.items(), counts.unmetered), (1000, None), "dropped without a copy");
    let keeps_all = RelabelRule { action: RelabelAction::Keep, ..RelabelRule::default() };
    let limits = TenantLimits { metric_relabel_configs: [keeps_all].into(), ..drops };
    let counts = relabel(Protocol::V2, &vec![series("long"); 1000], &limits);
    assert_eq!((counts.items(), counts.unmetered), (1000, Some(Unmetered::Buffers)));
}

#[test]
fn labels_are_dropped_as_often_as_they_are_named() {
    let series =
        Series::sample(&[("__name__", "m"), ("a-", "1"), ("a-", "2"), ("b", "3"), ("c-", "4"), ("d-", "")], 1.0, NOW);
    for (names, items) in [
        (&["a-", "a-", "c-"][..], 1),
        (&["a-", "c-"], 0),
        (&["a-", "a-"], 0),
        (&["a-", "a-", "c-", "d-", "none"], 1),
        (&["__name__", "a-", "a-", "c-"], 0),
        // More than are dropped without a copy.
        (&["a-", "a-", "c-", "1", "2", "3", "4", "5", "6", "7"], 1),
    ] {
        let drop_labels = names.iter().map(|name| (*name).into()).collect();
        let limits = TenantLimits { drop_labels, ..TenantLimits::default() };
        for protocol in PROTOCOLS {
            let counts = relabel(protocol, &[series.clone(), series.clone()], &limits);
            assert_eq!((counts.items(), counts.unmetered), (2 * items, None), "{protocol:?} {names:?}");
        }
    }
}

#[test]
fn a_series_that_outgrows_relabelling_is_charged_as_sent() {
    let double = RelabelRule {
        source_labels: ["m".into()].into(),
        target_label: "m".into(),
        replacement: "$1$1".into(),
        ..RelabelRule::default()
    };
    let limits = TenantLimits { metric_relabel_configs: vec![double; 40].into(), ..TenantLimits::default() };
    let grows = Series::sample(&[("__name__", "m"), ("m", "x")], 1.0, NOW);
    let counts = relabel(Protocol::V1, &[of("one", "a", "n", NOW), grows, Series::default()], &limits);
    assert_eq!((counts.items(), counts.unmetered), (2, Some(Unmetered::RelabelWork)));
}

#[test]
fn relabelling_ends_where_it_takes_more_runs_than_there_are() {
    let rule = RelabelRule { target_label: "x".into(), replacement: "y".into(), ..RelabelRule::default() };
    let limits = TenantLimits { metric_relabel_configs: vec![rule; 100].into(), ..TenantLimits::default() };
    // Each series has three labels, and so takes 130 runs.
    let most = usize::try_from(MAX_RULE_RUNS / 130).unwrap();
    let counts = relabelled(most, &limits);
    assert_eq!((counts.items(), counts.unmetered), (most as u64, None));
    let counts = relabelled(most + 1, &limits);
    assert_eq!((counts.items(), counts.unmetered), (most as u64 + 1, Some(Unmetered::RelabelWork)));
}

fn many(count: usize, rule: RelabelRule) -> TenantLimits {
    TenantLimits { metric_relabel_configs: vec![rule; count].into(), ..TenantLimits::default() }
}

fn groups_of(source: &str, regex: &str, replacement: &str) -> RelabelRule {
    RelabelRule {
        source_labels: source.split_whitespace().map(Into::into).collect(),
        regex: regex.into(),
        target_label: "z".into(),
        replacement: replacement.into(),
        ..RelabelRule::default()
    }
}

fn dropping(source: &str, regex: &str) -> RelabelRule {
    RelabelRule { action: RelabelAction::Drop, ..groups_of(source, regex, "$1") }
}

#[test]
fn rules_as_tenants_have_them_leave_large_pushes_metered() {
    let names = ["cluster", "container", "endpoint", "instance", "job", "namespace", "node", "pod", "service"];
    let labels: Vec<_> = [("__name__", "http_requests_total_")]
        .into_iter()
        .chain(
            names
                .into_iter()
                .map(|name| (name, if name == "instance" { "10.100.200.100:19090" } else { "a-value-of-20-bytes-" })),
        )
        .collect();
    let series = Series::sample(&labels, 1.0, NOW);
    let metrics: Vec<_> = (0..500).map(|index| format!("go_gc_heap_of_kind_{index}_bytes")).collect();
    for rule in [
        groups_of("instance", r"([^:]+):(\d+)", "$1"),
        groups_of("pod", "(.*)-([0-9a-f]{8,10})-([a-z0-9]{5})", "$1"),
        groups_of("instance", r".*:\d+", "x"),
        dropping("__name__", "(go|process)_.*|kube_.*_created"),
        dropping("__name__", &metrics.join("|")),
        RelabelRule { action: RelabelAction::LabelMap, ..groups_of("", "(p.+|job)", "exported_$1") },
        RelabelRule { action: RelabelAction::LabelDrop, ..groups_of("", "p.+|job", "") },
    ] {
        for (rules, count) in [(20, 2_000), (2, 50_000)] {
            let counts = relabel(Protocol::V2, &vec![series.clone(); count], &many(rules, rule.clone()));
            assert_eq!((counts.items(), counts.unmetered), (count as u64, None), "{rules} of {}", rule.regex);
        }
    }
}

/// Of what a rule takes, each byte of a text is a part. The series are as many as took seconds.
#[test]
fn long_texts_and_large_expressions_end_relabelling_early() {
    let long = "x".repeat(30_000);
    for (rule, text, series) in [
        (groups_of("a", "(.*)x(.*)", "$2"), &*long, 300),
        (groups_of("a", "(.{1,500}).{1,500}y(.*)", "$2"), &long[..1000], 100),
        (dropping("a", "[a-z]{1,500}[a-z]{1,500}y.*"), &long[..2000], 100),
        (dropping("a", "(.*)y(.*)z"), &long, 600),
        (RelabelRule { action: RelabelAction::HashMod, modulus: 8, ..dropping("a", "(.*)") }, &long, 600),
    ] {
        let sent = vec![Series::sample(&[("__name__", "m"), ("a", text)], 1.0, NOW); series];
        let limits = TenantLimits { max_label_value_length: 100_000, ..many(20, rule.clone()) };
        let counts = relabel(Protocol::V1, &sent, &limits);
        assert_eq!((counts.items(), counts.unmetered), (series as u64, Some(Unmetered::RelabelWork)), "{}", rule.regex);
    }
    let map = RelabelRule { action: RelabelAction::LabelMap, ..groups_of("", "(.*)x(.*)", "y") };
    let sent = vec![Series::sample(&[("__name__", "m"), (&long, "1")], 1.0, NOW); 300];
    let counts = relabel(Protocol::V1, &sent, &many(20, map));
    assert_eq!((counts.sent.samples, counts.unmetered), (300, Some(Unmetered::RelabelWork)));
}

#[test]
fn rules_are_cheap_unless_they_find_groups() {
    let is_cheap = |rule| Relabeler::compile(&many(1, rule)).unwrap().unwrap().is_cheap();
    assert!(is_cheap(dropping("a", "(.*)x(.*)")) && is_cheap(groups_of("a", "(.*)x(.*)", "y")));
    assert!(is_cheap(groups_of("a", "(.*)", "$1")), "which needs no search");
    assert!(!is_cheap(groups_of("a", "(.*)x(.*)", "$1")));
    assert!(!is_cheap(RelabelRule { action: RelabelAction::LabelMap, ..groups_of("a", "x_(.*)", "$1") }));
}

#[test]
fn too_many_replicas_are_charged_as_sent_without_an_election() {
    let limits = TenantLimits { ha_tracker_per_sample_dedupe: true, ..TenantLimits::default() };
    let push = |replicas: usize| {
        let series: Vec<_> = (0..replicas).map(|number| of("one", &number.to_string(), "m", NOW)).collect();
        let body = encode_push(Protocol::V1, &[series.clone(), series].concat(), &[]).unwrap();
        let (counts, asked) = read(&body, Protocol::V1, &limits, |_, _| Dedupe::Elected);
        (counts.items(), counts.unmetered, asked.len())
    };
    assert_eq!(push(MAX_REPLICAS), (2 * MAX_REPLICAS as u64, None, MAX_REPLICAS));
    assert_eq!(push(MAX_REPLICAS + 1), (2 * MAX_REPLICAS as u64 + 2, Some(Unmetered::Replicas), 0));
}
