//! A decoded push of either protocol, as far as Mimir looks at it when it judges series.

use super::schema::{
    BucketSpan, Count, ExemplarV1, ExemplarV2, HistogramV1, HistogramV2, Label, Metadata, SampleV1, SampleV2, SeriesV1,
    SeriesV1Skipping, SeriesV2, SeriesV2Skipping,
};

pub(crate) struct Push {
    pub series: Vec<Series>,
    /// What is said of metric families, as Mimir gets to see it.
    pub families: Vec<Family>,
}

pub(crate) type LabelPair = (Vec<u8>, Vec<u8>);

#[derive(Clone)]
pub(crate) struct Series {
    pub labels: Vec<LabelPair>,
    /// Their times.
    pub samples: Vec<i64>,
    pub histograms: Vec<Histogram>,
    pub exemplars: Vec<Exemplar>,
}

#[derive(Clone)]
pub(crate) struct Histogram {
    pub time: i64,
    pub schema: i32,
    pub is_float: bool,
    pub negative: Buckets,
    pub positive: Buckets,
}

#[derive(Clone)]
pub(crate) struct Buckets {
    /// Offset and length.
    pub spans: Vec<(i32, u32)>,
    pub deltas: usize,
    pub counts: usize,
}

#[derive(Clone)]
pub(crate) struct Exemplar {
    pub labels: Vec<LabelPair>,
    pub time: i64,
}

pub(crate) struct Family {
    pub name: Vec<u8>,
    pub unit: Vec<u8>,
}

impl Family {
    pub(crate) fn of_v1(metadata: &Metadata) -> Self {
        Self { name: metadata.metric_family_name.clone(), unit: metadata.unit.clone() }
    }
}

impl Buckets {
    fn new(spans: &[BucketSpan], deltas: &[i64], counts: &[f64]) -> Self {
        let spans = spans.iter().map(|span| (span.offset, span.length)).collect();
        Self { spans, deltas: deltas.len(), counts: counts.len() }
    }
}

macro_rules! from_histogram {
    ($histogram:ty) => {
        impl From<$histogram> for Histogram {
            fn from(read: $histogram) -> Self {
                Self {
                    time: read.timestamp,
                    schema: read.schema,
                    is_float: matches!(read.count, Some(Count::Float(_))),
                    negative: Buckets::new(&read.negative_spans, &read.negative_deltas, &read.negative_counts),
                    positive: Buckets::new(&read.positive_spans, &read.positive_deltas, &read.positive_counts),
                }
            }
        }
    };
}

from_histogram!(HistogramV1);
from_histogram!(HistogramV2);

fn pairs(labels: Vec<Label>) -> Vec<LabelPair> {
    labels.into_iter().map(|label| (label.name, label.value)).collect()
}

/// References that were checked before.
fn resolved(references: &[u32], symbols: &[Vec<u8>]) -> Vec<LabelPair> {
    let text = |reference: &u32| symbols[*reference as usize].clone();
    references.chunks_exact(2).map(|pair| (text(&pair[0]), text(&pair[1]))).collect()
}

/// Exemplars, or bytes that were passed over.
trait ToExemplar {
    fn to_exemplar(&self, symbols: &[Vec<u8>]) -> Option<Exemplar>;
}

impl ToExemplar for ExemplarV1 {
    fn to_exemplar(&self, _: &[Vec<u8>]) -> Option<Exemplar> {
        Some(Exemplar { labels: pairs(self.labels.clone()), time: self.timestamp })
    }
}

impl ToExemplar for ExemplarV2 {
    fn to_exemplar(&self, symbols: &[Vec<u8>]) -> Option<Exemplar> {
        Some(Exemplar { labels: resolved(&self.labels_refs, symbols), time: self.timestamp })
    }
}

impl ToExemplar for Vec<u8> {
    fn to_exemplar(&self, _: &[Vec<u8>]) -> Option<Exemplar> {
        None
    }
}

fn exemplars<E: ToExemplar>(read: &[E], symbols: &[Vec<u8>]) -> Vec<Exemplar> {
    read.iter().filter_map(|one| one.to_exemplar(symbols)).collect()
}

macro_rules! from_v1 {
    ($series:ty) => {
        impl From<$series> for Series {
            fn from(read: $series) -> Self {
                Self {
                    exemplars: exemplars(&read.exemplars, &[]),
                    labels: pairs(read.labels),
                    samples: read.samples.iter().map(|sample: &SampleV1| sample.timestamp).collect(),
                    histograms: read.histograms.into_iter().map(Into::into).collect(),
                }
            }
        }
    };
}

from_v1!(SeriesV1);
from_v1!(SeriesV1Skipping);

macro_rules! from_v2 {
    ($series:ty) => {
        impl $series {
            pub(crate) fn with_symbols(self, symbols: &[Vec<u8>]) -> Series {
                Series {
                    labels: resolved(&self.labels_refs, symbols),
                    exemplars: exemplars(&self.exemplars, symbols),
                    samples: self.samples.iter().map(|sample: &SampleV2| sample.timestamp).collect(),
                    histograms: self.histograms.into_iter().map(Into::into).collect(),
                }
            }
        }
    };
}

from_v2!(SeriesV2);
from_v2!(SeriesV2Skipping);
