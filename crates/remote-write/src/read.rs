//! From the body of a push to its counts.

use crate::error::{BodyError, ProtobufError};
use crate::families::Families;
use crate::ha::{Deduped, PairScan};
use crate::push_counter::PushCounter;
use crate::scratch::Scratch;
use crate::symbols::Symbols;
use crate::visitor::Visitor;
use crate::work::Work;
use crate::{Protocol, PushCounts, Rules, snappy, v1, v2};

/// Bounds of a body, whatever the tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyLimits {
    /// Largest decompressed size in bytes; Mimir's `distributor.max_recv_msg_size`.
    pub max_decoded_bytes: usize,
}

/// Decompresses the body of a push, walks it and counts what Mimir would charge for it.
///
/// `body` is the push as it came: snappy's block format, whatever `Content-Encoding` says, since Mimir does not look at
/// that. `now` is in Unix milliseconds: how old samples may be, and how far in the future, is reckoned from it. What
/// `rules` find invalid, or drop, is no error: it is only not counted.
///
/// # Errors
/// What Mimir answers 400 to before it looks at any series; the `Display` of the error is Mimir's text. Where several
/// things are wrong, the first one in the body is reported. No replica is deduplicated then.
pub fn read_push<'t>(
    protocol: Protocol,
    body: &[u8],
    limits: BodyLimits,
    rules: impl Into<Rules<'t>>,
    now: i64,
    scratch: &mut Scratch,
) -> Result<PushCounts, BodyError> {
    let Rules { validation, relabeler, ha } = rules.into();
    let Scratch { decoded, symbols, families, counter, caps } = scratch;
    let decoded = snappy::decompress(body, limits.max_decoded_bytes, decoded)?;
    let decoded_bytes = decoded.len() as u64;
    let mut walker = Walker { protocol, decoded, symbols, families };

    let mut deduped = Deduped::All { without: None };
    let mut work = Work::new(decoded.len(), *caps);
    if let Some(ha) = ha {
        let mut scan = PairScan::new(ha, validation.stores_exemplars(), work);
        walker.walk(&mut scan)?;
        (deduped, work) = scan.finish();
        if let Deduped::Nothing(counts) = deduped {
            return Ok(PushCounts { decoded_bytes, ..counts });
        }
    }
    let mut counter = PushCounter::new(&validation, relabeler, deduped, (protocol, now), work, counter);
    let walked = walker.walk(&mut counter);
    // Also after an error: it holds buffers that are to come back.
    let counts = counter.finish();
    walked?;
    Ok(PushCounts { decoded_bytes, ..counts })
}

/// Walks one decompressed push, as often as it is asked to.
struct Walker<'a, 'r> {
    protocol: Protocol,
    decoded: &'a [u8],
    symbols: &'r mut Symbols,
    families: &'r mut Families,
}

impl<'a> Walker<'a, '_> {
    fn walk(&mut self, visitor: &mut impl Visitor<'a>) -> Result<(), ProtobufError> {
        match self.protocol {
            Protocol::V1 => v1::read(self.decoded, visitor),
            Protocol::V2 => v2::read(self.decoded, self.symbols, self.families, visitor),
        }
    }
}

#[cfg(test)]
mod tests;
