//! Limits as messages of the feed, none much larger than a client's connection takes at once.

use limits::{Mode, TenantEntry, TenantId};
use proto::edge::limits::v1::{LimitsPart, Mode as ModeInForce, TenantLimits, Version};

/// Where a part ends. An entry that alone is larger has a part to itself.
pub(crate) const PART_BYTES: usize = 512 << 10;
/// What an entry takes beside its texts: tags and lengths.
const ENTRY_BYTES: usize = 16;

/// A change in parts. An entry that is `None` is removed.
pub(super) fn render<'s>(
    version: &Version,
    complete: bool,
    entries: impl Iterator<Item = (&'s TenantId, Option<&'s TenantEntry>)>,
) -> Vec<LimitsPart> {
    let empty = || LimitsPart { version: Some(version.clone()), complete, ..LimitsPart::default() };
    let (mut parts, mut part, mut bytes) = (Vec::new(), empty(), 0_usize);
    for (key, entry) in entries {
        let entry = entry.map(|entry| message(key, entry));
        let fields = entry.as_ref().map_or(0, |entry| entry.fields.len());
        let size = key.as_str().len().saturating_add(fields).saturating_add(ENTRY_BYTES);
        if bytes > 0 && bytes.saturating_add(size) > PART_BYTES {
            parts.push(std::mem::replace(&mut part, empty()));
            bytes = 0;
        }
        bytes = bytes.saturating_add(size);
        match entry {
            Some(entry) => part.put.push(entry),
            None => part.removed.push(key.to_string()),
        }
    }
    part.last = true;
    parts.push(part);
    parts
}

fn message(key: &TenantId, entry: &TenantEntry) -> TenantLimits {
    let mode = match entry.mode {
        Mode::Shadow => ModeInForce::Shadow,
        // No document can say off.
        Mode::Enforce | Mode::Off => ModeInForce::Enforce,
    };
    TenantLimits { tenant: key.to_string(), mode: mode.into(), fields: entry.own_fields() }
}
