//! Pushes of tenants whose series are relabelled, or deduplicated one by one.

use remote_write::Protocol::V2;

use super::{LONG, TIME, Worst, letters, references, repeat, samples, v2};

const TWENTY_RULES: &str = "{metric_relabel_configs: [\
    &a {source_labels: [a, b], regex: '(.*)x(.*);(.*)', target_label: z, replacement: '$1$2'}, \
    *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a]}";

/// Each has a sample.
pub(crate) fn labels_for_relabelling() -> Worst {
    let names: Vec<_> = (0..10).map(|index| letters(index, 1)).collect();
    let symbols: Vec<&[u8]> = names.iter().map(|it| &it[..]).chain([&[b'x'; 60][..]]).collect();
    let body = v2(&symbols, |push| {
        for _ in 0..100_000 {
            push.nested(5, |series| {
                references(series, (1..=10).flat_map(|name| [name, 11]));
                samples(series, 1);
            });
        }
    });
    Worst { name: "labels_for_relabelling", protocol: V2, body, tenant_yaml: TWENTY_RULES }
}

const DOUBLING_RULES: &str = "{metric_relabel_configs: [\
    &a {source_labels: [a], target_label: a, replacement: '$1$1', regex: '(.*)'}, \
    *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a]}";

/// From one byte to half a megabyte in each series.
pub(crate) fn labels_that_rules_double() -> Worst {
    let body = v2(&[b"a"], |push| repeat(push, 100_000, b"\x2a\x06\x0a\x02\x01\x01\x12\x00"));
    Worst { name: "labels_that_rules_double", protocol: V2, body, tenant_yaml: DOUBLING_RULES }
}

const LENGTHENING_RULES: &str = "{metric_relabel_configs: [\
    {action: labelmap, regex: '(.*)', replacement: 'b$1'}, \
    {source_labels: [a], target_label: $1, replacement: '$1$1', regex: '(.*)'}, \
    {source_labels: [a], target_label: c, action: uppercase}, \
    {source_labels: [a, a], target_label: d, action: lowercase}]}";

/// A quarter of a megabyte in each series, all labels included.
pub(crate) fn bytes_that_rules_lengthen() -> Worst {
    let names: Vec<_> = (0..6_000).rev().map(|index| letters(index, 3)).collect();
    let symbols: Vec<&[u8]> = [&b"a"[..], &[0xff; 200_000]].into_iter().chain(names.iter().map(|it| &it[..])).collect();
    let body = v2(&symbols, |push| {
        for _ in 0..100 {
            push.nested(5, |series| references(series, [1, 2].into_iter().chain((3..6003).flat_map(|it| [it, 1]))));
        }
    });
    Worst { name: "bytes_that_rules_lengthen", protocol: V2, body, tenant_yaml: LENGTHENING_RULES }
}

const CAPTURING_RULES: &str = "{metric_relabel_configs: [\
    &a {source_labels: [a, b], regex: '(.*)x(.*);(.*)', target_label: z, replacement: '$3'}, \
    *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a]}";

/// Each byte takes the search for groups some 40 ns in each rule.
pub(crate) fn captures_of_a_long_value() -> Worst {
    let body = v2(&[b"a", &[b'x'; LONG]], |push| {
        for _ in 0..300 {
            push.nested(5, |series| {
                references(series, [1, 2]);
                samples(series, 1);
            });
        }
    });
    Worst { name: "captures_of_a_long_value", protocol: V2, body, tenant_yaml: CAPTURING_RULES }
}

const LARGE_RULES: &str = "{metric_relabel_configs: [\
    &a {source_labels: [a], regex: '(.{1,500}).{1,500}y(.*)', target_label: z, replacement: '$2'}, \
    *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a]}";

/// Each byte takes some microseconds in each rule.
pub(crate) fn captures_of_a_large_expression() -> Worst {
    let body = v2(&[b"a", &[b'x'; 1000]], |push| {
        for _ in 0..300 {
            push.nested(5, |series| {
                references(series, [1, 2]);
                samples(series, 1);
            });
        }
    });
    Worst { name: "captures_of_a_large_expression", protocol: V2, body, tenant_yaml: LARGE_RULES }
}

const EACH_SERIES: &str =
    "{accept_ha_samples: true, ha_tracker_per_sample_dedupe: true, max_label_value_length: 100000}";

/// Twice as many replicas as are distinguished.
pub(crate) fn replicas() -> Worst {
    let names: Vec<_> = (0..20_000).map(|index| letters(index, 3)).collect();
    let pair = [&b"__replica__"[..], b"cluster"];
    let symbols: Vec<&[u8]> = pair.into_iter().chain(names.iter().map(|it| &it[..])).collect();
    let body = v2(&symbols, |push| {
        for index in 0..20_000 {
            push.nested(5, |series| {
                references(series, [1, 3 + index, 2, 3]);
                samples(series, 1);
            });
        }
    });
    Worst { name: "replicas", protocol: V2, body, tenant_yaml: EACH_SERIES }
}

/// A million series.
pub(crate) fn replicas_of_long_names() -> Worst {
    let body = v2(&[b"__replica__", b"cluster", &[b'x'; LONG], &[b'y'; LONG]], |push| {
        repeat(push, 500_000, b"\x2a\x06\x0a\x04\x01\x03\x02\x03\x2a\x06\x0a\x04\x01\x04\x02\x03");
    });
    Worst { name: "replicas_of_long_names", protocol: V2, body, tenant_yaml: EACH_SERIES }
}

const EVERYTHING: &str = "{accept_ha_samples: true, ha_tracker_per_sample_dedupe: true, \
    max_global_exemplars_per_user: 1, max_label_names_per_series: 1000000, max_label_value_length: 100000, \
    metric_relabel_configs: [{source_labels: [aaaa], target_label: aaaa, replacement: '$1$1'}]}";

/// For buffers of 1 Mi symbols, 224 Ki families, 256 Ki times and exemplars, 16 Ki labels and 10,000 replicas.
pub(crate) fn everything_at_once() -> Worst {
    let names: Vec<_> = (0..230_000).map(|index| letters(index, 4)).collect();
    let first = [&b"__replica__"[..], b"cluster", b"__name__", &[b'x'; LONG]];
    let empty = std::iter::repeat_n(&b""[..], 800_000);
    let symbols: Vec<&[u8]> = first.into_iter().chain(names.iter().map(|it| &it[..])).chain(empty).collect();
    let body = v2(&symbols, |push| {
        for index in 0..229_000 {
            push.nested(5, |series| {
                references(series, [1, 5 + index % 9_900, 2, 5, 3, 5 + index]);
                series.append(b"\x2a\x02\x08\x01");
            });
        }
        push.nested(5, |series| {
            let names = (0..8_000).rev().flat_map(|index| [5 + index, 5]);
            references(series, [1, 5, 2, 5, 3, 5, 5, 4].into_iter().chain(names.clone()).chain(names));
            repeat(series, 260_000, b"\x22\x06\x0a\x02\x05\x05\x18\x01");
        });
        push.nested(5, |series| {
            references(series, [1, 5, 2, 5, 3, 5]);
            (0..260_000).for_each(|index| series.nested(2, |sample| sample.uint64(2, TIME - index)));
        });
    });
    Worst { name: "everything_at_once", protocol: V2, body, tenant_yaml: EVERYTHING }
}
