use super::*;

fn error(text: &str) -> YamlError {
    parse(text).expect_err("an error")
}

#[track_caller]
fn entries(node: &Node) -> &[Entry] {
    match &node.content {
        Content::Mapping(entries) => entries,
        other => panic!("{other:?}"),
    }
}

fn root(text: &str) -> Rc<Node> {
    parse(text).expect("a tree").root.expect("a root")
}

#[test]
fn keeps_the_text_and_line_of_scalars() {
    let root = root("a: 1e+06\nb: '2'\nc: |\n  x\n");
    let seen: Vec<_> = entries(&root)
        .iter()
        .map(|entry| match &entry.value.content {
            Content::Scalar(scalar) => (&*entry.key, entry.line, &*scalar.text, scalar.plain),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(seen, [("a", 1, "1e+06", true), ("b", 2, "2", false), ("c", 3, "x\n", false)]);
}

#[test]
fn merged_entries_have_the_line_of_the_merge() {
    let root = root("x: &x {a: 1, b: 2}\ny:\n  b: 3\n  <<: *x\n");
    let merged = entries(&entries(&root)[1].value);
    assert_eq!(merged.iter().map(|entry| (&*entry.key, entry.line)).collect::<Vec<_>>(), [("b", 3), ("a", 4)]);
}

#[test]
fn a_quoted_merge_key_is_a_key() {
    let root = root("\"<<\": 5\n");
    assert_eq!(&*entries(&root)[0].key, "<<");
}

#[test]
fn reports_repeated_keys_with_their_depth() {
    let tree = parse("a: {b: 1, b: 2}\na: 3\n<<: {c: 1}\n<<: {c: 2}\n").expect("a tree");
    let seen: Vec<_> =
        tree.duplicates.iter().map(|found| (&*found.key, found.line, found.first_line, found.depth)).collect();
    assert_eq!(seen, [("b", 1, 1, 2), ("a", 2, 1, 1), ("<<", 4, 3, 1)]);
}

#[test]
fn a_text_without_a_node_has_no_root() {
    assert!(parse("").expect("a tree").root.is_none());
    assert!(parse("# only a comment\n").expect("a tree").root.is_none());
}

#[test]
fn reads_the_first_document_and_says_where_a_second_begins() {
    for (text, second) in [("a: 1\n---\nb: [\n", Some(2)), ("a: 1\n---\n", Some(2)), ("---\na: 1\n...\n", None)] {
        let tree = parse(text).expect("a tree");
        assert_eq!(tree.second_document, second, "{text:?}");
        assert_eq!(entries(&tree.root.expect("a root")).len(), 1, "{text:?}");
    }
}

#[test]
fn bounds_the_depth() {
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(parse(&deep(MAX_DEPTH)).is_ok());
    assert!(parse(&deep(MAX_DEPTH + 1)).is_err());
    let block: String = (0..=MAX_DEPTH).map(|level| format!("{}a:\n", " ".repeat(level))).collect();
    assert!(parse(&block).is_err());
}

#[test]
fn text_that_aliases_repeat_is_bounded() {
    let text = |tenants: usize| {
        let tenants: String = (0..tenants).map(|tenant| format!("t{tenant}: {{ha_cluster_label: *long}}\n")).collect();
        format!("long: &long {}\n{tenants}", "x".repeat(1 << 16))
    };
    assert!(parse(&text(1_000)).is_ok());
    assert!(error(&text(1_100)).message.contains("too large"));
}

#[test]
fn aliases_share_so_that_they_cannot_multiply() {
    let text = |levels: usize| {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..levels {
            let below = format!("*a{}", level - 1);
            text += &format!("a{level}: &a{level} [{}]\n", vec![below; 10].join(", "));
        }
        text
    };
    assert_eq!(entries(&root(&text(7))).len(), 7);
    assert!(error(&text(30)).message.contains("too large"));
}

#[test]
fn bounds_what_merges_multiply() {
    let mut text = "base: &base\n".to_owned();
    for key in 0..2_000 {
        text += &format!("  k{key}: 1\n");
    }
    for user in 0..2_100 {
        text += &format!("u{user}: {{<<: *base}}\n");
    }
    assert!(error(&text).message.contains("too large"), "{}", error(&text).message);
}
