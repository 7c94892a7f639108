//! Which metric and label names are legal (`ValidationScheme` of Prometheus' `common/model`).

use limits::NameScheme;

use crate::bytes::is_ascii;

/// Most strings are short and ASCII, which is quicker to see than UTF-8.
#[inline]
pub(super) fn is_utf8(text: &[u8]) -> bool {
    is_ascii(text) || std::str::from_utf8(text).is_ok()
}

pub(super) fn is_metric_name(scheme: NameScheme, name: &[u8]) -> bool {
    match scheme {
        NameScheme::Legacy => is_legacy(name, |byte| is_word(byte) || byte == b':'),
        NameScheme::Utf8 => !name.is_empty() && is_utf8(name),
    }
}

pub(super) fn is_label_name(scheme: NameScheme, name: &[u8]) -> bool {
    match scheme {
        NameScheme::Legacy => is_legacy(name, is_word),
        NameScheme::Utf8 => !name.is_empty() && is_utf8(name),
    }
}

fn is_legacy(name: &[u8], legal: impl Fn(u8) -> bool) -> bool {
    name.first().is_some_and(|first| !first.is_ascii_digit()) && name.iter().all(|byte| legal(*byte))
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}
