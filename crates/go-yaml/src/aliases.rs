//! The ratio of aliased nodes that yaml.v3 allows while it decodes (its `decode.go`).

use crate::error::{Error, ErrorKind};

/// `alias_ratio_range_low` and `alias_ratio_range_high`.
const RATIO_RANGE: (f64, f64) = (400_000.0, 4_000_000.0);
/// Bytes of text of a document with its aliases expanded, which Mimir marshals.
const MAX_BYTES: usize = 64 << 20;

/// Counts the decoded nodes.
#[derive(Debug, Default)]
pub(crate) struct AliasRatio {
    decode_count: u64,
    alias_count: u64,
    bytes: usize,
    alias_depth: u32,
}

impl AliasRatio {
    /// Counts a node with so many bytes of text.
    pub(crate) fn node(&mut self, line: u64, bytes: usize) -> Result<(), Error> {
        self.decode_count += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        if self.alias_depth > 0 {
            self.alias_count += 1;
        }
        if self.bytes > MAX_BYTES {
            return Err(Error::expanded_too_large(line));
        }
        let ratio = self.alias_count as f64 / self.decode_count as f64;
        if self.alias_count > 100 && self.decode_count > 1000 && ratio > allowed_alias_ratio(self.decode_count) {
            let message = "consists mostly of aliases, which Mimir rejects: write some of them out";
            return Err(Error::new(ErrorKind::Alias, line, message, "document contains excessive aliasing"));
        }
        Ok(())
    }

    pub(crate) fn enter_alias(&mut self) {
        self.alias_depth += 1;
    }

    pub(crate) fn leave_alias(&mut self) {
        self.alias_depth -= 1;
    }
}

fn allowed_alias_ratio(decoded: u64) -> f64 {
    let (low, high) = RATIO_RANGE;
    let decoded = decoded as f64;
    if decoded <= low {
        0.99
    } else if decoded >= high {
        0.10
    } else {
        0.99 - 0.89 * ((decoded - low) / (high - low))
    }
}
