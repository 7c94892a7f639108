//! What a push carries, in the units in which Mimir counts.

/// Contents of one push: what Mimir charges of it, and beside that what was sent.
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
    /// How far what is charged here is what Mimir charges.
    pub certainty: Certainty,
    /// Bytes of the push after decompression.
    pub decoded_bytes: u64,
}

/// How far the counts of a push are what Mimir charges of it, the surest first. [`Rules`](crate::Rules) says where they are not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Certainty {
    /// Exactly that.
    #[default]
    Exact,
    /// Mostly that; now and then Mimir finds fewer of the series valid.
    Likely,
    /// They are of what was sent, whatever Mimir makes of it.
    Unknown,
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
    /// something (`MetricMetadataUnmarshalRW2` in Mimir's `pkg/mimirpb`).
    pub metadata: u64,
}

impl PushCounts {
    /// What Mimir charges to the ingestion rate: samples, histograms, exemplars and metadata, saturating.
    ///
    /// A push of exemplars alone is free: Mimir returns before its rate limiter when no sample, histogram or metadata is
    /// left (`prePushValidation` in its `pkg/distributor/distributor.go`).
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
            certainty: Certainty::Exact,
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
    fn saturates() {
        assert_eq!(PushCounts { samples: u64::MAX, exemplars: 1, ..PushCounts::default() }.items(), u64::MAX);
    }
}
