//! Pushes that make a reader work or keep as much as their bytes can, for tests and benches.
//!
//! Each is well-formed, so that it is read to its end. In 2.0 a byte refers to a whole symbol, which makes most of them.
//!
//! | push | what it is | the buffer or loop that it fills |
//! |---|---|---|
//! | [`long_value_referred_to`] | one series, 30,000 labels of one value of 30,000 bytes | copy of a series' labels |
//! | [`long_value_in_many_series`] | a million series of a value of 30,000 bytes | the same, series by series |
//! | [`empty_symbols`] | nothing but symbols | places of symbols |
//! | [`distinct_families`] | 300,000 series with metadata, each of a family of its own | table of families |
//! | [`metadata_of_alternating_types`] | a long metric name with many metadata, of two types in turn | hash of a family's name |
//! | [`times_out_of_order`] | a series whose samples go back in time, none of the same time | times of a series |
//! | [`times_in_turn`] | a series with a thousand times again and again | the same, sorted and reduced |
//! | [`exemplars`] | 300,000 valid exemplars | times of exemplars |
//! | [`exemplar_of_a_long_symbol`] | one exemplar with 100,000 references to a long symbol | characters of an exemplar |
//! | [`exemplars_of_characters`] | exemplars of 128 characters of four bytes | the same |
//! | [`names_alike`] | series whose label names are equal, but not the same symbol | comparison of names |
//! | [`names_out_of_order`] | series of 29 long names in two disorders | sorting of names |
//! | [`labels`] | a series of 300,000 labels, of a tenant that allows them | names of a series |
//! | [`metric_names_in_turn`] | two long metric names, in turn | legality of a metric's name |
//! | [`labels_for_relabelling`] | 100,000 series of ten labels, of a tenant with 20 rules | runs of rules |
//! | [`labels_that_rules_double`] | series whose labels the rules double again and again | bytes that rules write |
//! | [`bytes_that_rules_lengthen`] | a value of bytes that are no text, of a tenant whose rules write each as three | the same, in what rules put together |
//! | [`captures_of_a_long_value`] | 300 series of a value of 30,000 bytes, of a tenant whose rules use groups | runs of rules, byte by byte |
//! | [`captures_of_a_large_expression`] | 300 series of a value of 1,000 bytes, of a tenant whose expressions repeat a thousand times | the same |
//! | [`replicas`] | 20,000 replicas, of a tenant that deduplicates each series | replicas |
//! | [`replicas_of_long_names`] | two replicas with long names, in turn | hash of a replica |
//! | [`values_that_are_cut`] | values over the limit, of a tenant whose long values are cut | values that are cut |
//! | [`buckets`] | a histogram of two million buckets, of a tenant for whom they are reduced | reduction of buckets |
//! | [`everything_at_once`] | nearly as much of everything as there is room for | all buffers |
//! | [`samples_of_nothing`] | ten million empty samples | the wire alone |

#[path = "treated.rs"]
mod treated;
#[expect(dead_code, reason = "few of its functions are needed here")]
#[path = "../../src/encode/writer.rs"]
mod writer;

pub(crate) use treated::{
    bytes_that_rules_lengthen, captures_of_a_large_expression, captures_of_a_long_value, everything_at_once,
    labels_for_relabelling, labels_that_rules_double, replicas, replicas_of_long_names,
};

use remote_write::Protocol::{self, V1, V2};
use writer::Writer;

/// A push, and what its tenant's limits have to be for it to be as bad as it can.
#[derive(Clone, Debug)]
pub(crate) struct Worst {
    /// The name of the function that builds it.
    pub(crate) name: &'static str,
    /// The protocol that it is written in.
    pub(crate) protocol: Protocol,
    /// The compressed body.
    pub(crate) body: Vec<u8>,
    /// The tenant's overrides, as a YAML mapping on one line.
    pub(crate) tenant_yaml: &'static str,
}

/// A time at which samples of these pushes are valid, in Unix milliseconds; `now` may be up to ten minutes earlier.
const TIME: u64 = 1_700_000_000_000;

/// A label value or name of the length at which 30,000 bytes compress to two kilobytes.
const LONG: usize = 30_000;

/// All of them.
pub(crate) fn all() -> Vec<Worst> {
    let builders = [
        long_value_referred_to,
        long_value_in_many_series,
        || empty_symbols(100 << 20),
        distinct_families,
        metadata_of_alternating_types,
        times_out_of_order,
        times_in_turn,
        exemplars,
        exemplar_of_a_long_symbol,
        exemplars_of_characters,
        names_alike,
        names_out_of_order,
        labels,
        metric_names_in_turn,
        labels_for_relabelling,
        labels_that_rules_double,
        bytes_that_rules_lengthen,
        captures_of_a_long_value,
        captures_of_a_large_expression,
        replicas,
        replicas_of_long_names,
        values_that_are_cut,
        buckets,
        everything_at_once,
        samples_of_nothing,
    ];
    builders.into_iter().map(|build| build()).collect()
}

