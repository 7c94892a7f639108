//! A tenant's rules for valid series, samples and metadata (`validateSeries` and its callees in Mimir's `pkg/distributor`).
//!
//! The order of Mimir's checks does not matter: it charges no invalid series, whatever it finds first.

use std::time::Duration;

use limits::{LabelValueStrategy, NameScheme, TenantLimits, TenantView};

use crate::bytes::is_ascii;

/// How much older than the earliest sample of its push an exemplar may be, in milliseconds.
const EXEMPLAR_AGE_MS: i64 = 5 * 60 * 1000;

/// How far the clocks of the edge and of Mimir may be apart, including the time between the two checks, in milliseconds: a
/// time that is invalid by less may be valid to Mimir.
pub const CLOCK_MARGIN_MS: i64 = 10_000;

/// The validity rules of one tenant. Cheap to create and to copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validation {
    scheme: NameScheme,
    max_labels: i64,
    max_labels_of_info: i64,
    max_label_name: i64,
    /// `None` if longer values are truncated instead of rejected.
    max_label_value: Option<i64>,
    /// Longer values are truncated; `None` if they are rejected.
    truncate_from: Option<i64>,
    max_metadata: i64,
    metadata_needs_name: bool,
    creation_grace_ms: i64,
    /// The maximum age of a sample.
    max_age_ms: Option<i64>,
    /// The maximum age of an exemplar.
    max_exemplar_age_ms: Option<i64>,
    histograms: HistogramRules,
    stores_exemplars: bool,
    max_exemplars: i64,
}

/// The rules for native histograms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HistogramRules {
    /// 0 or less: no limit.
    pub max_buckets: i64,
    /// Whether the resolution of a histogram with too many buckets is reduced, if possible.
    pub reduces: bool,
}

impl Validation {
    /// The rules for a push with these limits. Only the name scheme comes from the limits key with its metadata suffix
    /// (`newValidationConfig`).
    #[must_use]
    pub fn of(view: &TenantView<'_>) -> Self {
        let scheme = view.ingestion.limits.name_validation_scheme;
        Self { scheme, ..Self::new(&view.tenant.limits) }
    }

    /// The rules of a tenant without a metadata suffix.
    #[must_use]
    pub fn new(limits: &TenantLimits) -> Self {
        let window = millis(limits.out_of_order_time_window);
        let past = match millis(limits.past_grace_period) {
            0 => None,
            grace => Some(grace.saturating_add(window)),
        };
        let window = (limits.enforce_out_of_order_window_on_distributor && window > 0).then_some(window);
        let rejects_long_values = limits.label_value_length_over_limit_strategy == LabelValueStrategy::Error;
        Self {
            scheme: limits.name_validation_scheme,
            max_labels: limits.max_label_names_per_series,
            max_labels_of_info: limits.max_label_names_per_info_series,
            max_label_name: limits.max_label_name_length,
            max_label_value: rejects_long_values.then_some(limits.max_label_value_length),
            truncate_from: (!rejects_long_values).then_some(limits.max_label_value_length),
            max_metadata: limits.max_metadata_length,
            metadata_needs_name: limits.enforce_metadata_metric_name,
            creation_grace_ms: millis(limits.creation_grace_period),
            max_age_ms: past.or(window),
            max_exemplar_age_ms: past,
            histograms: HistogramRules {
                max_buckets: limits.max_native_histogram_buckets,
                reduces: limits.reduce_native_histogram_over_max_buckets,
            },
            stores_exemplars: limits.stores_exemplars(),
            max_exemplars: limits.max_exemplars_per_series_per_request,
        }
    }

    /// Whether exemplars are read and charged. If not, Mimir skips them while it unmarshals, and reports 0 written ones.
    #[must_use]
    pub fn stores_exemplars(&self) -> bool {
        self.stores_exemplars
    }

    pub(crate) fn histograms(&self) -> HistogramRules {
        self.histograms
    }

    /// Whether Mimir looks at the exemplar after `before` others of its series.
    pub(crate) fn keeps_exemplar(&self, before: u64) -> bool {
        self.max_exemplars <= 0 || u64::try_from(self.max_exemplars).is_ok_and(|most| before < most)
    }

    /// The times that samples may have in a push that comes at `now`, in Unix milliseconds.
    pub(crate) fn times(&self, now: i64) -> Times {
        Times {
            first: self.max_age_ms.map_or(i64::MIN, |age| now.saturating_sub(age)),
            last: now.saturating_add(self.creation_grace_ms),
        }
    }

