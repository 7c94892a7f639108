//! Environment variables in Mimir's configuration, replaced as `-config.expand-env` does (Mimir `cmd/mimir/main.go`, Go's
//! `os.Expand`): in the bytes of the file, before YAML is parsed.

/// Replaces `$NAME`, `${NAME}` and `${NAME:default}` by the `value` of the name. A variable that is not set or empty is replaced by its default, or
/// removed; line feeds of a value are removed. A `$` before anything else stays, but `$` before one of `*#$@!?-` or a digit is a variable of that name,
/// as in Go.
///
/// `None` if the result has more than `most` bytes.
pub(super) fn expand(text: &[u8], value: impl Fn(&[u8]) -> Option<Vec<u8>>, most: usize) -> Option<Vec<u8>> {
    let mut expanded = Vec::new();
    let mut rest = text;
    while let Some(dollar) = rest.iter().position(|byte| *byte == b'$') {
        let (before, after) = rest.split_at_checked(dollar)?;
        expanded.extend_from_slice(before);
        let after = after.get(1..).unwrap_or_default();
        let (reference, length) = reference(after);
        match reference {
            Reference::Name(name) => expanded.extend(of_variable(name, &value)),
            Reference::Plain => expanded.push(b'$'),
            Reference::Bad => {}
        }
        rest = after.get(length..).unwrap_or_default();
        if expanded.len() > most {
            return None;
        }
    }
    expanded.extend_from_slice(rest);
    (expanded.len() <= most).then_some(expanded)
}

/// What follows a `$`.
enum Reference<'t> {
    Name(&'t [u8]),
    /// No reference: the `$` stays.
    Plain,
    /// `${}`, or a brace that is never closed: Go removes it.
    Bad,
}

fn reference(after: &[u8]) -> (Reference<'_>, usize) {
    match after.first() {
        Some(b'{') => {
            let inside = after.get(1..).unwrap_or_default();
            match inside.iter().position(|byte| *byte == b'}') {
                None => (Reference::Bad, 1),
                Some(0) => (Reference::Bad, 2),
                Some(end) => (Reference::Name(inside.get(..end).unwrap_or_default()), end + 2),
            }
        }
        Some(b'*' | b'#' | b'$' | b'@' | b'!' | b'?' | b'-' | b'0'..=b'9') => {
            (Reference::Name(after.get(..1).unwrap_or_default()), 1)
        }
        _ => {
            let end = after.iter().position(|byte| !(byte.is_ascii_alphanumeric() || *byte == b'_'));
            let name = after.get(..end.unwrap_or(after.len())).unwrap_or_default();
            if name.is_empty() { (Reference::Plain, 0) } else { (Reference::Name(name), name.len()) }
        }
    }
}

fn of_variable(reference: &[u8], value: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Vec<u8> {
    let colon = reference.iter().position(|byte| *byte == b':');
    let (name, default) = match colon {
        Some(colon) => (reference.get(..colon), reference.get(colon + 1..)),
        None => (Some(reference), None),
    };
    let set = name.and_then(value).filter(|value| !value.is_empty());
    let mut text = set.unwrap_or_else(|| default.unwrap_or_default().to_vec());
    text.retain(|byte| *byte != b'\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(name: &[u8]) -> Option<Vec<u8>> {
        let value = match name {
            b"RATE" => "500",
            b"EMPTY" => "",
            b"LINES" => "a\nb\n",
            b"1" => "one",
            b"$" => "dollar",
            _ => return None,
        };
        Some(value.into())
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let expanded = expand(text.as_bytes(), variables, 100).unwrap();
        assert_eq!(String::from_utf8(expanded).unwrap(), expected, "{text}");
    }

    #[test]
    fn replaces_as_go_does() {
        check("ingestion_rate: ${RATE}", "ingestion_rate: 500");
        check("$RATE,${RATE}0,$RATE.5", "500,5000,500.5");
        check("${NONE}|$NONE|${EMPTY}", "||");
        check("${NONE:7}|${EMPTY:8}|${RATE:9}|${NONE:a:b}|${NONE:}", "7|8|500|a:b|");
        check("${LINES}", "ab");
        check("a $ b $: $", "a $ b $: $");
        check("${}x${RATE", "xRATE");
        check("$1|${1}|$$|$12", "one|one|dollar|one2");
        check("é$RATEé", "é500é");
    }

    #[test]
    fn a_result_over_the_bound_is_none() {
        assert_eq!(expand(b"$RATE$RATE", variables, 5), None);
        assert_eq!(expand(b"$RATE", variables, 3), Some(b"500".to_vec()));
        assert_eq!(expand(b"abcd", variables, 3), None);
    }
}