/// A rule that changes nothing, and has each label copied.
const COPIES: &str = "{metric_relabel_configs: [{action: keep}]}";

/// 4 KB, which copied label by label are 900 MB.
pub(crate) fn long_value_referred_to() -> Worst {
    let body = v2(&[b"a", &[b'x'; LONG]], |push| {
        push.nested(5, |series| {
            references(series, (0..60_000).map(|index| 1 + index % 2));
            samples(series, 10);
        });
    });
    Worst { name: "long_value_referred_to", protocol: V2, body, tenant_yaml: COPIES }
}

/// Series by series it is 30 GB.
pub(crate) fn long_value_in_many_series() -> Worst {
    let body = v2(&[b"a", &[b'x'; LONG]], |push| repeat(push, 1_000_000, b"\x2a\x06\x0a\x02\x01\x02\x12\x00"));
    Worst { name: "long_value_in_many_series", protocol: V2, body, tenant_yaml: COPIES }
}

/// A push of so many decompressed bytes, two a symbol.
pub(crate) fn empty_symbols(decoded_bytes: usize) -> Worst {
    let mut push = Writer::default();
    repeat(&mut push, decoded_bytes / 2, b"\x22\x00");
    Worst { name: "empty_symbols", protocol: V2, body: compress(&push), tenant_yaml: "{}" }
}

/// Names of three letters, which are the shortest that are enough.
pub(crate) fn distinct_families() -> Worst {
    let names: Vec<_> = (0..300_000_u32).map(|index| letters(index, 4)).collect();
    let symbols: Vec<&[u8]> = std::iter::once(b"__name__".as_slice()).chain(names.iter().map(|it| &it[..])).collect();
    let body = v2(&symbols, |push| {
        for index in 0..300_000 {
            push.nested(5, |series| {
                references(series, [1, 2 + index]);
                series.append(b"\x2a\x02\x08\x01");
            });
        }
    });
    Worst { name: "distinct_families", protocol: V2, body, tenant_yaml: "{}" }
}

/// 12 KB.
pub(crate) fn metadata_of_alternating_types() -> Worst {
    let body = v2(&[b"__name__", &[b'x'; LONG]], |push| {
        push.nested(5, |series| {
            references(series, [1, 2]);
            repeat(series, 25_000, b"\x2a\x02\x08\x01\x2a\x02\x08\x02");
        });
    });
    Worst { name: "metadata_of_alternating_types", protocol: V2, body, tenant_yaml: "{}" }
}

/// A million samples.
pub(crate) fn times_out_of_order() -> Worst {
    let times = (0..1_000_000).map(|index| TIME - index);
    Worst { name: "times_out_of_order", protocol: V1, body: one_series(times), tenant_yaml: "{}" }
}

/// A million samples of a thousand times.
pub(crate) fn times_in_turn() -> Worst {
    let times = (0..1_000_000).map(|index| TIME - index % 1000);
    Worst { name: "times_in_turn", protocol: V1, body: one_series(times), tenant_yaml: "{}" }
}

const STORES_EXEMPLARS: &str = "{max_global_exemplars_per_user: 1}";

/// As short as valid ones are.
pub(crate) fn exemplars() -> Worst {
    let body = v2(&[b"a"], |push| {
        push.nested(5, |series| repeat(series, 300_000, b"\x22\x06\x0a\x02\x01\x01\x18\x01"));
    });
    Worst { name: "exemplars", protocol: V2, body, tenant_yaml: STORES_EXEMPLARS }
}

/// 6 KB.
pub(crate) fn exemplar_of_a_long_symbol() -> Worst {
    let body = v2(&[&[b'x'; LONG]], |push| {
        push.nested(5, |series| series.nested(4, |exemplar| references(exemplar, std::iter::repeat_n(1, 100_000))));
    });
    Worst { name: "exemplar_of_a_long_symbol", protocol: V2, body, tenant_yaml: STORES_EXEMPLARS }
}

/// A million of them.
pub(crate) fn exemplars_of_characters() -> Worst {
    let text = "𝄞".repeat(128);
    let body = v2(&[text.as_bytes()], |push| {
        push.nested(5, |series| repeat(series, 1_000_000, b"\x22\x06\x0a\x02\x01\x00\x18\x01"));
    });
    Worst { name: "exemplars_of_characters", protocol: V2, body, tenant_yaml: STORES_EXEMPLARS }
}

/// A million series, of two symbols that are one name.
pub(crate) fn names_alike() -> Worst {
    let name = [b'x'; 1024];
    let body = v2(&[&name, &name], |push| {
        repeat(push, 500_000, b"\x2a\x04\x0a\x02\x01\x01\x2a\x04\x0a\x02\x02\x01");
    });
    Worst { name: "names_alike", protocol: V2, body, tenant_yaml: "{max_label_value_length: 2000}" }
}

