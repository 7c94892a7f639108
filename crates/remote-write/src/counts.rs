//! The counts of a push, in Mimir's units.

use crate::Unmetered;

/// The counts of one push: what Mimir charges, and what was sent. With [`PushCounts::unmetered`], the charge is the most that
/// Mimir may charge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PushCounts {
    /// Series as sent, valid or not, with or without samples.
    pub series: u64,
    /// Float samples of valid series, each time counted once.
    pub samples: u64,
    /// Native histograms of valid series, each time counted once; one item each, however many buckets.
    pub histograms: u64,
    /// Exemplars that Mimir keeps of valid series; 0 when the tenant stores none.
    pub exemplars: u64,
    /// Valid metadata: in 1.0 every entry; in 2.0 each metric family once, by its first metadata.
    pub metadata: u64,
    /// What Mimir reports as received, before validation.
    pub sent: Contents,
    /// Whether more than [`Rules::enough`](crate::Rules::enough) items are valid, so that the rest was not validated: samples, histograms, exemplars and
    /// metadata are then counted as sent, which is the most that Mimir may charge.
    pub is_enough: bool,
    /// Why the counts are the most that Mimir may charge; `None` if they are exact.
    pub unmetered: Option<Unmetered>,
    /// Counted items that are invalid as sent, and that Mimir may find valid: with [`Unmetered::TruncatedValues`].
    pub doubtful: u64,
    /// Bytes of the push after decompression.
    pub decoded_bytes: u64,
}

/// Contents of a push as sent, valid or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Float samples.
    pub samples: u64,
    /// Native histograms.
    pub histograms: u64,
    /// Exemplars; 0 if they are not read.
    pub exemplars: u64,
    /// Metadata: in 1.0 every entry; in 2.0 each metric family once, if its name and its type, help or unit are not empty
    /// (`MetricMetadataUnmarshalRW2` in Mimir's `pkg/mimirpb`). Beyond a cap, a family may count more than once.
    pub metadata: u64,
}

impl PushCounts {
    /// The push charged as sent, valid or not, because of `why`, unless there is a reason already.
    #[must_use]
    pub fn as_sent(self, why: Unmetered) -> Self {
        let Contents { samples, histograms, exemplars, metadata } = self.sent;
        let unmetered = self.unmetered.or(Some(why));
        Self { samples, histograms, exemplars, metadata, unmetered, ..self }
    }

    /// Samples and histograms, saturating.
    #[must_use]
    pub fn samples_and_histograms(&self) -> u64 {
        self.samples.saturating_add(self.histograms)
    }

    /// What Mimir charges to the ingestion rate: samples, histograms, exemplars and metadata, saturating.
    ///
    /// A push of exemplars alone is free: Mimir returns before its rate limiter if no sample, histogram or metadata is
    /// left (`prePushValidation` in its `pkg/distributor/distributor.go`).
    pub fn items(&self) -> u64 {
        let Self { samples, histograms, exemplars, metadata, .. } = *self;
        Contents { samples, histograms, exemplars, metadata }.items()
    }
}

impl Contents {
    /// What Mimir would charge if all of it were valid; see [`PushCounts::items`].
    pub fn items(&self) -> u64 {
        let charged = self.samples.saturating_add(self.histograms).saturating_add(self.metadata);
        if charged == 0 { 0 } else { charged.saturating_add(self.exemplars) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_up_what_mimir_charges() {
        let sent = Contents { samples: 9, histograms: 99, exemplars: 999, metadata: 9999 };
        let counts = PushCounts {
            series: 100,
            samples: 1,
            histograms: 20,
            exemplars: 300,
            metadata: 4000,
            sent,
            is_enough: false,
            unmetered: None,
            doubtful: 0,
            decoded_bytes: 9,
        };
        assert_eq!(counts.items(), 4321);
    }

    #[test]
    fn exemplars_alone_are_free() {
        assert_eq!(PushCounts { series: 1, exemplars: 5, ..PushCounts::default() }.items(), 0);
        assert_eq!(PushCounts { exemplars: 5, metadata: 1, ..PushCounts::default() }.items(), 6);
    }

    #[test]
    fn all_that_was_sent_is_charged_where_nothing_is_known() {
        let sent = Contents { samples: 9, histograms: 99, exemplars: 999, metadata: 9999 };
        let counts = PushCounts { samples: 1, sent, ..PushCounts::default() }.as_sent(Unmetered::Work);
        assert_eq!((counts.items(), counts.sent, counts.unmetered), (11_106, sent, Some(Unmetered::Work)));
        assert_eq!(counts.as_sent(Unmetered::Buffers).unmetered, Some(Unmetered::Work), "the first reason stays");
    }

    #[test]
    fn saturates() {
        assert_eq!(PushCounts { samples: u64::MAX, exemplars: 1, ..PushCounts::default() }.items(), u64::MAX);
    }
}
