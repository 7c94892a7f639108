//! Documents from bytes to the tree that Mimir's second pass sees, with Mimir's own words where it rejects them
//! earlier.

#![expect(clippy::expect_used, reason = "a test may panic")]

use std::fmt::Write;

use go_yaml::{Content, Document, Node, RuntimeConfig, unmarshal_error};

const MAX_BYTES: usize = 1 << 20;

/// The tree on one line, or Mimir's error.
fn read(sources: &[(&str, &[u8])]) -> Result<String, String> {
    let mut config = RuntimeConfig::default();
    for (name, bytes) in sources {
        let document = Document::parse(name, bytes, MAX_BYTES).map_err(|error| unmarshal_error(name, error).go)?;
        config.add(&document).map_err(|error| error.go)?;
    }
    let tree = config.into_tree().map_err(|error| error.go)?;
    let mut text = String::new();
    match &tree {
        Some(root) => write(root, &mut text),
        None => text.push_str("nothing"),
    }
    Ok(text)
}

fn write(node: &Node, text: &mut String) {
    match &node.content {
        Content::Scalar(scalar) if scalar.plain => text.push_str(&scalar.text),
        Content::Scalar(scalar) => write!(text, "{:?}", scalar.text).expect("a text"),
        Content::Sequence(items) => {
            text.push('[');
            for item in items {
                write(item, text);
                text.push(' ');
            }
            text.push(']');
        }
        Content::Mapping(entries) => {
            text.push('{');
            for entry in entries {
                write!(text, "{}@{}:", entry.key, entry.position.encoded_line).expect("a text");
                write(&entry.value, text);
                text.push(' ');
            }
            text.push('}');
        }
    }
}

#[track_caller]
fn gives(text: &str, tree: &str) {
    assert_eq!(read(&[("x.yaml", text.as_bytes())]).as_deref(), Ok(tree), "{text}");
}

#[track_caller]
fn rejected(text: &str, go: &str) {
    let go = format!("unmarshal \"x.yaml\": yaml: {go}");
    assert_eq!(read(&[("x.yaml", text.as_bytes())]), Err(go), "{text}");
}

#[test]
fn scalars_are_written_again_as_go_writes_them() {
    for (written, again) in [
        ("0123", "83"),
        ("0o123", "83"),
        ("0x53", "83"),
        ("1.10", "1.1"),
        ("1_000", "1000"),
        ("1e3", "1000"),
        ("100000.0", "100000"),
        ("1e6", "1e+06"),
        ("1234567.0", "1.234567e+06"),
        ("0.00001", "1e-05"),
        ("True", "true"),
        ("~", "null"),
        ("", "null"),
        ("2025-07-04", "2025-07-04T00:00:00Z"),
        ("\"0123\"", "\"0123\""),
        ("yes", "\"yes\""),
        ("089", "89"),
        ("012345678901", "1.2345678901e+10"),
        ("1:30", "\"1:30\""),
        ("!!int \"5\"", "5"),
        ("!!float 5", "5"),
        ("!x 5", "\"5\""),
        ("!!str 5", "\"5\""),
        ("!!map 5", "\"5\""),
        ("!!other 5", "\"5\""),
        ("!!binary NQ==", "\"5\""),
        ("-0", "0"),
        (".5", "0.5"),
        ("_1", "\"_1\""),
    ] {
        gives(&format!("a: {written}"), &format!("{{a@1:{again} }}"));
    }
}

#[test]
fn one_key_that_is_no_text_makes_keys_values() {
    gives(
        "a: {0123: 1, 1e3: 2, x: 3, ~: 4, TRUE: 5, .nan: 6}",
        "{a@1:{null@2:4 true@3:5 83@4:1 1000@5:2 .nan@6:null x@7:3 } }",
    );
    gives("0123: 1", "{0123@1:1 }");
    gives("a: {\"0123\": 1, x: 2}", "{a@1:{0123@2:1 x@3:2 } }");
    gives("a: {16: 1, 0x10: 2}", "{a@1:{16@2:2 } }");
    gives("~: 1\nb: 2", "{b@1:2 }");
}

#[test]
fn merges_are_gos() {
    gives("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}", "{a@1:{x@2:1 y@3:2 } b@4:{x@5:1 y@6:3 } }");
    gives("a: {<<: {0123: 1}, b: 2}", "{a@1:{0123@2:1 b@3:2 } }");
    gives("a: &a {x: 1}\nb: {<<: [*a, {x: 2, z: 3}], z: ~}", "{a@1:{x@2:1 } b@3:{x@4:1 z@5:null } }");
    gives("a: {\"<<\": {x: 1}, y: 2}", "{a@1:{y@4:2 x@3:1 } }");
    gives("a: {!!merge <<: {x: 1}}", "{a@1:{x@2:1 } }");
    rejected("a: {<<: null}", "map merge requires map or sequence of maps as the value");
    rejected("a: &a [{}]\nb: {<<: *a}", "map merge requires map or sequence of maps as the value");
    rejected("a: {<<: {}, <<: {}}", "unmarshal errors:\n  line 1: mapping key \"<<\" already defined at line 1");
}

