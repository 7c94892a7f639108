//! Mimir's validity rules in its own order, step by step over decoded series, with sets, copies and sorting: nothing of
//! the walker's shortcuts.

use std::collections::HashSet;

use limits::{LabelValueStrategy, NameScheme, TenantLimits};
use remote_write::Contents;

use super::decoded::{Buckets, Exemplar, Family, Histogram, LabelPair, Push, Series};

/// Now, and how far another clock may be from it, in milliseconds.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    pub now: i64,
    pub margin: i64,
}

/// What is left of a push.
pub(crate) fn of(push: &Push, limits: &TenantLimits, now: Clock) -> Contents {
    let mut left: Vec<Series> = push.series.clone();
    for series in &mut left {
        series.labels.retain(|(_, value)| !value.is_empty());
        series.labels.sort_by(|(left, _), (right, _)| left.cmp(right));
    }
    left.retain(|series| !series.labels.is_empty());
    let times = left.iter().flat_map(|series| {
        series.samples.iter().copied().chain(series.histograms.iter().map(|histogram| histogram.time))
    });
    let exemplar_times = exemplar_times(times.min().filter(|earliest| *earliest != i64::MAX), limits, now);
    let mut contents = Contents::default();
    for series in &left {
        let Some(samples) = valid_samples(series, limits, now).filter(|_| are_labels(&series.labels, limits)) else {
            continue;
        };
        let Some(histograms) = valid_histograms(series, limits, now) else { continue };
        contents.samples += samples;
        contents.histograms += histograms;
        contents.exemplars += valid_exemplars(&series.exemplars, limits, exemplar_times);
    }
    contents.metadata = push.families.iter().filter(|family| is_metadata(family, limits)).count() as u64;
    contents
}

fn exceeds(length: usize, limit: i64) -> bool {
    length as i64 > limit
}

fn are_labels(labels: &[LabelPair], limits: &TenantLimits) -> bool {
    let scheme = limits.name_validation_scheme;
    let Some((_, metric)) = labels.iter().find(|(name, _)| name == b"__name__") else { return false };
    if !is_name(metric, scheme, true) {
        return false;
    }
    if exceeds(labels.len(), limits.max_label_names_per_series) {
        let is_info = metric.ends_with(b"_info");
        if !is_info || exceeds(labels.len(), limits.max_label_names_per_info_series) {
            return false;
        }
    }
    let rejects_long = limits.label_value_length_over_limit_strategy == LabelValueStrategy::Error;
    let mut last: &[u8] = b"";
    for (name, value) in labels {
        if !is_name(name, scheme, false)
            || exceeds(name.len(), limits.max_label_name_length)
            || std::str::from_utf8(value).is_err()
            || rejects_long && exceeds(value.len(), limits.max_label_value_length)
            || last == name
        {
            return false;
        }
        last = name;
    }
    true
}

fn is_name(name: &[u8], scheme: NameScheme, of_metric: bool) -> bool {
    let Some(first) = name.first() else { return false };
    match scheme {
        NameScheme::Utf8 => std::str::from_utf8(name).is_ok(),
        NameScheme::Legacy => {
            let legal = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
            let is_legal = |byte: &u8| legal.as_bytes().contains(byte) || of_metric && *byte == b':';
            !first.is_ascii_digit() && name.iter().all(is_legal)
        }
    }
}

fn is_time(time: i64, limits: &TenantLimits, Clock { now, margin }: Clock) -> bool {
    let millis = |duration: std::time::Duration| duration.as_millis() as i64;
    let window = millis(limits.out_of_order_time_window);
    if time > now + millis(limits.creation_grace_period) + margin {
        return false;
    }
    if !limits.past_grace_period.is_zero() {
        return time >= now - millis(limits.past_grace_period) - window - margin;
    }
    !(limits.enforce_out_of_order_window_on_distributor && window > 0 && time < now - window - margin)
}

fn valid_samples(series: &Series, limits: &TenantLimits, now: Clock) -> Option<u64> {
    let mut seen = HashSet::new();
    for time in &series.samples {
        if seen.insert(*time) && !is_time(*time, limits, now) {
            return None;
        }
    }
    Some(seen.len() as u64)
}

