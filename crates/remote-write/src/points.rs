//! The times of the samples of one series. Of samples with the same time Mimir takes the first.

use crate::error::ProtobufError;
use crate::histogram::histogram;
use crate::messages;
use crate::validation::{HistogramRules, Times};
use crate::wire::Cursor;
use crate::work::{Work, push_within, shrink_vec};
use crate::{Protocol, Unmetered};

/// The samples, or the histograms, of one series so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Points {
    pub count: u64,
    /// The earliest time; `i64::MAX` if there is none.
    pub first: i64,
    /// The latest time; `i64::MIN` if there is none.
    last: i64,
    /// Whether each time is later than the previous one, so that all are distinct.
    pub ascend: bool,
}

impl Default for Points {
    fn default() -> Self {
        Self { count: 0, first: i64::MAX, last: i64::MIN, ascend: true }
    }
}

impl Points {
    #[inline]
    pub(crate) fn add(&mut self, time: i64) {
        self.ascend &= self.count == 0 || time > self.last;
        self.count += 1;
        self.first = self.first.min(time);
        self.last = self.last.max(time);
    }

    /// Whether all times are within `times`.
    #[inline]
    pub(crate) fn are_within(&self, times: Times) -> bool {
        self.count == 0 || times.contain(self.first) && times.contain(self.last)
    }
}

/// One sample of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Point {
    time: i64,
    /// Twice its index, plus one if it is invalid.
    order: u64,
}

/// Counts distinct times, with a reusable buffer.
#[derive(Debug, Default)]
pub(crate) struct TimeCounter {
    points: Vec<Point>,
    next: u64,
    /// How many points are buffered before duplicates are removed.
    room: usize,
}

impl TimeCounter {
    /// With fewer points, removing duplicates is not worth it.
    const ROOM: usize = 1024;

    /// Frees memory over `bytes`; returns the bytes that are kept.
    pub(crate) fn shrink(&mut self, bytes: usize) -> usize {
        shrink_vec(&mut self.points, bytes)
    }

    /// The number of samples with distinct times; `None` if the push is abandoned.
    pub(crate) fn samples(
        &mut self,
        mut series: Cursor<'_>,
        protocol: Protocol,
        work: &mut Work,
    ) -> Result<Option<u64>, ProtobufError> {
        self.begin();
        while let Some(key) = series.next_key()? {
            match key.field() {
                2 => {
                    let time = messages::sample(series.nested(key, "Samples", "Sample")?, protocol)?;
                    if !self.add(time, true, work) {
                        return Ok(None);
                    }
                }
                _ => series.skip(key)?,
            }
        }
        Ok(self.count())
    }

    /// The number of histograms with distinct times; `None` if the first one of a time is invalid, or the push is abandoned.
    pub(crate) fn histograms(
        &mut self,
        mut series: Cursor<'_>,
        protocol: Protocol,
        rules: HistogramRules,
        work: &mut Work,
    ) -> Result<Option<u64>, ProtobufError> {
        let field = match protocol {
            Protocol::V1 => 4,
            Protocol::V2 => 3,
        };
        self.begin();
        while let Some(key) = series.next_key()? {
            if key.field() == field {
                let message = series.nested(key, "Histograms", "Histogram")?;
                let histogram = histogram(message.clone(), protocol)?;
                if !self.add(histogram.time, histogram.is_valid(rules, message)?, work) {
                    return Ok(None);
                }
            } else {
                series.skip(key)?;
            }
        }
        Ok(self.count())
    }

    fn begin(&mut self) {
        self.points.clear();
        self.next = 0;
        self.room = Self::ROOM;
    }

    /// Adds a point; false, and the push is abandoned, if there are too many distinct times.
    fn add(&mut self, time: i64, valid: bool, work: &mut Work) -> bool {
        // Removed now and then, so that a million samples of one time take no more memory than one.
        if self.points.len() >= self.room {
            self.reduce();
            self.room = Self::ROOM.max(2 * self.points.len());
        }
        let point = Point { time, order: self.next | u64::from(!valid) };
        self.next += 2;
        if !push_within(&mut self.points, point, work.caps.times) {
            self.reduce();
            // Nearly full of distinct times: removing duplicates is not worth it.
            if self.points.len() > work.caps.times / 2 {
                work.abandon(Unmetered::Buffers);
                return false;
            }
            self.points.push(point);
        }
        true
    }

    /// Keeps the first point of each time.
    fn reduce(&mut self) {
        self.points.sort_unstable();
        self.points.dedup_by_key(|point| point.time);
    }

    /// The number of times, or `None` if the first point of one is invalid.
    fn count(&mut self) -> Option<u64> {
        self.reduce();
        let valid = self.points.iter().all(|point| point.order & 1 == 0);
        valid.then_some(self.points.len() as u64)
    }
}

#[cfg(test)]
mod tests;
