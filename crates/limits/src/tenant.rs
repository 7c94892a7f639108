//! The tenant of a push: the `X-Scope-OrgID` header read by Mimir's rules.
//!
//! Mimir reads the header twice. The API middleware (Mimir `pkg/api/tenant.go`, dskit `tenant/resolver.go`) checks every part
//! of the `|` list and answers 401 or 422; the distributor reads the metadata suffix (dskit `tenant/metadata.go`), and answers
//! to an invalid one with 500 since Mimir 3.1, and 401 before. [`Tenant::parse`] has the errors of the middleware and ignores an
//! invalid suffix: the push is a request of the bare tenant, none of its items is charged ([`Tenant::has_invalid_suffix`]), and
//! Mimir answers.
//!
//! HTTP servers strip white space around a header value (RFC 9110, 5.5).

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// The most bytes a bare tenant ID may have (dskit `tenant/tenant.go`, `MaxTenantIDLength`).
pub const MAX_TENANT_BYTES: usize = 150;
/// The most bytes a metadata suffix may have, its leading `:` included (dskit `tenant/metadata.go`).
pub const MAX_METADATA_BYTES: usize = 64;

/// A tenant as named by one header value, which it borrows.
///
/// Invariant: [`Tenant::id`] has only bytes of `a-zA-Z0-9!-_.*'()`, at most [`MAX_TENANT_BYTES`] of them, and is neither
/// `.` nor `..`. It may be empty: Mimir takes the header `|` as the tenant with the empty name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tenant<'h> {
    spelling: &'h str,
    id_bytes: usize,
    has_invalid_suffix: bool,
}

impl<'h> Tenant<'h> {
    /// Reads a header value; `None` is an absent header.
    ///
    /// Several parts separated by `|` are one tenant if all name the same (`a|a` is `a`). A suffix that Mimir's
    /// distributor rejects, and parts that differ only in their suffix (`a|a:k=v`), give the bare tenant.
    ///
    /// # Errors
    /// The first fault Mimir would name; its `Display` is Mimir's text.
    pub fn parse(header: Option<&'h [u8]>) -> Result<Self, TenantError> {
        let header = header.filter(|value| !value.is_empty()).ok_or(TenantError::Missing)?;
        for part in parts(header) {
            check_id(split_metadata(part).0)?;
        }
        let actual = distinct_ids(header);
        if actual > 1 {
            return Err(TenantError::TooMany { actual });
        }
        let first = parts(header).next().unwrap_or_default();
        let (id, metadata) = split_metadata(first);
        let has_invalid_suffix = !is_metadata(metadata) || parts(header).any(|part| part != first);
        let spelling = if has_invalid_suffix { id } else { first };
        // All bytes were checked to be ASCII.
        let spelling = std::str::from_utf8(spelling).unwrap_or_default();
        Ok(Tenant { spelling, id_bytes: id.len(), has_invalid_suffix })
    }

    /// The bare tenant, without metadata: `a` for `a`, `a|a` and `a:k=v`.
    #[must_use]
    pub fn id(&self) -> &'h str {
        self.spelling.get(..self.id_bytes).unwrap_or(self.spelling)
    }

    /// The key of the ingestion bucket and of its override: `a:k=v` if there is metadata, else [`Tenant::id`].
    #[must_use]
    pub fn limits_key(&self) -> &'h str {
        self.spelling
    }

    /// The pairs of the suffix, each with the `:` in front of it: `:k=v`.
    pub(crate) fn metadata_pairs(&self) -> impl Iterator<Item = &'h str> {
        let suffix = self.spelling.get(self.id_bytes..).unwrap_or_default();
        let ends = suffix.match_indices(':').skip(1).map(|(at, _)| at).chain([suffix.len()]);
        ends.scan(0, move |begin, end| suffix.get(std::mem::replace(begin, end)..end)).filter(|pair| !pair.is_empty())
    }

    /// Whether Mimir rejects the push for its suffix. It does so when it validates series, after it has charged the request and
    /// elected a replica, and charges no item.
    #[must_use]
    pub fn has_invalid_suffix(&self) -> bool {
        self.has_invalid_suffix
    }

    /// Whether the header carries a metadata suffix.
    #[must_use]
    pub fn has_metadata(&self) -> bool {
        self.id_bytes < self.spelling.len()
    }
}

