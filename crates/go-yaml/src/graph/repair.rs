//! The three things that the library's scanner refuses and yaml.v3's takes. Each is written as the library takes it, where it
//! was refused, so that nothing else of the text changes.

use std::borrow::Cow;

/// Stands for a colon; a character that nobody writes.
pub(super) const COLON: char = '\u{10fffe}';

/// The text with the place mended at which it was refused; `None` where Go refuses it too.
pub(super) fn repair(text: &str, at: usize, problem: &str, may_mark_colons: bool) -> Option<String> {
    let (before, after) = text.split_at_checked(at)?;
    if problem.ends_with("found unexpected ':'") {
        // Within brackets, Go ends a plain scalar at a colon only before a blank.
        let after = after.strip_prefix(':')?;
        return may_mark_colons.then(|| format!("{before}{COLON}{after}"));
    }
    if problem.ends_with("found unknown escape character") {
        // The mark is where the scalar begins, or where the escape is.
        let escape = at + first_escape(after)?;
        let (before, after) = text.split_at_checked(escape)?;
        return Some(format!("{before}{}", after.strip_prefix('\\')?));
    }
    if problem.ends_with("found character that cannot start any token") {
        // Behind a `?` or `:` of a block, Go passes over a tab before a comment.
        let line = after.split(['\n', '\r']).next().unwrap_or_default();
        let is_comment = line.trim_start_matches([' ', '\t']).starts_with('#');
        let is_behind_a_mark = before.trim_end_matches(' ').ends_with([':', '?']);
        let rest = after.strip_prefix('\t').filter(|_| is_comment && is_behind_a_mark)?;
        return Some(format!("{before} {rest}"));
    }
    None
}

/// Where the first `\'` of a double-quoted text is; `None` where another escape comes before it that nobody knows.
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
