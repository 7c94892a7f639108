//! What the edge or Mimir makes of a document.

use std::collections::BTreeMap;
use std::fmt;

/// The fields that are compared, in the order of [`Values`].
pub(crate) const FIELDS: [&str; 5] =
    ["ingestion_rate", "ingestion_burst_size", "request_rate", "request_burst_size", "max_label_names_per_series"];

/// One tenant's values of [`FIELDS`], as text that is equal where they are.
pub(crate) type Values = [String; 5];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Taken, with these tenants.
    Accepted(BTreeMap<String, Values>),
    Rejected,
    /// The reader itself ended.
    Died,
}

impl Verdict {
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Accepted(_) => "accepted",
            Self::Rejected => "rejected",
            Self::Died => "died",
        }
    }

    /// Whether both readers came to the same. A whole number that a float does not fit into depends on the processor in Mimir: it is not compared.
    pub(crate) fn agrees(&self, mimir: &Self) -> bool {
        let same = |(ours, theirs): (&Values, &Values)| {
            ours.iter().zip(theirs).all(|(ours, theirs)| ours == theirs || *theirs == i64::MIN.to_string())
        };
        match (self, mimir) {
            (Self::Accepted(ours), Self::Accepted(theirs)) => {
                ours.keys().eq(theirs.keys()) && ours.values().zip(theirs.values()).all(same)
            }
            // A document of which Mimir dies is one that the edge had better reject.
            (Self::Rejected, Self::Died) => true,
            (ours, theirs) => ours == theirs,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.word())?;
        let Self::Accepted(tenants) = self else { return Ok(()) };
        for (tenant, values) in tenants.iter().take(8) {
            write!(formatter, " {tenant:?} {}", values.join("/"))?;
        }
        if tenants.len() > 8 {
            write!(formatter, " and {} more", tenants.len() - 8)?;
        }
        Ok(())
    }
}

/// A rate as it is compared: 0 has no sign.
pub(crate) fn rate(value: f64) -> String {
    (value + 0.0).to_string()
}
