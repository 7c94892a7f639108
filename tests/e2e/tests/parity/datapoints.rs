//! What a series carries: samples, native histograms, exemplars, metadata.

use limits::TenantLimits;
use remote_write::encode::{Buckets, Count, Exemplar, Histogram, Metadata, MetricKind, Series, SeriesMetadata};

use crate::random::Random;

const KINDS: [MetricKind; 8] = [
    MetricKind::Unknown,
    MetricKind::Counter,
    MetricKind::Gauge,
    MetricKind::Histogram,
    MetricKind::GaugeHistogram,
    MetricKind::Summary,
    MetricKind::Info,
    MetricKind::StateSet,
];
const MINUTE: i64 = 60_000;
/// From every limit in time, so that it is the same side of it for as long as a run takes.
const FAR: i64 = 40 * MINUTE;

/// The times of a push's samples, in milliseconds.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    /// When the run began.
    pub(crate) start: i64,
    /// A little before it; later in later pushes of a tenant.
    pub(crate) now: i64,
}

impl Clock {
    /// A valid time: in most cases no earlier than those of the pushes before.
    fn usual(self, random: &mut Random) -> i64 {
        match random.number(0, 19) {
            0 => self.now - random.number(0, 3_000),
            1 => self.start - 70 * MINUTE,
            _ => self.now + random.number(0, 50),
        }
    }

    /// A time beyond a limit, or far enough on this side of it.
    fn near_a_limit(self, random: &mut Random, limits: &TenantLimits) -> i64 {
        let millis = |duration: std::time::Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        let future = self.start + millis(limits.creation_grace_period);
        let past = self.start - millis(limits.past_grace_period) - millis(limits.out_of_order_time_window);
        match random.number(0, 9) {
            0..=2 => future + FAR,
            3 => (future - 2 * MINUTE).max(self.now),
            4..=6 => past - FAR,
            7 => (past + FAR).min(self.now),
            8 => random.of_values(&[0, -1, i64::MIN, 1]),
            _ => random.of_values(&[i64::MAX, 4_102_444_800_000, i64::MAX - 1]),
        }
    }
}

/// Fills a series; `broken`: some of it breaks a rule, or only just does not.
pub(crate) fn fill(random: &mut Random, limits: &TenantLimits, clock: Clock, broken: bool, series: &mut Series) {
    let with_histograms = random.percent(20);
    let samples = if with_histograms && random.percent(70) { 0 } else { random.of_values(&[0, 1, 1, 1, 1, 2, 3]) };
    series.samples = (0..samples).map(|_| (value(random), clock.usual(random))).collect();
    if with_histograms {
        let count = random.count(1, 2);
        series.histograms = (0..count).map(|_| histogram(random, clock)).collect();
    }
    if random.percent(25) {
        let count = random.count(1, 3);
        series.exemplars = (0..count).map(|_| exemplar(random, limits, clock)).collect();
    }
    if random.percent(30) {
        series.metadata = Some(about(random, limits));
    }
    if broken {
        break_points(random, limits, clock, series);
    }
}

fn value(random: &mut Random) -> f64 {
    // One of them is the marker of a stale series.
    let stale = f64::from_bits(0x7ff0_0000_0000_0002);
    random.of_values(&[0.0, 1.0, -1.5, 1e300, f64::INFINITY, f64::NAN, stale])
}

fn break_points(random: &mut Random, limits: &TenantLimits, clock: Clock, series: &mut Series) {
    match random.number(0, 4) {
        0 => series.samples.push((1.0, clock.near_a_limit(random, limits))),
        1 => {
            let sample = series.samples.first().copied().unwrap_or((1.0, clock.now));
            series.samples.push((random.of_values(&[sample.0, 7.0]), sample.1));
        }
        2 => series.histograms.push(broken_histogram(random, limits, clock)),
        3 => {
            let mut late = histogram(random, clock);
            late.timestamp_ms = clock.near_a_limit(random, limits);
            series.histograms.push(late);
        }
        _ => {
            let twice = histogram(random, clock);
            series.samples.push((1.0, twice.timestamp_ms));
            series.histograms.extend([twice.clone(), twice]);
        }
    }
    if random.percent(30) {
        series.samples.reverse();
        series.histograms.reverse();
    }
}

fn histogram(random: &mut Random, clock: Clock) -> Histogram {
    let mut histogram = Histogram { timestamp_ms: clock.usual(random), sum: 3.5, ..Histogram::default() };
    histogram.reset_hint = random.of_values(&[0, 1, 2, 3]);
    histogram.schema = i32::try_from(random.number(-4, 8)).unwrap_or(0);
    let lengths = [random.count(0, 5), random.count(0, 5)];
    if random.percent(30) {
        // Custom buckets have bounds, one fewer than buckets, and nothing below zero.
        histogram.schema = -53;
        histogram.reset_hint = 0;
        histogram.custom_values = (0..lengths[0]).map(|bound| bound as f64).collect();
        set_buckets(random.percent(50), &mut histogram, [lengths[0] + 1, 0]);
    } else {
        histogram.zero_threshold = random.of_values(&[0.0, 0.001]);
        set_buckets(random.percent(50), &mut histogram, lengths);
    }
    histogram
}

