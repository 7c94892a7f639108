//! How many aliases a document may have, as yaml.v3 counts it while it decodes (its `decode.go`).

use crate::error::{Error, Fault};

const RATIO_RANGE: (f64, f64) = (400_000.0, 4_000_000.0);
/// Bytes of text that a document may come to once its aliases are followed. Mimir writes all of it down.
const MAX_BYTES: usize = 64 << 20;

/// What was decoded so far.
#[derive(Debug, Default)]
pub(crate) struct Count {
    decoded: u64,
    from_aliases: u64,
    bytes: usize,
    depth: u32,
}

impl Count {
    /// One more node of so many bytes of text.
    pub(crate) fn node(&mut self, line: u64, bytes: usize) -> Result<(), Error> {
        self.decoded += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        if self.depth > 0 {
            self.from_aliases += 1;
        }
        if self.bytes > MAX_BYTES {
            let message = "is too large once its aliases are followed: use fewer of them";
            return Err(Error::new(Fault::TooLarge, line, message, "document contains excessive aliasing"));
        }
        let share = self.from_aliases as f64 / self.decoded as f64;
        if self.from_aliases > 100 && self.decoded > 1000 && share > allowed_share(self.decoded) {
            let message = "consists of aliases for the most part, which Mimir refuses: write some of them out";
            return Err(Error::new(Fault::Alias, line, message, "document contains excessive aliasing"));
        }
        Ok(())
    }

    pub(crate) fn enter_alias(&mut self) {
        self.depth += 1;
    }

    pub(crate) fn leave_alias(&mut self) {
        self.depth -= 1;
    }
}

fn allowed_share(decoded: u64) -> f64 {
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
