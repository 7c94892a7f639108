//! Why a push is not counted exactly.

/// Why the counts of a push are the most that Mimir may charge, and not exactly what it charges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unmetered {
    /// Mimir cuts a value that is too long in the bytes that other labels share, and so changes those
    /// (`hashLabelValueInto` in its `pkg/distributor/validate.go`). Series from the first such label on are charged as sent.
    CutValues,
    /// A sample, histogram or exemplar is at most [`CLOCK_MARGIN_MS`](crate::CLOCK_MARGIN_MS) beyond the times that are
    /// valid by the edge's clock. It is charged as if it were valid.
    ClockMargin,
    /// Relabelling takes more than [`MAX_RULE_RUNS`](crate::MAX_RULE_RUNS), or writes more than
    /// [`MAX_WRITTEN_BYTES`](crate::relabel::MAX_WRITTEN_BYTES) on a series. Series from there on are charged as sent.
    RelabelWork,
    /// Where each series is deduplicated: series of more than [`MAX_REPLICAS`](crate::MAX_REPLICAS) replicas. The push is
    /// charged as sent.
    Replicas,
    /// What the push refers to takes more work than a push of so many bytes is worth. Series from there on are charged as
    /// sent.
    Work,
    /// The push holds more of something than there is room for. Series from there on are charged as sent.
    Buffers,
}

impl Unmetered {
    /// Every reason.
    pub const ALL: [Self; 6] =
        [Self::CutValues, Self::ClockMargin, Self::RelabelWork, Self::Replicas, Self::Work, Self::Buffers];

    /// The reason as a metric label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CutValues => "cut_values",
            Self::ClockMargin => "clock_margin",
            Self::RelabelWork => "relabel_work",
            Self::Replicas => "replicas",
            Self::Work => "reference_work",
            Self::Buffers => "buffers",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_have_their_labels() {
        let labels = ["cut_values", "clock_margin", "relabel_work", "replicas", "reference_work", "buffers"];
        assert_eq!(Unmetered::ALL.map(Unmetered::as_str), labels);
    }
}
