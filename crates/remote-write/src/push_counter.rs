//! Counts what Mimir charges for a push, series by series.
//!
//! The fields of a series come in any order, so its samples are counted at its end. Of samples with the same time Mimir
//! takes the first (`validateSamples` in its `pkg/distributor`). Times that ascend are distinct; if they do not ascend, the
//! series is walked again.

use crate::TenantRelabeler;
use crate::error::ProtobufError;
use crate::exemplar::Exemplar;
use crate::ha::Deduped;
use crate::histogram::Histogram;
use crate::labels::{LabelBuffers, LabelVerdict, Labels, METRIC_NAME};
use crate::points::{Points, TimeCounter};
use crate::relabelled::{RelabelBuffers, Relabelled};
use crate::removals::Removals;
use crate::validation::{CLOCK_MARGIN_MS, Times, Validation};
use crate::visitor::Visitor;
use crate::wire::Cursor;
use crate::work::{Work, push_within, shrink_vec};
use crate::{Contents, Protocol, PushCounts, Unmetered};

/// Buffers of [`PushCounter`], empty between two pushes.
#[derive(Debug, Default)]
pub(crate) struct CounterBuffers {
    labels: LabelBuffers,
    relabelled: RelabelBuffers,
    points: TimeCounter,
    exemplars: Vec<i64>,
    /// The addresses of truncated values; at most [`MAX_TRUNCATED`] and one.
    truncated: Vec<usize>,
}

/// Beyond this many truncated values, every further one counts as shared.
const MAX_TRUNCATED: usize = 100;

impl CounterBuffers {
    /// Frees memory over `bytes`, except for the little of `truncated`.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        let share = bytes / 4;
        self.labels.shrink(share);
        self.relabelled.shrink(share);
        self.points.shrink(share);
        shrink_vec(&mut self.exemplars, share);
    }
}

/// Counts one push.
#[derive(Debug)]
pub(crate) struct PushCounter<'a, 's> {
    rules: &'s Validation,
    protocol: Protocol,
    now: i64,
    times: Times,
    /// Times that may be valid by Mimir's clock.
    wide_times: Times,
    labels: Labels<'a>,
    /// Whether Mimir validates labels as they were sent.
    labels_are_as_sent: bool,
    /// Labels that Mimir removes from every series, where it changes nothing else.
    removals: Removals<'s>,
    /// Set if labels are relabelled or deduplicated before validation.
    relabelled: Option<Relabelled<'a, 's>>,
    buffers: &'s mut CounterBuffers,
    /// The time of the earliest sample so far, valid or not; `i64::MAX` before the first.
    earliest: i64,
    series: Series,
    /// Whether a shared value was truncated, so that labels are no longer as sent.
    labels_are_truncated: bool,
    /// Exemplars of series that are charged as sent for that reason.
    truncated_exemplars: u64,
    work: Work,
    /// [`Rules::enough`](crate::Rules::enough); the largest number without one.
    enough: u64,
    counts: PushCounts,
}

/// One series as far as it was read.
#[derive(Debug, Default)]
struct Series {
    samples: Points,
    histograms: Points,
    /// Whether any histogram is invalid, even one of a repeated time.
    bad_histogram: bool,
    exemplars: u64,
    /// Exemplars of the push that were kept before this series.
    kept_before: usize,
}

impl<'a, 's> PushCounter<'a, 's> {
    pub(crate) fn new(
        rules: &'s Validation,
        relabeler: Option<TenantRelabeler<'s>>,
        deduped: Deduped<'a, 's>,
        (protocol, now): (Protocol, i64),
        work: Work,
        buffers: &'s mut CounterBuffers,
    ) -> Self {
        buffers.exemplars.clear();
        buffers.truncated.clear();
        let (removals, relabeler, verdicts) = match deduped {
            Deduped::All { removed_label } => {
                let (removals, relabeler) = Removals::of(removed_label, relabeler);
                (removals, relabeler, None)
            }
            Deduped::Some(verdicts) => (Removals::default(), relabeler, Some(verdicts)),
            Deduped::Finished(_) => (Removals::default(), relabeler, None),
        };
        let relabelled = Relabelled::new(relabeler, verdicts, &mut buffers.relabelled);
        Self {
            rules,
            protocol,
            now,
            labels_are_as_sent: relabelled.is_none() && removals.is_empty() && !rules.truncates_values(),
            times: rules.times(now),
            wide_times: rules.times(now).with_margin(),
            labels: Labels::new(&mut buffers.labels),
            removals,
            relabelled,
            buffers,
            earliest: i64::MAX,
            series: Series::default(),
            labels_are_truncated: false,
            truncated_exemplars: 0,
            work,
            enough: u64::MAX,
            counts: PushCounts::default(),
        }
    }

