//! What full decoding with prost says about a push, plus Mimir's own rules computed from the decoded structs: the
//! yardstick for the walker.

use std::collections::HashSet;

use limits::{LabelValueStrategy, TenantLimits};
use prost::Message;
use prost::encoding::{DecodeContext, WireType, decode_key};
use remote_write::{CLOCK_MARGIN_MS, Contents, Protocol, PushCounts, Unmetered};

use super::decoded::{Family, Push, Series};
use super::schema::{
    ExemplarV2, MetadataReferences, Outline, RequestV1, RequestV1Skipping, RequestV2, RequestV2Skipping, SeriesOutline,
};
use super::treatment::treat;
use super::validity::{self, Clock};

/// What a push is to come to.
#[derive(Debug)]
pub(crate) struct Expected {
    /// What Mimir charges.
    pub counts: PushCounts,
    /// And if its clock shows any time within the margin.
    by_any_clock: PushCounts,
    /// Whether long values are cut, after which more than that may be charged.
    cuts: bool,
}

impl Expected {
    /// Whether these counts are what Mimir charges, or say why they are not, and are no fewer.
    pub(crate) fn agree(&self, actual: &PushCounts) -> bool {
        let charged = |counts: &PushCounts| [counts.samples, counts.histograms, counts.exemplars, counts.metadata];
        let is_sent = |other: &PushCounts| (actual.sent, actual.series) == (other.sent, other.series);
        match actual.unmetered {
            None => *actual == self.counts,
            Some(Unmetered::ClockMargin) if !self.cuts => {
                PushCounts { unmetered: None, ..*actual } == self.by_any_clock
            }
            Some(_) => {
                let counts = charged(actual).into_iter().zip(charged(&self.by_any_clock));
                counts.into_iter().all(|(actual, expected)| actual >= expected) && is_sent(&self.counts)
            }
        }
    }
}

/// What a decompressed push that comes at `now` is to come to, or `None` if it is to be rejected.
pub(crate) fn read(protocol: Protocol, decoded: &[u8], limits: &TenantLimits, now: i64) -> Option<Expected> {
    let counts = read_by(protocol, decoded, limits, Clock { now, margin: 0 })?;
    let by_any_clock = read_by(protocol, decoded, limits, Clock { now, margin: CLOCK_MARGIN_MS })?;
    let cuts = limits.label_value_length_over_limit_strategy != LabelValueStrategy::Error;
    Some(Expected { counts, by_any_clock, cuts })
}

fn read_by(protocol: Protocol, decoded: &[u8], limits: &TenantLimits, clock: Clock) -> Option<PushCounts> {
    let push = decode(protocol, decoded, limits.stores_exemplars())?;
    let sum = |count: fn(&Series) -> usize| push.series.iter().map(|one| count(one) as u64).sum();
    let sent = Contents {
        samples: sum(|one| one.samples.len()),
        histograms: sum(|one| one.histograms.len()),
        exemplars: sum(|one| one.exemplars.len()),
        metadata: push.families.len() as u64,
    };
    let series = push.series.len() as u64;
    let valid = treat(push, limits).map_or_else(Contents::default, |push| validity::of(&push, limits, clock));
    Some(PushCounts {
        series,
        samples: valid.samples,
        histograms: valid.histograms,
        exemplars: valid.exemplars,
        metadata: valid.metadata,
        sent,
        is_enough: false,
        unmetered: None,
        doubtful: 0,
        decoded_bytes: decoded.len() as u64,
    })
}

/// Whether prost rejects the push for a group that another one's end ends. Mimir reads on, with a result that prost cannot give.
pub(crate) fn mixes_groups_up(protocol: Protocol, decoded: &[u8], limits: &TenantLimits) -> bool {
    let rejected = match (protocol, limits.stores_exemplars()) {
        (Protocol::V1, true) => RequestV1::decode(decoded).err(),
        (Protocol::V1, false) => RequestV1Skipping::decode(decoded).err(),
        (Protocol::V2, true) => RequestV2::decode(decoded).err(),
        (Protocol::V2, false) => RequestV2Skipping::decode(decoded).err(),
    };
    rejected.is_some_and(|error| error.to_string().ends_with("unexpected end group tag"))
}