/// The parts of a `|` list, as Go's `strings.Split` gives them: `a|` has two, the last one empty.
fn parts(header: &[u8]) -> impl Iterator<Item = &[u8]> {
    header.split(|&byte| byte == b'|')
}

fn distinct_ids(header: &[u8]) -> usize {
    if !header.contains(&b'|') {
        return 1;
    }
    let mut ids: Vec<_> = parts(header).map(|part| split_metadata(part).0).collect();
    ids.sort_unstable();
    ids.dedup();
    ids.len()
}

/// Splits before the first `:`; the metadata keeps it.
fn split_metadata(part: &[u8]) -> (&[u8], &[u8]) {
    part.split_at(part.iter().position(|&byte| byte == b':').unwrap_or(part.len()))
}

fn check_id(id: &[u8]) -> Result<(), TenantError> {
    if let Some(&byte) = id.iter().find(|&&byte| !is_id_byte(byte)) {
        return Err(TenantError::UnsupportedCharacter { id: lossy(id), character: char::from(byte) });
    }
    match id {
        _ if id.len() > MAX_TENANT_BYTES => Err(TenantError::TooLong),
        b"." | b".." => Err(TenantError::DotOrDotDot),
        _ => Ok(()),
    }
}

/// What dskit's `ParseWithMetadata` accepts: `:k=v` pairs with keys unique and sorted, or no suffix at all.
fn is_metadata(metadata: &[u8]) -> bool {
    let keys = metadata.split(|&byte| byte == b':').skip(1).map(metadata_key);
    metadata.len() <= MAX_METADATA_BYTES
        && metadata.iter().all(|&byte| is_metadata_byte(byte))
        && keys.clone().all(|key| key.is_some())
        && keys.is_sorted_by(|left, right| left < right)
}

fn metadata_key(pair: &[u8]) -> Option<&[u8]> {
    pair.iter().position(|&byte| byte == b'=').and_then(|end| pair.get(..end))
}

fn is_id_byte(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'!' | b'-' | b'_' | b'.' | b'*' | b'\'' | b'(' | b')')
}

fn is_metadata_byte(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b':' | b'=')
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Why a header names no single tenant. `Display` is the text of Mimir's answer, without its trailing newline.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TenantError {
    /// The header is absent or empty (Mimir answers 401).
    #[error("no org id")]
    Missing,
    /// A byte that no tenant ID may have (401). The character is that byte read as Latin-1, as Go's `%c` prints it.
    #[error("tenant ID '{id}' contains unsupported character '{character}'")]
    UnsupportedCharacter {
        /// The part of the `|` list at fault, without metadata; invalid UTF-8 replaced.
        id: String,
        /// The first byte at fault.
        character: char,
    },
    /// More than [`MAX_TENANT_BYTES`] bytes (401).
    #[error("tenant ID is too long: max {MAX_TENANT_BYTES} characters")]
    TooLong,
    /// The ID is `.` or `..` (401).
    #[error("tenant ID is '.' or '..'")]
    DotOrDotDot,
    /// Several distinct tenants (422).
    #[error("too many tenant IDs present in the request. max: 1 actual: {actual}")]
    TooMany {
        /// How many distinct bare tenants the header names.
        actual: usize,
    },
}

/// An owned tenant ID or limits key; cloning it copies a pointer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantId(Arc<str>);

impl TenantId {
    /// The text of the key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for TenantId {
    fn from(key: &str) -> Self {
        TenantId(key.into())
    }
}

// Sound because `str` and `Arc<str>` hash and compare alike, and the derives above go through the one field.
impl Borrow<str> for TenantId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests;
