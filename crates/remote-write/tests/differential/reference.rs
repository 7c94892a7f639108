//! What full decoding with prost says about a push, plus Mimir's own rules computed from the decoded structs: the
//! yardstick for the walker.

use std::collections::HashSet;

use prost::Message;
use prost::encoding::{DecodeContext, WireType, decode_key};
use remote_write::{Exemplars, Protocol, PushCounts};

use super::schema::{
    ExemplarV2, MetadataReferences, Outline, RequestV1, RequestV1Skipping, RequestV2, RequestV2Skipping, SeriesOutline,
};

/// The counts of a decompressed push, or `None` if it is to be refused.
pub(crate) fn read(protocol: Protocol, decoded: &[u8], exemplars: Exemplars) -> Option<PushCounts> {
    macro_rules! decode {
        ($request:ty) => {{
            let request = <$request>::decode(decoded).ok()?;
            (request.counts(), request.is_foreign())
        }};
    }
    let (mut counts, is_foreign) = match (protocol, exemplars) {
        (Protocol::V1, Exemplars::Read) => decode!(RequestV1),
        (Protocol::V1, Exemplars::Skip) => decode!(RequestV1Skipping),
        (Protocol::V2, Exemplars::Read) => decode!(RequestV2),
        (Protocol::V2, Exemplars::Skip) => decode!(RequestV2Skipping),
    };
    if is_foreign {
        return None;
    }
    if protocol == Protocol::V2 {
        counts.metadata = families_in_order(decoded, exemplars)?;
    }
    if exemplars == Exemplars::Skip {
        counts.exemplars = 0;
    }
    counts.decoded_bytes = decoded.len() as u64;
    Some(counts)
}

/// Checks the references of a well-formed 2.0 push and counts the families that its metadata name.
///
/// Order matters: references are good for symbols before them, and metadata know the labels before them. So the fields are
/// merged one at a time.
fn families_in_order(decoded: &[u8], exemplars: Exemplars) -> Option<u64> {
    let mut families = HashSet::new();
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
    Some(families.len() as u64)
}

fn check_series(
    bytes: &[u8],
    symbols: &[Vec<u8>],
    exemplars: Exemplars,
    families: &mut HashSet<Vec<u8>>,
) -> Option<()> {
    let mut series = SeriesOutline::default();
    each_field(bytes, |tag, wire_type, buffer| {
        series.merge_field(tag, wire_type, buffer, DecodeContext::default()).expect("the series was decoded before");
        match series.metadata.pop() {
            Some(metadata) => add_family(&series.labels_refs, &metadata, symbols, families),
            None => Some(()),
        }
    })?;
    check_labels(&series.labels_refs, symbols)?;
    if exemplars == Exemplars::Read {
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

fn add_family(labels: &[u32], metadata: &[u8], symbols: &[Vec<u8>], families: &mut HashSet<Vec<u8>>) -> Option<()> {
    let metadata = MetadataReferences::decode(metadata).expect("the metadata were decoded before");
    let help = texts(&metadata.help, symbols)?.pop().unwrap_or_default();
    let unit = texts(&metadata.unit, symbols)?.pop().unwrap_or_default();
    let labels = texts(labels, symbols)?;
    let name = labels.chunks_exact(2).filter(|pair| pair[0] == b"__name__").map(|pair| pair[1]).next_back();
    let family = family(name.unwrap_or_default(), metadata.kind);
    if !family.is_empty() && (metadata.kind != 0 || !help.is_empty() || !unit.is_empty()) {
        families.insert(family.to_vec());
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