#[test]
fn duplicates_are_found_by_their_characters() {
    rejected("a: {b: 1, \"b\": 2}", "unmarshal errors:\n  line 1: mapping key \"b\" already defined at line 1");
    rejected("a: 1\na: 2", "unmarshal errors:\n  line 2: mapping key \"a\" already defined at line 1");
    gives("a: {? &k x : 1, ? *k : 2}", "{a@1:{x@2:2 } }");
    gives("a: {1e3: 1, 1000: 2}", "{a@1:{1000@2:2 1000@3:1 } }");
}

#[test]
fn what_is_no_yaml_is_rejected_in_gos_words() {
    rejected("a: [1", "line 1: did not find expected ',' or ']'");
    rejected("a:\n\tb: 1", "line 2: found character that cannot start any token");
    rejected("%YAML 1.2\n---\na: 1", "found incompatible YAML document");
    rejected("a: *b", "unknown anchor 'b' referenced");
    rejected("a: &o {b: *o}", "anchor 'o' value contains itself");
    rejected("a: {? [b] : 1}", "invalid map key: []interface {}{\"b\"}");
    rejected("a: !!int 5.0", "cannot decode !!float `5.0` as a !!int");
    rejected("- a", "unmarshal errors:\n  line 1: cannot unmarshal !!seq into map[string]interface {}");
    rejected("a\u{7f}", "control characters are not allowed");
    for text in ["", "~", "# nothing", "---\n---\na: [1"] {
        gives(text, "nothing");
    }
    gives("a: 1\n---\nb: [", "{a@1:1 }");
    rejected("a: \"\\/\"", "found unknown escape character");
    gives("a: \"\\\\/\"", "{a@1:\"\\\\/\" }");
    rejected("a: 1\n--- @", "line 2: found character that cannot start any token");
    gives("{\"a\": 1}#x", "{a@1:1 }");
}

#[test]
fn lines_are_those_of_the_document_that_go_writes() {
    gives(
        "b: [1, [2, 3], {x: 1, y: 2}, []]\na: \"x\\ny\"\nc: {}",
        "{a@1:\"x\\ny\" b@4:[1 [2 3 ] {x@8:1 y@9:2 } [] ] c@11:{} }",
    );
    rejected_later(
        "a: 1\n\"\\t\\nb\": 2",
        "yaml: line 1: found a tab character where an indentation space is expected",
    );
    rejected_later("a: \"\\tx\\ny\"", "yaml: line 1: found a tab character where an indentation space is expected");
}

#[track_caller]
fn rejected_later(text: &str, go: &str) {
    assert_eq!(read(&[("x.yaml", text.as_bytes())]), Err(go.to_owned()), "{text}");
}

#[test]
fn documents_are_merged_from_left_to_right() {
    let both = |left: &str, right: &str| read(&[("a.yaml", left.as_bytes()), ("b.yaml", right.as_bytes())]);
    assert_eq!(
        both("o: {a: {x: 1, y: [1]}, b: 1}", "o: {a: {y: [2]}, c: 2}").as_deref(),
        Ok("{o@1:{a@2:{x@3:1 y@4:[2 ] } b@6:1 c@7:2 } }")
    );
    assert_eq!(both("o: {a: {x: 1}}", "o: {a: ~}").as_deref(), Ok("{o@1:{a@2:{x@3:1 } } }"));
    assert_eq!(both("o: {a: ~}", "o: {a: {x: 1}}").as_deref(), Ok("{o@1:{a@2:{x@3:1 } } }"));
    assert_eq!(both("o: {a: 1}", "o: {a: ~}").as_deref(), Ok("{o@1:{a@2:null } }"));
    assert_eq!(both("", "o: {a: 1}").as_deref(), Ok("{o@1:{a@2:1 } }"));
    assert_eq!(both("o: {a: 1}", "o:").as_deref(), Ok("{o@1:{a@2:1 } }"));
    assert_eq!(both("o: {0123: 1}", "o: {0x10: 2}").as_deref(), Ok("{o@1:{16@2:2 } }"));
    assert_eq!(both("o: {0123: 1}", "o:").as_deref(), Ok("{o@1:null }"));
    assert!(both("o: {a: {}}", "o: {a: 1}").unwrap_err().contains("conflicting types for \".o.a\""));
    assert!(both("o: {0123: {}}", "o: {a: {}}").unwrap_err().contains("conflicting types for \".o\""));
}

