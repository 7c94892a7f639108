//! What a push carries, in the units in which Mimir counts.

use crate::Unmetered;

/// Contents of one push: what Mimir charges of it, and beside that what was sent.
///
/// Where [`PushCounts::unmetered`] says why, what is charged is the most that Mimir may charge: never less than it charges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PushCounts {
    /// Series as sent, valid or not, with or without samples.
    pub series: u64,
    /// Float samples of valid series, those of one time counted once.
    pub samples: u64,
    /// Native histograms of valid series, those of one time counted once; one histogram is one item, however many buckets
    /// it has.
    pub histograms: u64,
    /// Exemplars that Mimir keeps of valid series; 0 when the tenant stores none.
    pub exemplars: u64,
    /// Valid metadata: in 1.0 every entry; in 2.0 each metric family once, by what is said of it first.
    pub metadata: u64,
    /// What Mimir says it received, before it looks at validity.
    pub sent: Contents,
    /// Why what is charged here is the most that Mimir may charge, and not exactly what it charges; `None` if it is exact.
    pub unmetered: Option<Unmetered>,
    /// How many of what is charged here were found invalid as sent, and are in it only because Mimir may find them valid: with
    /// [`Unmetered::CutValues`].
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
    /// Exemplars; 0 when they were not read.
    pub exemplars: u64,
    /// Metadata: in 1.0 every entry; in 2.0 each metric family once, if its name is not empty and type, help or unit says
    /// something (`MetricMetadataUnmarshalRW2` in Mimir's `pkg/mimirpb`). Where too many are named to tell them apart, a
    /// family counts more than once.
    pub metadata: u64,
}

impl PushCounts {
    /// The same push with all that was sent charged, valid or not, because of `why`; a reason that is there already stays.
    #[must_use]
    pub fn as_sent(self, why: Unmetered) -> Self {
        let Contents { samples, histograms, exemplars, metadata } = self.sent;
        let unmetered = self.unmetered.or(Some(why));
        Self { samples, histograms, exemplars, metadata, unmetered, ..self }
    }

    /// What Mimir charges to the ingestion rate: samples, histograms, exemplars and metadata, saturating.
    ///
    /// A push of exemplars alone is free: Mimir returns before its rate limiter when no sample, histogram or metadata is
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