    /// Stops to validate once more items than `enough` are valid.
    pub(crate) fn with_enough(self, enough: Option<u64>) -> Self {
        Self { enough: enough.unwrap_or(u64::MAX), ..self }
    }

    /// The counts of the whole push. Returns the buffers.
    pub(crate) fn finish(mut self) -> PushCounts {
        let counts = if self.counts.is_enough { self.as_sent() } else { self.validated() };
        self.labels.return_to(&mut self.buffers.labels);
        if let Some(relabelled) = self.relabelled {
            relabelled.return_to(&mut self.buffers.relabelled);
        }
        counts
    }

    fn validated(&mut self) -> PushCounts {
        let exemplars = if self.work.is_abandoned() { self.counts.sent.exemplars } else { self.exemplars() };
        PushCounts { exemplars, unmetered: self.work.unmetered(), ..self.counts }
    }

    fn as_sent(&self) -> PushCounts {
        let Contents { samples, histograms, exemplars, metadata } = self.counts.sent;
        PushCounts { samples, histograms, exemplars, metadata, ..self.counts }
    }

    /// Notes that what is left need not be validated, if so many valid items were counted. Exemplars count at the end of the push.
    #[inline]
    fn note_enough(&mut self) {
        if self.counts.is_enough {
            return;
        }
        let PushCounts { samples, histograms, metadata, .. } = self.counts;
        self.counts.is_enough = samples.saturating_add(histograms).saturating_add(metadata) > self.enough
            && self.work.unmetered().is_none();
    }

    /// The exemplars that Mimir keeps.
    fn exemplars(&mut self) -> u64 {
        let within = |margin| {
            let times = self.rules.exemplar_times(self.now, self.earliest, margin);
            self.buffers.exemplars.iter().filter(|time| times.contain(**time)).count() as u64
        };
        let kept = within(CLOCK_MARGIN_MS);
        if kept != within(0) {
            self.work.note(Unmetered::ClockMargin);
        }
        kept + self.truncated_exemplars
    }

    /// Notes a value that Mimir truncates in place, although other labels may share its bytes.
    #[cold]
    fn note_truncation(&mut self, name: &[u8], value: &[u8]) {
        let truncated = &mut self.buffers.truncated;
        let place = value.as_ptr().addr();
        let is_alone = self.protocol == Protocol::V1
            || !self.rules.truncates(name)
                && name != METRIC_NAME
                && !self.rules.stores_exemplars()
                && !truncated.contains(&place)
                && truncated.len() < MAX_TRUNCATED;
        if !is_alone || self.relabelled.is_some() {
            self.labels_are_truncated = true;
            self.work.note(Unmetered::TruncatedValues);
        }
        if truncated.len() <= MAX_TRUNCATED {
            truncated.push(place);
        }
    }

    /// Adds a label where Mimir changes labels before it validates them.
    #[inline(never)]
    fn changed_label(&mut self, name: &'a [u8], value: &'a [u8], value_is_valid: bool) {
        if self.work.is_abandoned() {
            return;
        }
        if self.rules.truncates(value) || self.rules.truncates(name) {
            self.note_truncation(name, value);
        }
        if self.removals.take(name) {
            return;
        }
        if let Some(relabelled) = &mut self.relabelled {
            relabelled.push(name, value, &mut self.work);
        } else {
            self.labels.push(self.rules, name, value, value_is_valid, &mut self.work);
        }
    }

    /// How much of a series that is charged as sent was found invalid.
    fn doubtful(&self, counted: Option<(u64, u64)>) -> u64 {
        let Series { samples, histograms, exemplars, kept_before, .. } = &self.series;
        let sent = samples.count + histograms.count + exemplars;
        let kept = self.buffers.exemplars.len().saturating_sub(*kept_before) as u64;
        sent.saturating_sub(counted.map_or(0, |(samples, histograms)| samples + histograms + kept))
    }

    /// Charges a series as sent, since its validity is not known.
    #[cold]
    fn charge_as_sent(&mut self) {
        self.counts.samples += self.series.samples.count;
        self.counts.histograms += self.series.histograms.count;
        self.truncated_exemplars += self.series.exemplars;
        self.buffers.exemplars.truncate(self.series.kept_before);
    }

    /// The samples and histograms to count, or `None` if one of them, and so the series, is invalid.
    #[inline]
    fn points(&mut self, message: Cursor<'_>) -> Result<Option<(u64, u64)>, ProtobufError> {
        let Series { samples, histograms, bad_histogram, .. } = &self.series;
        let are_within = |times| samples.are_within(times) && histograms.are_within(times);
        let is_marginal = !are_within(self.times);
        if is_marginal && !are_within(self.wide_times) {
            return Ok(None);
        }
        let counted = if samples.ascend && histograms.ascend {
            (!bad_histogram).then_some((samples.count, histograms.count))
        } else {
            self.recount(message)?
        };
        if is_marginal && counted.is_some() {
            self.work.note(Unmetered::ClockMargin);
        }
        Ok(counted)
    }