/// Names that differ in their ends only.
pub(crate) fn names_out_of_order() -> Worst {
    let names: Vec<_> = (0..29).map(|index| [&[b'x'; 1000], &letters(index, 2)[..]].concat()).collect();
    let symbols: Vec<&[u8]> = [&b"__name__"[..], b"m"].into_iter().chain(names.iter().map(|it| &it[..])).collect();
    let body = v2(&symbols, |push| {
        for number in 0..20_000 {
            push.nested(5, |series| {
                let places = (0..29).rev().map(|place| 3 + (place + number % 2) % 29);
                references(series, places.flat_map(|place| [place, 2]).chain([1, 2]));
                samples(series, 1);
            });
        }
    });
    Worst { name: "names_out_of_order", protocol: V2, body, tenant_yaml: "{}" }
}

/// Names that descend, so that they are sorted.
pub(crate) fn labels() -> Worst {
    let names: Vec<_> = (0..300_000).rev().map(|index| letters(index, 4)).collect();
    let symbols: Vec<&[u8]> = names.iter().map(|it| &it[..]).collect();
    let body = v2(&symbols, |push| {
        push.nested(5, |series| references(series, (1..=300_000).flat_map(|index| [index, index])));
    });
    Worst { name: "labels", protocol: V2, body, tenant_yaml: "{max_label_names_per_series: 1000000}" }
}

/// A million series.
pub(crate) fn metric_names_in_turn() -> Worst {
    let body = v2(&[b"__name__", &[b'x'; LONG], &[b'y'; LONG]], |push| {
        repeat(push, 500_000, b"\x2a\x04\x0a\x02\x01\x02\x2a\x04\x0a\x02\x01\x03");
    });
    Worst { name: "metric_names_in_turn", protocol: V2, body, tenant_yaml: "{max_label_value_length: 100000}" }
}

/// Each of two hundred values in five thousand series.
pub(crate) fn values_that_are_cut() -> Worst {
    let values: Vec<_> = (0..200).map(|index| [&[b'x'; 2100], &letters(index, 2)[..]].concat()).collect();
    let symbols: Vec<&[u8]> = [&b"__name__"[..], b"m"].into_iter().chain(values.iter().map(|it| &it[..])).collect();
    let body = v2(&symbols, |push| {
        for index in 0..1_000_000 {
            push.nested(5, |series| references(series, [1, 2, 2, 3 + index % 200]));
        }
    });
    let tenant_yaml = "{label_value_length_over_limit_strategy: truncate}";
    Worst { name: "values_that_are_cut", protocol: V2, body, tenant_yaml }
}

/// In one span, all on one side.
pub(crate) fn buckets() -> Worst {
    let mut push = Writer::default();
    push.nested(1, |series| {
        series.nested(4, |histogram| {
            histogram.sint64(4, 8);
            histogram.nested(11, |span| span.uint64(2, 2_000_000));
            histogram.packed_sint64(12, &[0; 2_000_000]);
        });
        series.nested(1, |label| {
            label.text(1, "__name__");
            label.text(2, "m");
        });
    });
    let tenant_yaml = "{max_native_histogram_buckets: 100}";
    Worst { name: "buckets", protocol: V1, body: compress(&push), tenant_yaml }
}

/// Two bytes each.
pub(crate) fn samples_of_nothing() -> Worst {
    let mut push = Writer::default();
    push.nested(1, |series| repeat(series, 10_000_000, b"\x12\x00"));
    Worst { name: "samples_of_nothing", protocol: V1, body: compress(&push), tenant_yaml: "{}" }
}

/// A 1.0 push of one series with samples of these times.
fn one_series(times: impl Iterator<Item = u64>) -> Vec<u8> {
    let mut push = Writer::default();
    push.nested(1, |series| {
        series.nested(1, |label| {
            label.text(1, "__name__");
            label.text(2, "m");
        });
        times.for_each(|time| series.nested(2, |sample| sample.uint64(2, time)));
    });
    compress(&push)
}

/// A 2.0 push with these symbols from reference 1 on.
fn v2(symbols: &[&[u8]], write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut push = Writer::default();
    push.bytes(4, b"");
    symbols.iter().for_each(|symbol| push.bytes(4, symbol));
    write(&mut push);
    compress(&push)
}

/// Labels of a series or an exemplar.
fn references(writer: &mut Writer, references: impl IntoIterator<Item = u64>) {
    writer.nested(1, |packed| references.into_iter().for_each(|reference| packed.varint(reference)));
}

/// Samples of a 2.0 series, each later than the one before.
fn samples(series: &mut Writer, count: u64) {
    (0..count).for_each(|index| series.nested(2, |sample| sample.uint64(2, TIME + index)));
}

fn repeat(writer: &mut Writer, times: usize, bytes: &[u8]) {
    writer.append(&bytes.repeat(times));
}

/// A name that differs for each number below 26 to the power of `length`.
fn letters(mut number: u32, length: usize) -> Vec<u8> {
    let mut name = vec![b'a'; length];
    for letter in name.iter_mut().rev() {
        *letter += (number % 26) as u8;
        number /= 26;
    }
    name
}

/// Nothing of it is as large as snappy cannot take.
fn compress(push: &Writer) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(push.as_slice()).unwrap_or_default()
}
