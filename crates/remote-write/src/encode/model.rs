//! The structs that a push is built from. Plain data: times are Unix milliseconds, nothing is checked.

/// One series with what it carries in one push.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// Names and values, `__name__` among them. Mimir wants them sorted by name; they are written as they are.
    pub labels: Vec<(String, String)>,
    /// Values and their times.
    pub samples: Vec<(f64, i64)>,
    /// Native histograms.
    pub histograms: Vec<Histogram>,
    /// Exemplars of the samples.
    pub exemplars: Vec<Exemplar>,
    /// Metadata of the series, which only remote write 2.0 has.
    pub metadata: Option<SeriesMetadata>,
}

impl Series {
    /// A series of these labels with one sample.
    pub fn sample(labels: &[(&str, &str)], value: f64, timestamp_ms: i64) -> Self {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { labels, samples: vec![(value, timestamp_ms)], ..Self::default() }
    }
}

/// An example of what a sample counts, such as the id of a trace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exemplar {
    /// Names and values, such as `trace_id`.
    pub labels: Vec<(String, String)>,
    /// The value.
    pub value: f64,
    /// Its time.
    pub timestamp_ms: i64,
}

/// A native histogram.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// Number of observations.
    pub count: Count,
    /// Sum of the observations.
    pub sum: f64,
    /// Resolution: -4 to 8, or -53 for custom buckets.
    pub schema: i32,
    /// Width of the zero bucket.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: Count,
    /// Buckets below zero.
    pub negative: Buckets,
    /// Buckets above zero.
    pub positive: Buckets,
    /// 0 unknown, 1 reset, 2 no reset, 3 gauge.
    pub reset_hint: i32,
    /// Its time.
    pub timestamp_ms: i64,
    /// Bounds of custom buckets.
    pub custom_values: Vec<f64>,
}

/// A count of an integer or of a float histogram.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Count {
    /// Of an integer histogram.
    Integer(u64),
    /// Of a float histogram.
    Float(f64),
}

impl Default for Count {
    fn default() -> Self {
        Self::Integer(0)
    }
}

/// One side of a native histogram.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Buckets {
    /// Offset from the span before, and length, of each run of buckets.
    pub spans: Vec<(i32, u32)>,
    /// Of integer histograms: difference of each bucket from the one before.
    pub deltas: Vec<i64>,
    /// Of float histograms: the count of each bucket.
    pub counts: Vec<f64>,
}

/// Metadata of one metric family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Name of the family, such as `http_request_duration_seconds`.
    pub family: String,
    /// What is said of it.
    pub about: SeriesMetadata,
}

/// What metadata says of a metric.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeriesMetadata {
    /// Its type.
    pub kind: MetricKind,
    /// Help text.
    pub help: String,
    /// Unit, such as `seconds`.
    pub unit: String,
}

/// The type of a metric. Both protocols number them alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MetricKind {
    /// Not said.
    #[default]
    Unknown = 0,
    /// A counter.
    Counter = 1,
    /// A gauge.
    Gauge = 2,
    /// A histogram.
    Histogram = 3,
    /// A histogram that can go down.
    GaugeHistogram = 4,
    /// A summary.
    Summary = 5,
    /// Always 1, its labels are what it says.
    Info = 6,
    /// A set of states.
    StateSet = 7,
}
