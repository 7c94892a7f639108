//! What of a push Mimir charges: series by series, as the walkers of both protocols come upon what is in them.
//!
//! The fields of a series come in any order, so what its samples count for is known at its end. Of samples with the same
//! time Mimir takes the first (`validateSamples` in its `pkg/distributor`). Times mostly ascend, and then there are none; where
//! they do not, the series is walked once more.

use crate::error::ProtobufError;
use crate::exemplar::Exemplar;
use crate::ha::Deduped;
use crate::histogram::Histogram;
use crate::labels::{LabelBuffers, LabelVerdict, Labels, METRIC_NAME};
use crate::points::{Points, Recount};
use crate::rewritten::{Rewritten, RewrittenBuffers};
use crate::rules::TenantRewrite;
use crate::validation::{Times, Validation};
use crate::visitor::Visitor;
use crate::wire::Cursor;
use crate::{Certainty, Protocol, PushCounts};

/// Buffers of [`Judge`], empty between two pushes.
#[derive(Debug, Default)]
pub(crate) struct JudgeBuffers {
    labels: LabelBuffers,
    rewritten: RewrittenBuffers,
    points: Recount,
    exemplars: Vec<i64>,
    /// Where values stand that Mimir cuts; at most [`MOST_CUT`], and one.
    cut: Vec<usize>,
}

/// With more values that are cut nobody looks whether two are one.
const MOST_CUT: usize = 100;

impl JudgeBuffers {
    /// Gives back memory over `bytes` in each of them.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        self.labels.shrink(bytes);
        self.rewritten.shrink(bytes);
        self.points.shrink(bytes);
        self.exemplars.clear();
        self.exemplars.shrink_to(bytes / size_of::<i64>());
    }
}

/// Judges one push.
#[derive(Debug)]
pub(crate) struct Judge<'a, 's> {
    rules: &'s Validation,
    protocol: Protocol,
    now: i64,
    times: Times,
    labels: Labels<'a>,
    /// The name of a label that Mimir takes off every series first, once from each.
    without: Option<&'s [u8]>,
    /// Where labels are not judged as they were sent.
    rewritten: Option<Rewritten<'a, 's>>,
    buffers: &'s mut JudgeBuffers,
    /// The time of the earliest sample so far, valid or not; `i64::MAX` before the first.
    earliest: i64,
    series: Series,
    counts: PushCounts,
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
    /// Whether the label that is taken off was met.
    is_without: bool,
}

impl<'a, 's> Judge<'a, 's> {
    pub(crate) fn new(
        rules: &'s Validation,
        rewrite: Option<TenantRewrite<'s>>,
        deduped: Deduped<'a, 's>,
        (protocol, now): (Protocol, i64),
        buffers: &'s mut JudgeBuffers,
    ) -> Self {
        buffers.exemplars.clear();
        buffers.cut.clear();
        let (without, verdicts) = match deduped {
            Deduped::All { without } => (without, None),
            Deduped::Some(verdicts) => (None, Some(verdicts)),
            Deduped::Nothing(_) => (None, None),
        };
        Self {
            rules,
            protocol,
            now,
            times: rules.times(now),
            labels: Labels::new(&mut buffers.labels),
            without,
            rewritten: Rewritten::new(rewrite, verdicts, &mut buffers.rewritten),
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
        let mut certainty = self.counts.certainty;
        self.labels.give_back(&mut self.buffers.labels);
        if let Some(rewritten) = self.rewritten {
            if rewritten.gave_up() {
                certainty = Certainty::Unknown;
            }
            rewritten.give_back(&mut self.buffers.rewritten);
        }
        PushCounts { exemplars: kept as u64, certainty, ..self.counts }
    }

    /// A value that Mimir cuts: it writes over the bytes that stand there, whoever else refers to them.
    #[cold]
    fn see_cut(&mut self, name: &[u8], value: &[u8]) {
        let cut = &mut self.buffers.cut;
        let place = value.as_ptr().addr();
        let is_alone = self.protocol == Protocol::V1
            || !self.rules.cuts(name)
                && name != METRIC_NAME
                && !self.rules.stores_exemplars()
                && !cut.contains(&place)
                && cut.len() < MOST_CUT;
        if !is_alone || self.rewritten.is_some() {
            self.counts.certainty = self.counts.certainty.max(Certainty::Likely);
        }
        if cut.len() <= MOST_CUT {
            cut.push(place);
        }
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

impl<'a> Visitor<'a> for Judge<'a, '_> {
    #[inline]
    fn reads_exemplars(&self) -> bool {
        self.rules.stores_exemplars()
    }

    #[inline]
    fn is_label_value(&self, text: &[u8]) -> bool {
        self.rules.is_label_value(text)
    }

    #[inline]
    fn begin_series(&mut self) {
        self.counts.series += 1;
        self.series = Series { kept_before: self.buffers.exemplars.len(), ..Series::default() };
        self.labels.begin();
        if let Some(rewritten) = &mut self.rewritten {
            rewritten.begin();
        }
    }

    #[inline]
    fn label(&mut self, name: &'a [u8], value: &'a [u8], value_is_valid: bool) {
        if self.rules.cuts(value) || self.rules.cuts(name) {
            self.see_cut(name, value);
        }
        if self.without.is_some_and(|without| name == without) && !self.series.is_without {
            self.series.is_without = true;
        } else if let Some(rewritten) = &mut self.rewritten {
            rewritten.push(name, value);
        } else {
            self.labels.push(self.rules, name, value, value_is_valid);
        }
    }

    #[inline]
    fn sample(&mut self, time: i64) {
        self.counts.sent.samples += 1;
        self.series.samples.add(time);
    }

    fn histogram(&mut self, histogram: Histogram, message: Cursor<'_>) -> Result<(), ProtobufError> {
        self.counts.sent.histograms += 1;
        self.series.histograms.add(histogram.time);
        self.series.bad_histogram |= !histogram.is_valid(self.rules.histograms(), message)?;
        Ok(())
    }

    fn exemplar(&mut self, exemplar: Exemplar) {
        self.counts.sent.exemplars += 1;
        if self.rules.keeps_exemplar(self.series.exemplars) && exemplar.is_valid() {
            self.buffers.exemplars.push(exemplar.time);
        }
        self.series.exemplars += 1;
    }

    fn metadata(&mut self, name: usize, unit: usize) {
        self.counts.sent.metadata += 1;
        self.counts.metadata += u64::from(self.rules.is_metadata(name, unit));
    }

    #[inline]
    fn end_series(&mut self, message: Cursor<'_>) -> Result<(), ProtobufError> {
        let verdict = match &mut self.rewritten {
            Some(rewritten) => rewritten.verdict(self.rules),
            None => self.labels.verdict(self.rules),
        };
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
}