    /// The times that exemplars may have in a push that comes at `now` and whose earliest sample is of the time `earliest`;
    /// `i64::MAX` if it has none. By clocks that are `margin` milliseconds apart, at most.
    pub(crate) fn exemplar_times(&self, now: i64, earliest: i64, margin: i64) -> Times {
        let mut first = 0;
        if earliest != i64::MAX {
            // Go wraps around.
            first = earliest.wrapping_sub(EXEMPLAR_AGE_MS);
            if let Some(age) = self.max_exemplar_age_ms {
                first = first.max(now.saturating_sub(age).saturating_sub(margin));
            }
        }
        Times { first, last: now.saturating_add(self.creation_grace_ms).saturating_add(margin) }
    }

    /// Whether no series may have so many labels, whatever its name.
    pub(crate) fn is_too_many_labels(&self, count: usize) -> bool {
        !fits(count, self.max_labels.max(self.max_labels_of_info))
    }

    /// Whether a series of this name may have so many labels, the name included.
    pub(crate) fn may_have_labels(&self, metric_name: &[u8], count: usize) -> bool {
        let of_info = || metric_name.ends_with(b"_info") && fits(count, self.max_labels_of_info);
        fits(count, self.max_labels) || of_info()
    }

    pub(crate) fn is_metric_name(&self, name: &[u8]) -> bool {
        is_metric_name(self.scheme, name)
    }

    pub(crate) fn is_label_name(&self, name: &[u8]) -> bool {
        fits(name.len(), self.max_label_name) && is_label_name(self.scheme, name)
    }

    #[inline]
    pub(crate) fn is_label_value(&self, value: &[u8]) -> bool {
        self.max_label_value.is_none_or(|most| fits(value.len(), most)) && is_utf8(value)
    }

    /// Whether Mimir truncates values that are too long, instead of rejecting them.
    pub(crate) fn truncates_values(&self) -> bool {
        self.truncate_from.is_some()
    }

    /// Whether Mimir truncates a value.
    #[inline]
    pub(crate) fn truncates(&self, value: &[u8]) -> bool {
        self.truncate_from.is_some_and(|most| !fits(value.len(), most))
    }

    /// Whether metadata of a metric family, with a unit of `unit` bytes, is kept.
    pub(crate) fn is_metadata(&self, name: usize, unit: usize) -> bool {
        let named = name > 0 || !self.metadata_needs_name;
        named && fits(name, self.max_metadata) && fits(unit, self.max_metadata)
    }
}

/// From a first to a last time in Unix milliseconds, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    pub first: i64,
    pub last: i64,
}

impl Times {
    #[inline]
    pub(crate) fn contain(self, time: i64) -> bool {
        self.first <= time && time <= self.last
    }

    /// The times that may be valid by another clock.
    pub(crate) fn with_margin(self) -> Self {
        let first = self.first.saturating_sub(CLOCK_MARGIN_MS);
        Self { first, last: self.last.saturating_add(CLOCK_MARGIN_MS) }
    }
}

/// Whether a length is within a limit of Mimir's; nothing is within a negative one.
#[inline]
fn fits(length: usize, limit: i64) -> bool {
    usize::try_from(limit).is_ok_and(|limit| length <= limit)
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

// Which metric and label names are legal: `ValidationScheme` of Prometheus' `common/model`.

/// Most texts are short and ASCII, which is faster to check than UTF-8.
#[inline]
fn is_utf8(text: &[u8]) -> bool {
    is_ascii(text) || std::str::from_utf8(text).is_ok()
}

fn is_metric_name(scheme: NameScheme, name: &[u8]) -> bool {
    match scheme {
        NameScheme::Legacy => is_legacy(name, |byte| is_word(byte) || byte == b':'),
        NameScheme::Utf8 => !name.is_empty() && is_utf8(name),
    }
}

pub(crate) fn is_label_name(scheme: NameScheme, name: &[u8]) -> bool {
    match scheme {
        NameScheme::Legacy => is_legacy(name, is_word),
        NameScheme::Utf8 => !name.is_empty() && is_utf8(name),
    }
}

fn is_legacy(name: &[u8], legal: impl Fn(u8) -> bool) -> bool {
    name.first().is_some_and(|first| !first.is_ascii_digit()) && name.iter().all(|byte| legal(*byte))
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

#[cfg(test)]
mod tests;
