//! Three constructs that yaml.v3's scanner accepts and libyaml-safer's rejects. Each is rewritten where it was rejected, so
//! that nothing else in the text changes.

use std::borrow::Cow;

/// A placeholder for a colon; a noncharacter of Unicode.
pub(super) const COLON: char = '\u{10fffe}';

/// The text with a repair at the offset of the error; `None` if Go rejects it too.
pub(super) fn repair(text: &str, at: usize, problem: &str, may_mark_colons: bool) -> Option<String> {
    let (before, after) = text.split_at_checked(at)?;
    if problem.ends_with("found unexpected ':'") {
        // Within brackets, Go ends a plain scalar at a colon only before a blank.
        let after = after.strip_prefix(':')?;
        return may_mark_colons.then(|| format!("{before}{COLON}{after}"));
    }
    if problem.ends_with("found unknown escape character") {
        // The mark is at the start of the scalar, or at the escape.
        let escape = at + first_escape(after)?;
        let (before, after) = text.split_at_checked(escape)?;
        return Some(format!("{before}{}", after.strip_prefix('\\')?));
    }
    if problem.ends_with("found character that cannot start any token") {
        // After a `?` or `:` of a block, Go skips a tab before a comment.
        let line = after.split(['\n', '\r']).next().unwrap_or_default();
        let is_comment = line.trim_start_matches([' ', '\t']).starts_with('#');
        let is_behind_a_mark = before.trim_end_matches(' ').ends_with([':', '?']);
        let rest = after.strip_prefix('\t').filter(|_| is_comment && is_behind_a_mark)?;
        return Some(format!("{before} {rest}"));
    }
    None
}

/// The offset of the first `\'` in a double-quoted text; `None` if an invalid escape comes before it.
fn first_escape(text: &str) -> Option<usize> {
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        if character == '\\' {
            match characters.next()?.1 {
                '\'' => return Some(at),
                known if "0abt\tnvfre \"\\N_LPxuU\n\r/".contains(known) => {}
                _ => return None,
            }
        }
    }
    None
}

/// A plain scalar as it was written.
pub(super) fn undo(text: &str) -> Cow<'_, str> {
    if text.contains(COLON) { Cow::Owned(text.replace(COLON, ":")) } else { Cow::Borrowed(text) }
}
