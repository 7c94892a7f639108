//! Splits a command line into words.

/// Words between white space. Single and double quotes keep it, a backslash keeps the next character, and at the end of a line it joins the
/// next. A `#` at the beginning of a word hides the rest of its line.
///
/// # Errors
/// A quote is never closed.
pub(super) fn split(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '#' if word.is_none() => {
                characters.by_ref().find(|character| *character == '\n');
            }
            '\'' | '"' => quoted(character, &mut characters, word.get_or_insert_default())?,
            '\\' => match characters.next() {
                Some('\n') | None => {}
                Some(kept) => word.get_or_insert_default().push(kept),
            },
            blank if blank.is_whitespace() => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Ok(words)
}

fn quoted(quote: char, characters: &mut impl Iterator<Item = char>, word: &mut String) -> Result<(), String> {
    while let Some(character) = characters.next() {
        match character {
            end if end == quote => return Ok(()),
            '\\' if quote == '"' => word.extend(characters.next()),
            other => word.push(other),
        }
    }
    Err(format!("a quote {quote} is never closed: close it, or write a backslash before it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        assert_eq!(split(text).unwrap(), expected, "{text}");
    }

    #[test]
    fn words_are_those_of_a_shell() {
        check("", &[]);
        check("  -a=1\t-b 2\n-c\r\n", &["-a=1", "-b", "2", "-c"]);
        check("-a='x y' \"-b=z \\\" w\" -c=", &["-a=x y", "-b=z \" w", "-c="]);
        check("-a='' ''", &["-a=", ""]);
        check("-a=1 \\\n-b=2 \\", &["-a=1", "-b=2"]);
        check("# all of it\n-a=1 # one\n-b=#2", &["-a=1", "-b=#2"]);
        check("-a=\\ b", &["-a= b"]);
    }

    #[test]
    fn a_quote_without_an_end_is_an_error() {
        assert!(split("-a='b").unwrap_err().contains("never closed"));
        assert!(split("-a=\"b").unwrap_err().contains("never closed"));
    }
}
