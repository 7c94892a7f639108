//! From the body of a push to its counts.

use crate::error::{BodyError, ProtobufError};
use crate::families::Families;
use crate::ha::{Deduped, HaRules, ReplicaScan};
use crate::push_counter::PushCounter;
use crate::relabel::Relabeler;
use crate::scratch::Scratch;
use crate::symbols::Symbols;
use crate::validation::Validation;
use crate::visitor::Visitor;
use crate::work::Work;
use crate::{Protocol, PushCounts, snappy, v1, v2};

/// Bounds of a body, whatever the tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyLimits {
    /// Largest decompressed size in bytes; Mimir's `distributor.max_recv_msg_size`.
    pub max_decoded_bytes: usize,
}

/// The rules by which a push is counted. [`Unmetered`](crate::Unmetered) says which pushes they do not count exactly.
pub struct Rules<'t> {
    /// Which series, samples and metadata are valid.
    pub validation: Validation,
    /// Relabelling before validation, if any.
    pub relabeler: Option<TenantRelabeler<'t>>,
    /// Deduplication of Prometheus pairs before that, if any.
    pub ha: Option<HaRules<'t>>,
    /// Once more items than this are valid, the rest of the push is read for its errors and counted as sent, which is faster:
    /// [`PushCounts::is_enough`]. `None` to validate all of it.
    pub enough: Option<u64>,
}

/// Relabelling rules with the tenant, which they may look at.
#[derive(Clone, Copy, Debug)]
pub struct TenantRelabeler<'t> {
    /// The compiled rules.
    pub relabeler: &'t Relabeler,
    /// The bare tenant.
    pub tenant: &'t str,
}

impl From<&Validation> for Rules<'_> {
    /// The rules of a tenant without pairs and without relabelling.
    fn from(validation: &Validation) -> Self {
        Self { validation: *validation, relabeler: None, ha: None, enough: None }
    }
}

/// Decompresses the body of a push and counts what Mimir charges for it.
///
/// `body` is snappy's block format, whatever `Content-Encoding` says, which Mimir ignores. `now` is in Unix milliseconds: the
/// age of samples refers to it. Samples that `rules` find invalid or drop are no error; they are not counted.
///
/// # Errors
/// Those for which Mimir answers 400 before it looks at any series; the first one in the body, with Mimir's text as `Display`.
/// No replica is deduplicated then.
pub fn read_push<'t>(
    protocol: Protocol,
    body: &[u8],
    limits: BodyLimits,
    rules: impl Into<Rules<'t>>,
    now: i64,
    scratch: &mut Scratch,
) -> Result<PushCounts, BodyError> {
    let Rules { validation, relabeler, ha, enough } = rules.into();
    let Scratch { decoded, symbols, families, counter, caps } = scratch;
    let decoded = snappy::decompress(body, limits.max_decoded_bytes, decoded)?;
    let decoded_bytes = decoded.len() as u64;
    let mut walker = Walker { protocol, decoded, symbols, families };

    let mut deduped = Deduped::All { removed_label: None };
    let mut work = Work::new(decoded.len(), *caps);
    if let Some(ha) = ha {
        let mut scan = ReplicaScan::new(ha, validation.stores_exemplars(), work);
        walker.walk(&mut scan)?;
        (deduped, work) = scan.finish();
        if let Deduped::Finished(counts) = deduped {
            return Ok(PushCounts { decoded_bytes, ..counts });
        }
    }
    let mut counter =
        PushCounter::new(&validation, relabeler, deduped, (protocol, now), work, counter).with_enough(enough);
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
