//! What of a push Mimir charges: series by series, as the walkers of both protocols come upon what is in them.
//!
//! The fields of a series come in any order, so what its samples count for is known at its end. Of samples with the same
//! time Mimir takes the first (`validateSamples` in its `pkg/distributor`). Times mostly ascend, and then there are none; where
//! they do not, the series is walked once more.

use crate::error::ProtobufError;
use crate::exemplar::Exemplar;
use crate::histogram::Histogram;
use crate::labels::{LabelBuffers, LabelVerdict, Labels};
use crate::points::{Points, Recount};
use crate::validation::{Times, Validation};
use crate::wire::Cursor;
use crate::{Protocol, PushCounts};

/// Buffers of [`Judge`], empty between two pushes.
#[derive(Debug, Default)]
pub(crate) struct JudgeBuffers {
    labels: LabelBuffers,
    points: Recount,
    exemplars: Vec<i64>,
}

impl JudgeBuffers {
    /// Gives back memory over `bytes` in each of them.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        self.labels.shrink(bytes);
        self.points.shrink(bytes);
        self.exemplars.clear();
        self.exemplars.shrink_to(bytes / size_of::<i64>());
    }
}

/// Judges one push.
#[derive(Debug)]
pub(crate) struct Judge<'a, 's> {
    pub rules: &'s Validation,
    protocol: Protocol,
    now: i64,
    times: Times,
    labels: Labels<'a>,
    buffers: &'s mut JudgeBuffers,
    /// The time of the earliest sample so far, valid or not; `i64::MAX` before the first.
    earliest: i64,
    series: Series,
    pub counts: PushCounts,
}

/// One series as far as it was read.
#[derive(Debug, Default)]
struct Series {
    samples: Points,
    histograms: Points,
    /// Whether a histogram is invalid, be it one of a time that was there before.
    bad_histogram: bool,
    exemplars: u64,
    /// Exemplars of the push that were kept before it.
    kept_before: usize,
}

impl<'a, 's> Judge<'a, 's> {
    pub(crate) fn new(rules: &'s Validation, protocol: Protocol, now: i64, buffers: &'s mut JudgeBuffers) -> Self {
        buffers.exemplars.clear();
        Self {
            rules,
            protocol,
            now,
            times: rules.times(now),
            labels: Labels::new(&mut buffers.labels),
            buffers,
            earliest: i64::MAX,
            series: Series::default(),
            counts: PushCounts::default(),
        }
    }

    /// The counts of the whole push, and the buffers back.
    pub(crate) fn finish(self) -> PushCounts {
        let times = self.rules.exemplar_times(self.now, self.earliest);
        let kept = self.buffers.exemplars.iter().filter(|time| times.contain(**time)).count();
        self.labels.give_back(&mut self.buffers.labels);
        PushCounts { exemplars: kept as u64, ..self.counts }
    }

    #[inline]
    pub(crate) fn begin_series(&mut self) {
        self.counts.series += 1;
        self.series = Series { kept_before: self.buffers.exemplars.len(), ..Series::default() };
        self.labels.begin();
    }

    #[inline]
    pub(crate) fn label(&mut self, name: &'a [u8], value: &'a [u8], value_is_valid: bool) {
        self.labels.push(self.rules, name, value, value_is_valid);
    }

    #[inline]
    pub(crate) fn sample(&mut self, time: i64) {
        self.counts.sent.samples += 1;
        self.series.samples.add(time);
    }

    /// A histogram, and what it was read from.
    pub(crate) fn histogram(&mut self, histogram: Histogram, message: Cursor<'_>) -> Result<(), ProtobufError> {
        self.counts.sent.histograms += 1;
        self.series.histograms.add(histogram.time);
        self.series.bad_histogram |= !histogram.is_valid(self.rules.histograms(), message)?;
        Ok(())
    }

    pub(crate) fn exemplar(&mut self, exemplar: Exemplar) {
        self.counts.sent.exemplars += 1;
        if self.rules.keeps_exemplar(self.series.exemplars) && exemplar.is_valid() {
            self.buffers.exemplars.push(exemplar.time);
        }
        self.series.exemplars += 1;
    }

    /// Metadata of a family whose name and unit have so many bytes.
    pub(crate) fn metadata(&mut self, name: usize, unit: usize) {
        self.counts.sent.metadata += 1;
        self.counts.metadata += u64::from(self.rules.is_metadata(name, unit));
    }

    /// Ends the series that `message` holds.
    #[inline]
    pub(crate) fn end_series(&mut self, message: Cursor<'_>) -> Result<(), ProtobufError> {
        let verdict = self.labels.verdict(self.rules);
        if verdict != LabelVerdict::Nothing {
            self.earliest = self.earliest.min(self.series.samples.first).min(self.series.histograms.first);
        }
        let counted = if verdict == LabelVerdict::Valid { self.points(message)? } else { None };
        match counted {
            Some((samples, histograms)) => {
                self.counts.samples += samples;
                self.counts.histograms += histograms;
            }
            None => self.buffers.exemplars.truncate(self.series.kept_before),
        }
        Ok(())
    }

    /// The samples and histograms that count, or `None` if one of them is invalid, and so the whole series.
    #[inline]
    fn points(&mut self, message: Cursor<'_>) -> Result<Option<(u64, u64)>, ProtobufError> {
        let Series { samples, histograms, bad_histogram, .. } = &self.series;
        if !samples.are_within(self.times) || !histograms.are_within(self.times) {
            return Ok(None);
        }
        if samples.ascend && histograms.ascend {
            return Ok((!bad_histogram).then_some((samples.count, histograms.count)));
        }
        self.recount(message)
    }

    /// The same for a series whose times do not ascend.
    #[inline(never)]
    fn recount(&mut self, message: Cursor<'_>) -> Result<Option<(u64, u64)>, ProtobufError> {
        let points = &mut self.buffers.points;
        let Some(samples) = points.samples(message.clone(), self.protocol)? else { return Ok(None) };
        let histograms = points.histograms(message, self.protocol, self.rules.histograms())?;
        Ok(histograms.map(|histograms| (samples, histograms)))
    }
}