#[test]
fn what_only_gos_scanner_takes_is_taken() {
    gives("a: {b:, c: d:}", "{a@1:{b:@2:null c@3:\"d:\" } }");
    gives("{a: [b:, c:]}", "{a@1:[\"b:\" \"c:\" ] }");
    gives("a: \"b\\'c\\\\\\'\"", "{a@1:\"b'c\\\\'\" }");
    gives("? a\n:\t# c\n  b: 1", "{a@1:{b@2:1 } }");
    gives("?\t# c\n  a\n: \t #\n  b: 1", "{a@1:{b@2:1 } }");
    rejected("? a\n:\t\n  b: 1", "line 2: found character that cannot start any token");
    rejected("a: \"\\q\\'\"", "found unknown escape character");
    rejected("a:\n-\t# c\n  b", "line 2: found character that cannot start any token");
    rejected("? a\n:\tb", "line 2: found character that cannot start any token");
}

#[test]
fn a_question_mark_within_brackets_marks_a_key() {
    for text in ["a: {b: (foo)?bar}", "a: [http://x?y=1]", "a: {b?: c}"] {
        rejected(text, "line 1: did not find expected ',' or ']'");
    }
    gives("a: x?y", "{a@1:\"x?y\" }");
    gives("a: {b: \"x?y\"}", "{a@1:{b@2:\"x?y\" } }");
}

#[test]
fn a_tag_before_a_comma_is_a_syntax_error() {
    for text in ["a: [!!str, b]", "a: {b: !x, c: 1}"] {
        assert!(read(&[("x.yaml", text.as_bytes())]).is_err(), "{text}");
    }
}

#[test]
fn keys_that_have_no_order_are_written_in_some() {
    let keys: Vec<_> = (0..30)
        .map(|number| match number % 5 {
            0 => format!("{number}"),
            1 => ".nan".to_owned() + &" ".repeat(number),
            2 => format!("k{number}"),
            3 => format!("²{number}²"),
            _ => format!("{number}.5"),
        })
        .filter(|key| !key.starts_with(".nan") || key.len() < 6)
        .chain([".NaN".to_owned(), ".NAN".to_owned()])
        .map(|key| format!("{key}: 1"))
        .collect();
    let tree = read(&[("x.yaml", format!("a: {{{}}}", keys.join(", ")).as_bytes())]);
    assert!(tree.is_ok_and(|tree| tree.matches(".nan").count() == 3));
}

#[test]
fn what_a_quoted_merge_key_brings_has_its_keys_once() {
    let text = "a: {\"<<\": {1e3: {x: 1}, 1000: {x: 2}}, b: 1}";
    let error = read(&[("x.yaml", text.as_bytes())]).unwrap_err();
    assert!(error.contains("mapping key \"1000\" already defined"), "{error}");
}

#[test]
fn a_character_that_stands_for_a_colon_is_itself_elsewhere() {
    gives("a: {b: x\u{10fffe}}", "{a@1:{b@2:\"x\\u{10fffe}\" } }");
    assert!(read(&[("x.yaml", "a: {b:, c: \u{10fffe}}".as_bytes())]).is_err());
}

#[test]
fn a_block_scalar_ends_where_the_text_does() {
    for (text, tree) in [
        ("a: |\n  x", "x"),
        ("a: |\n  x\n", "x\n"),
        ("a: |\n  x\n  ", "x\n"),
        ("a: |+\n  x", "x"),
        ("a: |+\n  x\n\n", "x\n\n"),
        ("a: |-\n  x", "x"),
        ("a: >\n  x\n  y", "x y"),
        ("a: |\n  x\n# c", "x\n"),
        ("a: |", ""),
    ] {
        gives(text, &format!("{{a@1:{tree:?} }}"));
    }
}

/// Every text of three of these parts: the library is for others to mend, and no text may end the program.
#[test]
fn no_short_text_panics() {
    let parts = [
        "a", ":", " ", "\n", "- ", "[", "]", "{", "}", ",", "&x", "*x", "<<", "5", "\"", "'", "|", "---", "~",
        "!!int ", "? ", "\t", "#", ">", "%", "...", "\r", "\u{85}", "\u{2028}", "\\", "|2", " \n", "é", "\u{feff}",
    ];
    for first in parts {
        for second in parts {
            for third in parts {
                for fourth in ["", " a", "\n a"] {
                    let _ = read(&[("x.yaml", format!("{first}{second}{third}{fourth}").as_bytes())]);
                }
            }
        }
    }
}

#[test]
fn an_alias_bomb_is_rejected() {
    let mut text = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned();
    for (name, of) in ('b'..='i').zip('a'..) {
        writeln!(text, "{name}: &{name} [*{of},*{of},*{of},*{of},*{of},*{of},*{of},*{of},*{of}]").expect("a text");
    }
    rejected(&text, "document contains excessive aliasing");
}