fn decode(protocol: Protocol, decoded: &[u8], exemplars: bool) -> Option<Push> {
    macro_rules! series_v1 {
        ($request:ty) => {{
            let request = <$request>::decode(decoded).ok().filter(|request| !request.is_foreign())?;
            let families = request.metadata.iter().map(Family::of_v1).collect();
            Push { series: request.timeseries.into_iter().map(Into::into).collect(), families }
        }};
    }
    macro_rules! series_v2 {
        ($request:ty) => {{
            let request = <$request>::decode(decoded).ok().filter(|request| !request.is_foreign())?;
            let families = families_in_order(decoded, exemplars)?;
            let symbols = request.symbols;
            let series = request.timeseries.into_iter().map(|one| one.with_symbols(&symbols)).collect();
            Push { series, families }
        }};
    }
    Some(match (protocol, exemplars) {
        (Protocol::V1, true) => series_v1!(RequestV1),
        (Protocol::V1, false) => series_v1!(RequestV1Skipping),
        (Protocol::V2, true) => series_v2!(RequestV2),
        (Protocol::V2, false) => series_v2!(RequestV2Skipping),
    })
}

/// Checks the references of a well-formed 2.0 push and gives the families that its metadata name, each once.
///
/// Order matters: references are good for symbols before them, and metadata know the labels before them. So the fields are
/// merged one at a time.
fn families_in_order(decoded: &[u8], exemplars: bool) -> Option<Vec<Family>> {
    let mut families = Families::default();
    let mut outline = Outline::default();
    each_field(decoded, |tag, wire_type, buffer| {
        outline.merge_field(tag, wire_type, buffer, DecodeContext::default()).expect("the push was decoded before");
        if outline.symbols.first().is_some_and(|symbol| !symbol.is_empty()) {
            return None;
        }
        match outline.timeseries.pop() {
            Some(series) => check_series(&series, &outline.symbols, exemplars, &mut families),
            None => Some(()),
        }
    })?;
    Some(families.first_said)
}

#[derive(Default)]
struct Families {
    names: HashSet<Vec<u8>>,
    first_said: Vec<Family>,
}

fn check_series(bytes: &[u8], symbols: &[Vec<u8>], exemplars: bool, families: &mut Families) -> Option<()> {
    let mut series = SeriesOutline::default();
    each_field(bytes, |tag, wire_type, buffer| {
        series.merge_field(tag, wire_type, buffer, DecodeContext::default()).expect("the series was decoded before");
        match series.metadata.pop() {
            Some(metadata) => add_family(&series.labels_refs, &metadata, symbols, families),
            None => Some(()),
        }
    })?;
    check_labels(&series.labels_refs, symbols)?;
    if exemplars {
        for bytes in &series.exemplars {
            let exemplar = ExemplarV2::decode(bytes.as_slice()).expect("the exemplar was decoded before");
            check_labels(&exemplar.labels_refs, symbols)?;
        }
    }
    Some(())
}

fn each_field(mut bytes: &[u8], mut field: impl FnMut(u32, WireType, &mut &[u8]) -> Option<()>) -> Option<()> {
    while !bytes.is_empty() {
        let (tag, wire_type) = decode_key(&mut bytes).expect("the message was decoded before");
        field(tag, wire_type, &mut bytes)?;
    }
    Some(())
}

fn check_labels(references: &[u32], symbols: &[Vec<u8>]) -> Option<()> {
    texts(references, symbols).filter(|_| references.len().is_multiple_of(2)).map(drop)
}

/// The texts of references, if all of them are good.
fn texts<'s>(references: &[u32], symbols: &'s [Vec<u8>]) -> Option<Vec<&'s [u8]>> {
    references.iter().map(|reference| symbols.get(*reference as usize).map(Vec::as_slice)).collect()
}

fn add_family(labels: &[u32], metadata: &[u8], symbols: &[Vec<u8>], families: &mut Families) -> Option<()> {
    let metadata = MetadataReferences::decode(metadata).expect("the metadata were decoded before");
    let help = texts(&metadata.help, symbols)?.pop().unwrap_or_default();
    let unit = texts(&metadata.unit, symbols)?.pop().unwrap_or_default();
    let labels = texts(labels, symbols)?;
    let name = labels.chunks_exact(2).filter(|pair| pair[0] == b"__name__").map(|pair| pair[1]).next_back();
    let family = family(name.unwrap_or_default(), metadata.kind);
    let says_something = metadata.kind != 0 || !help.is_empty() || !unit.is_empty();
    if !family.is_empty() && says_something && families.names.insert(family.to_vec()) {
        families.first_said.push(Family { name: family.to_vec(), unit: unit.to_vec() });
    }
    Some(())
}

fn family(name: &[u8], kind: i32) -> &[u8] {
    let suffixes: &[&str] = match kind {
        3 => &["_bucket", "_count", "_sum"],
        4 => &["_bucket", "_gcount", "_gsum"],
        5 => &["_count", "_sum"],
        _ => &[],
    };
    suffixes.iter().find_map(|suffix| name.strip_suffix(suffix.as_bytes())).unwrap_or(name)
}
