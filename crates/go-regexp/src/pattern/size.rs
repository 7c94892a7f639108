//! An upper bound for the size of a compiled expression in bytes, from its text alone.
//!
//! The `regex` crate compiles to an automaton over bytes. A state takes 32 bytes, a transition up to 8, and a range of characters
//! beyond ASCII becomes up to ten sequences of up to four states. The constants are above the measured size of each kind of term.

/// A group, an alternative, or a repetition.
pub(super) const OPERATOR: usize = 160;
/// A byte, or a range within ASCII.
const NARROW: usize = 48;
/// A character or a range beyond ASCII, as it is and with what folding its case adds.
const WIDE: usize = 2_048;
/// A class such as `\pL`, which may have hundreds of ranges.
const UNICODE: usize = 128 << 10;

/// One term of a translation: a character, a class or an assertion.
pub(super) fn of_term(text: &str) -> usize {
    let folds = text.starts_with("(?i:");
    let negated = text.contains("[^") || text.contains("[:^");
    let named = text.matches(r"\p{").count() + text.matches(r"\P{").count();
    let beyond = text
        .split(r"\x{")
        .skip(1)
        .filter(|code| code.find('}').is_none_or(|end| end > 2 || code.as_bytes() >= b"80"))
        .count();
    let wide = beyond + text.chars().filter(|character| !character.is_ascii()).count();
    // A letter may have partners beyond ASCII, such as the sign of Kelvin.
    let wide = if folds { wide + text.len() } else { wide };
    let wide = if negated || text == "(?s:.)" || text == r"[^\n]" { 2 * wide + text.len() + 1 } else { wide };
    let bytes = named.saturating_mul(UNICODE).saturating_add(wide.saturating_mul(WIDE));
    bytes.saturating_add(text.len().saturating_mul(NARROW))
}
