//! The limits cache: the last good limits and the number of distributors as a text, for a restart without their source.
//!
//! The text is YAML with one entry a line, after a comment with the format and a checksum of everything after it. An entry is
//! the fields that the override sets itself, which the reader lays over its own defaults.
//!
//! Invariant: a text that is not, byte for byte, what was written is an error.

use std::collections::HashMap;
use std::fmt::Write;
use std::hash::Hasher;
use std::num::NonZeroU32;
use std::sync::Arc;

use fnv::FnvHasher;

use crate::defaults::override_base;
use crate::document::unmatched_reason;
use crate::field_set::{FieldSet, overlay};
use crate::model::{Mode, TenantLimits};
use crate::snapshot::{Snapshot, TenantEntry};
use crate::tenant::TenantId;
use crate::value::{ValueError, mapping, quote, shortened, text};
use crate::yaml::{Content, Entry, parse};

/// The largest cache that is written and read, in bytes: some 300,000 tenants with ten fields.
pub const MAX_CACHE_BYTES: usize = 64 * 1024 * 1024;

/// The beginning of every limits cache, before format and checksum. A file without it is no limits cache.
pub const CACHE_TITLE: &str = "# limits cache of mimir-rls, written by it alone; format";

/// Incremented when older readers would misread the text.
const FORMAT: u32 = 3;
/// Before the number of distributors, on a line of its own.
const DISTRIBUTORS: &str = "distributors: ";
/// In place of a number that is not known.
const UNKNOWN: &str = "null";

/// What a limits cache has.
#[derive(Debug, Clone)]
pub struct Restored {
    /// The limits, now in force.
    pub limits: Arc<Snapshot>,
    /// The last known number of Mimir's distributors; `None` if none was known.
    pub distributors: Option<NonZeroU32>,
}

/// Why limits cannot be written to, or read from, a cache; completes a sentence that begins with the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CacheError {
    /// [`crate::LimitsState::restore`] was called with limits in force.
    #[error("comes too late: limits are in force already")]
    NotFirst,
    /// More than [`MAX_CACHE_BYTES`].
    #[error("is larger than the {MAX_CACHE_BYTES} bytes that a limits cache may have")]
    TooLarge,
    /// The first line is not one of a limits cache.
    #[error("is no limits cache")]
    Foreign,
    /// Another version wrote it in another format.
    #[error("is a limits cache of format {0:?}, and this version reads format {FORMAT}: it is written anew")]
    Format(String),
    /// The checksum does not match the text after the first line.
    #[error("is cut or was edited: its checksum does not fit; it is written anew")]
    Checksum,
    /// The checksum matches, but a line cannot be read: another build wrote it.
    #[error("cannot be read: line {line} {message}; it is written anew")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        message: String,
    },
}

/// Writes the number of distributors and the entries of a snapshot, without its defaults and its version.
///
/// # Errors
/// [`CacheError::TooLarge`]: the text could not be read back.
pub fn render_cache(snapshot: &Snapshot, distributors: Option<NonZeroU32>) -> Result<String, CacheError> {
    let distributors = distributors.map_or_else(|| UNKNOWN.to_owned(), |count| count.to_string());
    let mut body = format!("{DISTRIBUTORS}{distributors}\ntenants:\n");
    for (key, entry) in snapshot.tenants() {
        let (key, mode, limits) = (quote(key.as_str()), entry.mode.as_str(), entry.own_fields());
        // Writing to a text never fails.
        _ = writeln!(body, "- {{tenant: {key}, mode: {mode}, limits: {limits}}}");
        if body.len() > MAX_CACHE_BYTES {
            return Err(CacheError::TooLarge);
        }
    }
    let text = format!("{}{body}", title(&body));
    if text.len() > MAX_CACHE_BYTES { Err(CacheError::TooLarge) } else { Ok(text) }
}

/// The entries of a cache, by tenant.
type Entries = HashMap<TenantId, TenantEntry>;