    /// The same for a series whose times do not ascend.
    #[inline(never)]
    fn recount(&mut self, message: Cursor<'_>) -> Result<Option<(u64, u64)>, ProtobufError> {
        let points = &mut self.buffers.points;
        let work = &mut self.work;
        let Some(samples) = points.samples(message.clone(), self.protocol, work)? else { return Ok(None) };
        let histograms = points.histograms(message, self.protocol, self.rules.histograms(), work)?;
        Ok(histograms.map(|histograms| (samples, histograms)))
    }
}

impl<'a> Visitor<'a> for PushCounter<'a, '_> {
    #[inline]
    fn reads_exemplars(&self) -> bool {
        self.rules.stores_exemplars()
    }

    #[inline]
    fn is_enough(&self) -> bool {
        self.counts.is_enough
    }

    #[inline]
    fn is_label_value(&self, text: &[u8]) -> bool {
        // What is relabelled is validated afterwards.
        self.counts.is_enough || self.relabelled.is_some() || self.rules.is_label_value(text)
    }

    #[inline]
    fn work(&mut self) -> &mut Work {
        &mut self.work
    }

    #[inline]
    fn begin_series(&mut self) {
        self.counts.series += 1;
        if self.counts.is_enough {
            return;
        }
        self.series = Series { kept_before: self.buffers.exemplars.len(), ..Series::default() };
        self.labels.begin();
        self.removals.begin();
        if let Some(relabelled) = &mut self.relabelled {
            relabelled.begin();
        }
    }

    #[inline]
    fn label(&mut self, name: &'a [u8], value: &'a [u8], value_is_valid: bool) {
        if self.labels_are_as_sent && !self.work.is_abandoned() {
            self.labels.push(self.rules, name, value, value_is_valid, &mut self.work);
        } else {
            self.changed_label(name, value, value_is_valid);
        }
    }

    #[inline]
    fn sample(&mut self, time: i64) {
        self.counts.sent.samples += 1;
        self.series.samples.add(time);
    }

    fn histogram(&mut self, histogram: Histogram, message: Cursor<'_>) -> Result<(), ProtobufError> {
        self.counts.sent.histograms += 1;
        if self.counts.is_enough {
            return Ok(());
        }
        self.series.histograms.add(histogram.time);
        self.series.bad_histogram |= !histogram.is_valid(self.rules.histograms(), message)?;
        Ok(())
    }

    fn exemplar(&mut self, exemplar: Exemplar) {
        self.counts.sent.exemplars += 1;
        if self.counts.is_enough {
            return;
        }
        let is_kept = self.rules.keeps_exemplar(self.series.exemplars) && exemplar.is_valid();
        if is_kept && !push_within(&mut self.buffers.exemplars, exemplar.time, self.work.caps.exemplars) {
            self.work.abandon(Unmetered::Buffers);
        }
        self.series.exemplars += 1;
    }

    fn metadata(&mut self, name: usize, unit: usize) {
        self.counts.sent.metadata += 1;
        self.counts.metadata += u64::from(self.rules.is_metadata(name, unit));
        self.note_enough();
    }

    #[inline]
    fn end_series(&mut self, message: Cursor<'_>) -> Result<(), ProtobufError> {
        if self.counts.is_enough {
            return Ok(());
        }
        let verdict = match &mut self.relabelled {
            _ if self.work.is_abandoned() => LabelVerdict::Invalid,
            Some(relabelled) => relabelled.verdict(self.rules, &mut self.work),
            None => self.labels.verdict(self.rules, &mut self.work),
        };
        if verdict != LabelVerdict::Empty {
            self.earliest = self.earliest.min(self.series.samples.first).min(self.series.histograms.first);
        }
        let counted = if verdict == LabelVerdict::Valid { self.points(message)? } else { None };
        let is_as_sent = self.labels_are_truncated && verdict != LabelVerdict::Empty;
        if is_as_sent || self.work.is_abandoned() {
            if is_as_sent && !self.work.is_abandoned() {
                self.counts.doubtful += self.doubtful(counted);
            }
            self.charge_as_sent();
            return Ok(());
        }
        match counted {
            Some((samples, histograms)) => {
                self.counts.samples += samples;
                self.counts.histograms += histograms;
                self.note_enough();
            }
            None => self.buffers.exemplars.truncate(self.series.kept_before),
        }
        Ok(())
    }
}