fn valid_histograms(series: &Series, limits: &TenantLimits, now: Clock) -> Option<u64> {
    let mut seen = HashSet::new();
    for histogram in &series.histograms {
        if !seen.insert(histogram.time) {
            continue;
        }
        if !is_time(histogram.time, limits, now) || !is_histogram(histogram, limits) {
            return None;
        }
    }
    Some(seen.len() as u64)
}

fn is_histogram(histogram: &Histogram, limits: &TenantLimits) -> bool {
    let Histogram { schema, negative, positive, .. } = histogram;
    let is_custom = *schema == -53;
    if (*schema < -4 || *schema > 8) && !is_custom {
        return false;
    }
    let limit = limits.max_native_histogram_buckets;
    let buckets = negative.deltas + negative.counts + positive.deltas + positive.counts;
    if limit <= 0 || !exceeds(buckets, limit) {
        return true;
    }
    if is_custom || !limits.reduce_native_histogram_over_max_buckets {
        return false;
    }
    let mut reduced = [Indices::new(negative), Indices::new(positive)];
    for _ in -4..*schema {
        let mut left = negative.deltas + positive.deltas;
        if !histogram.is_float {
            let [Some(negative), Some(positive)] = &mut reduced else { return false };
            negative.reduce();
            positive.reduce();
            left = negative.0.len() + positive.0.len();
        }
        if (left as i64) < limit {
            return true;
        }
    }
    false
}

/// The indices of the buckets of one side.
struct Indices(Vec<i32>);

impl Indices {
    /// None if the spans claim more buckets than there are, where Mimir's code runs out of its slice.
    fn new(buckets: &Buckets) -> Option<Self> {
        let claimed: u64 = buckets.spans.iter().map(|(_, length)| u64::from(*length)).sum();
        if claimed > buckets.deltas as u64 {
            return None;
        }
        let mut indices = Vec::new();
        let mut next = 0_i32;
        for (offset, length) in &buckets.spans {
            next = next.wrapping_add(*offset);
            for _ in 0..*length {
                indices.push(next);
                next = next.wrapping_add(1);
            }
        }
        Some(Self(indices))
    }

    fn reduce(&mut self) {
        let mut targets: Vec<i32> = Vec::new();
        for index in &self.0 {
            let target = (index.wrapping_sub(1) >> 1) + 1;
            if targets.last().is_none_or(|last| *last < target) {
                targets.push(target);
            }
        }
        self.0 = targets;
    }
}

fn exemplar_times(earliest: Option<i64>, limits: &TenantLimits, Clock { now, margin }: Clock) -> (i64, i64) {
    let millis = |duration: std::time::Duration| duration.as_millis() as i64;
    let mut first = 0;
    if let Some(earliest) = earliest {
        first = earliest.wrapping_sub(300_000);
        if !limits.past_grace_period.is_zero() {
            first =
                first.max(now - millis(limits.past_grace_period) - millis(limits.out_of_order_time_window) - margin);
        }
    }
    (first, now + millis(limits.creation_grace_period) + margin)
}

fn valid_exemplars(exemplars: &[Exemplar], limits: &TenantLimits, (first, last): (i64, i64)) -> u64 {
    let limit = usize::try_from(limits.max_exemplars_per_series_per_request).unwrap_or(0);
    let looked_at = if limit > 0 { exemplars.len().min(limit) } else { exemplars.len() };
    let kept = exemplars[..looked_at].iter().filter(|exemplar| {
        let characters: usize = exemplar.labels.iter().map(|(name, value)| characters(name) + characters(value)).sum();
        let says_something = exemplar.labels.iter().any(|(name, value)| !name.is_empty() && !value.is_empty());
        let in_time = first <= exemplar.time && exemplar.time <= last;
        exemplar.time != 0 && characters <= 128 && says_something && in_time
    });
    kept.count() as u64
}

/// Go's `utf8.RuneCountInString`.
fn characters(mut text: &[u8]) -> usize {
    let mut count = 0;
    while !text.is_empty() {
        let width = (1..=text.len().min(4)).find(|width| std::str::from_utf8(&text[..*width]).is_ok()).unwrap_or(1);
        text = &text[width..];
        count += 1;
    }
    count
}

fn is_metadata(family: &Family, limits: &TenantLimits) -> bool {
    let missing = limits.enforce_metadata_metric_name && family.name.is_empty();
    let limit = limits.max_metadata_length;
    !missing && !exceeds(family.name.len(), limit) && !exceeds(family.unit.len(), limit)
}