/// Reads what [`render_cache`] wrote, over these defaults.
pub(crate) fn read(text: &str, defaults: &TenantLimits) -> Result<(Entries, Option<NonZeroU32>), CacheError> {
    let body = check(text)?;
    let (count, list) = body.split_once('\n').unwrap_or((body, ""));
    // The title is line 1.
    let distributors = at(2, read_distributors(count))?;
    let mut entries = HashMap::new();
    // The name of the list is line 3.
    for (line, text) in (3..).zip(list.lines()).skip(1) {
        let (key, entry) = at(line, read_entry(text, defaults))?;
        if entries.insert(key, entry).is_some() {
            return at(line, Err(ValueError::new("has a tenant for the second time")));
        }
    }
    Ok((entries, distributors))
}

fn read_distributors(line: &str) -> Result<Option<NonZeroU32>, ValueError> {
    let count = line.strip_prefix(DISTRIBUTORS).filter(|count| !count.is_empty());
    match count.ok_or_else(|| ValueError::new("names no number of distributors"))? {
        UNKNOWN => Ok(None),
        count => count
            .parse()
            .map(Some)
            .map_err(|_| ValueError::new(format!("has {} in place of a number of distributors", shortened(count)))),
    }
}

/// The body of a text with a valid title.
fn check(text: &str) -> Result<&str, CacheError> {
    if text.len() > MAX_CACHE_BYTES {
        return Err(CacheError::TooLarge);
    }
    let rest = text.strip_prefix(CACHE_TITLE).ok_or(CacheError::Foreign)?;
    let (stamp, body) = rest.split_once('\n').ok_or(CacheError::Checksum)?;
    let format = stamp.trim_start().split(',').next().unwrap_or_default();
    if format != FORMAT.to_string() {
        return Err(CacheError::Format(shortened(format)));
    }
    // Compared as text, so that no other spelling of the number passes.
    let ours = text.strip_prefix(title(body).as_str()) == Some(body);
    if ours { Ok(body) } else { Err(CacheError::Checksum) }
}

fn title(body: &str) -> String {
    let mut hasher = FnvHasher::default();
    hasher.write(body.as_bytes());
    format!("{CACHE_TITLE} {FORMAT}, checksum {:016x}\n", hasher.finish())
}

fn at<T>(line: usize, read: Result<T, ValueError>) -> Result<T, CacheError> {
    read.map_err(|ValueError(message)| CacheError::Line { line, message })
}

fn read_entry(line: &str, defaults: &TenantLimits) -> Result<(TenantId, TenantEntry), ValueError> {
    let line = line.strip_prefix("- ").ok_or_else(|| ValueError::new("is no entry"))?;
    let (mut tenant, mut mode, mut limits, mut overridden) = (None, None, override_base(defaults), FieldSet::default());
    for Entry { key, value, .. } in &entries(line)? {
        match &**key {
            "tenant" => tenant = text(value)?.filter(|key| unmatched_reason(key).is_none()).map(TenantId::from),
            "mode" => mode = text(value)?.and_then(Mode::named),
            "limits" => match overlay(&mut limits, mapping(value, "fields")?.unwrap_or_default())? {
                (fields, None) => overridden = fields,
                (_, Some(name)) => return Err(unknown(name)),
            },
            other => return Err(unknown(other)),
        }
    }
    let tenant = tenant.ok_or_else(|| ValueError::new("names no tenant"))?;
    let mode = mode.ok_or_else(|| ValueError::new("names no mode"))?;
    Ok((tenant, TenantEntry { limits, mode, overridden }))
}

/// The entries of a line's mapping.
fn entries(line: &str) -> Result<Vec<Entry>, ValueError> {
    let tree = parse(line).map_err(|error| ValueError(error.message))?;
    match tree.root.as_deref().map(|root| &root.content) {
        Some(Content::Mapping(entries)) if tree.duplicates.is_empty() => Ok(entries.clone()),
        _ => Err(ValueError::new("is no mapping")),
    }
}

fn unknown(name: &str) -> ValueError {
    ValueError::new(format!("has the unknown field {}", shortened(name)))
}

#[cfg(test)]
mod tests;