/// So many buckets above and below zero, with an observation in each, and a count that says so.
fn set_buckets(floats: bool, histogram: &mut Histogram, [positive, negative]: [usize; 2]) {
    let side = |length: usize| {
        let spans = if length == 0 { Vec::new() } else { vec![(0, u32::try_from(length).unwrap_or(0))] };
        let deltas: Vec<i64> = (0..length).map(|index| i64::from(index == 0)).collect();
        let (deltas, counts) = if floats { (Vec::new(), vec![1.0; length]) } else { (deltas, Vec::new()) };
        Buckets { spans, deltas, counts }
    };
    histogram.positive = side(positive);
    histogram.negative = side(negative);
    let total = positive + negative;
    histogram.count = if floats { Count::Float(total as f64) } else { Count::Integer(total as u64) };
    histogram.zero_count = if floats { Count::Float(0.0) } else { Count::Integer(0) };
}

fn broken_histogram(random: &mut Random, limits: &TenantLimits, clock: Clock) -> Histogram {
    let mut histogram = histogram(random, clock);
    match random.number(0, 9) {
        0 | 1 => histogram.schema = random.of_values(&[-5, 9, -52, -54, -53, 127, i32::MIN]),
        2..=4 => {
            let total = random.around(limits.max_native_histogram_buckets);
            let negative = if histogram.schema == -53 { 0 } else { random.count(0, total) };
            set_buckets(random.percent(50), &mut histogram, [total - negative, negative]);
            histogram.schema = random.of_values(&[histogram.schema, -4, 0, 8]);
        }
        5 => histogram.count = random.of_values(&[Count::Integer(1_000), Count::Float(f64::NAN), Count::Float(-1.0)]),
        6 => {
            histogram.positive.spans =
                vec![(random.of_values(&[-1, 0, 2, i32::MIN]), 2), (random.of_values(&[-3, 0, 1, i32::MAX]), 2)];
        }
        7 => histogram.positive.deltas = vec![1, -3, i64::MAX],
        8 => histogram.positive.counts = vec![-1.0, f64::NAN],
        _ => {
            histogram.custom_values =
                random.one(&[&[3.0, 1.0][..], &[f64::NAN], &[1.0, f64::INFINITY], &[0.5; 9]]).to_vec();
        }
    }
    histogram
}

fn exemplar(random: &mut Random, limits: &TenantLimits, clock: Clock) -> Exemplar {
    let trace = match random.number(0, 9) {
        0 => "x".repeat(random.around(128 - 8)),
        1 => "é".repeat(random.around(128 - 8)),
        2 => String::new(),
        _ => format!("{:08x}", random.number(0, 1 << 20)),
    };
    let mut labels = vec![("trace_id".to_owned(), trace)];
    match random.number(0, 9) {
        0 => labels.clear(),
        1 => labels.push(("span".into(), "1".into())),
        2 => labels.push((String::new(), random.one(&["", "v"]).into())),
        _ => {}
    }
    let timestamp_ms = match random.number(0, 9) {
        0 => clock.near_a_limit(random, limits),
        1 => random.of_values(&[0, clock.start - 10 * MINUTE]),
        _ => clock.usual(random),
    };
    Exemplar { labels, value: 1.0, timestamp_ms }
}

fn about(random: &mut Random, limits: &TenantLimits) -> SeriesMetadata {
    let unit = match random.number(0, 5) {
        0 => "u".repeat(random.around(limits.max_metadata_length)),
        1..=3 => String::new(),
        _ => "s".to_owned(),
    };
    let help = match random.number(0, 5) {
        0 => "h".repeat(random.around(limits.max_metadata_length)),
        1 | 2 => String::new(),
        _ => "Says what it is.".to_owned(),
    };
    SeriesMetadata { kind: random.of_values(&KINDS), help, unit }
}

/// An entry of metadata; a little short of half of them have something of note.
pub(crate) fn metadata(random: &mut Random, limits: &TenantLimits) -> Metadata {
    let family = match random.number(0, 9) {
        0 => String::new(),
        1 => "m".repeat(random.around(limits.max_metadata_length)),
        2 => "é".repeat(random.around(limits.max_metadata_length) / 2),
        3 => random.one(&["a b", "0a", super::series::NO_UTF8]).to_owned(),
        _ => random.one(&["up", "lat", "lat_sum", "lat_bucket", "http_requests_total"]).to_owned(),
    };
    Metadata { family, about: about(random, limits) }
}
