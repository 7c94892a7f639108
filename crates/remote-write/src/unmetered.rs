//! Why a push is not counted exactly.

limits::named_enum! {
    /// Why the counts of a push are the most that Mimir may charge, instead of exactly what it charges.
    Unmetered {
        /// Mimir truncates a value in place, in bytes that other labels share (`hashLabelValueInto` in its
        /// `pkg/distributor/validate.go`). Series from the first such label on are charged as sent.
        TruncatedValues = "truncated_values",
        /// A sample, histogram or exemplar is at most [`CLOCK_MARGIN_MS`](crate::CLOCK_MARGIN_MS) beyond the valid times by
        /// the edge's clock. It is charged as valid.
        ClockMargin = "clock_margin",
        /// Relabelling takes more than [`MAX_RULE_RUNS`](crate::MAX_RULE_RUNS), or writes more than
        /// [`MAX_WRITTEN_BYTES`](crate::relabel::MAX_WRITTEN_BYTES) on a series. Series from there on are charged as sent.
        RelabelWork = "relabel_work",
        /// Each series is deduplicated, and there are more than [`MAX_REPLICAS`](crate::MAX_REPLICAS) replicas. The push is
        /// charged as sent.
        Replicas = "replicas",
        /// References take more work than a push of this size may cause. Series from there on are charged as sent.
        Work = "reference_work",
        /// A buffer reached its cap. Series from there on are charged as sent.
        Buffers = "buffers",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_have_their_labels() {
        let labels = ["truncated_values", "clock_margin", "relabel_work", "replicas", "reference_work", "buffers"];
        assert_eq!(Unmetered::ALL.map(Unmetered::as_str), labels);
    }
}
