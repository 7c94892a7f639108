//! The nodes of a text's first document, as yaml.v3's parser makes them, with aliases, tags and styles. The only module
//! that uses libyaml-safer.
//!
//! yaml.v3 is a port of libyaml, as libyaml-safer is. Here is what Go does differently: `%YAML 1.1` is the only version,
//! and the first token after the document has to be valid.

use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;

use libyaml_safer::{ErrorKind as ScanError, Event, EventData, MappingStyle, Mark, Parser, ScalarStyle, SequenceStyle};

use crate::error::{Error, ErrorKind};

mod repair;

/// The most values, keys included, of one document or of several that are merged: a tenant with four fields has ten. A
/// million take some 200 MB.
pub const MAX_VALUES: usize = 1_000_000;
/// Nested collections. Go allows 10,000, no document of Mimir needs more than ten, and each costs time for every token in it.
const MAX_DEPTH: usize = 100;

/// Bytes that are parsed again after a repair ([`repair`]).
const MAX_REPAIRED_BYTES: usize = 64 << 20;

pub(crate) type NodeId = usize;

#[derive(Debug)]
pub(crate) struct GraphNode {
    pub(crate) line: u64,
    pub(crate) kind: Kind,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Scalar {
        text: Rc<str>,
        tag: Tag,
        quoted: bool,
    },
    Sequence(Vec<NodeId>),
    /// Go ignores its tag.
    Mapping {
        pairs: Vec<(NodeId, NodeId)>,
    },
    Alias {
        name: Rc<str>,
        of: NodeId,
    },
}

/// An explicit tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tag {
    /// None, or `!`.
    None,
    /// A tag of YAML's core schema, such as `int` for `!!int`.
    Core(Box<str>),
    /// Another.
    Other,
}

#[derive(Debug, Default)]
pub(crate) struct Graph {
    nodes: Vec<GraphNode>,
    pub(crate) root: Option<NodeId>,
    /// The line of a second document, which is ignored.
    pub(crate) second_document: Option<u64>,
}

impl Graph {
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn get(&self, id: NodeId) -> &GraphNode {
        const NONE: &GraphNode = &GraphNode { line: 0, kind: Kind::Sequence(Vec::new()) };
        self.nodes.get(id).unwrap_or(NONE)
    }

    /// The target of an alias, or the node itself.
    pub(crate) fn target(&self, id: NodeId) -> NodeId {
        match self.get(id).kind {
            Kind::Alias { of, .. } => of,
            _ => id,
        }
    }
}

/// Parses the first document of a text and ignores what follows.
pub(crate) fn parse(text: &str) -> Result<Graph, Error> {
    let (mut text, is_ended) = with_final_break(text);
    let may_mark_colons = !text.contains(repair::COLON);
    for repairs in 0_usize.. {
        match parse_once(&text, is_ended, may_mark_colons) {
            Ok(graph) => return Ok(graph),
            Err(ParseError { error, at }) => {
                let may_be_repaired = repairs.saturating_mul(text.len()) < MAX_REPAIRED_BYTES;
                let repair = |at| repair::repair(&text, at, &error.go, may_mark_colons);
                let repaired = at.filter(|_| may_be_repaired).and_then(repair);
                text = Cow::Owned(repaired.ok_or_else(|| clamp_line(error, &text))?);
            }
        }
    }
    Ok(Graph::default())
}

/// An error with its byte offset in the text.
struct ParseError {
    error: Error,
    at: Option<usize>,
}

impl From<Error> for ParseError {
    fn from(error: Error) -> Self {
        ParseError { error, at: None }
    }
}

impl From<libyaml_safer::Error> for ParseError {
    fn from(error: libyaml_safer::Error) -> Self {
        let at = error.problem_mark().and_then(|mark| usize::try_from(mark.index).ok());
        ParseError { error: syntax(&error), at }
    }
}

fn parse_once(text: &str, is_ended: bool, has_colon_marks: bool) -> Result<Graph, ParseError> {
    let mut input = text.as_bytes();
    let mut parser = Parser::new();
    parser.set_input(&mut input);
    let added_break = (!is_ended).then_some(text.len());
    let mut builder = Builder { text, added_break, has_colon_marks, ..Builder::default() };
    loop {
        let event = parser.parse()?;
        if matches!(event.data, EventData::StreamEnd) {
            return Ok(builder.graph);
        }
        if builder.handle(event)? {
            break;
        }
    }
    builder.graph.second_document = second_document(&mut parser)?;
    Ok(builder.graph)
}

/// Moves an error beyond the end of the text to its last line.
fn clamp_line(error: Error, text: &str) -> Error {
    let lines = text.bytes().filter(|byte| *byte == b'\n').count();
    let last = u64::try_from(lines).unwrap_or(u64::MAX).max(1);
    Error { line: error.line.min(last), ..error }
}

/// The text with a line break at its end, which libyaml needs, and whether it already had one.
fn with_final_break(text: &str) -> (Cow<'_, str>, bool) {
    // Blanks after the last break have no meaning.
    let trimmed = text.trim_end_matches(' ');
    if trimmed.is_empty() || trimmed.ends_with(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']) {
        return (Cow::Borrowed(trimmed), true);
    }
    (Cow::Owned(format!("{text}\n")), false)
}

/// The line of a second document. Go has scanned its first token by then, and rejects an invalid one.
fn second_document(parser: &mut Parser<&mut &[u8]>) -> Result<Option<u64>, ParseError> {
    let mut found = None;
    for _ in 0..2 {
        match parser.parse() {
            Ok(Event { data: EventData::DocumentStart { .. }, start_mark, .. }) => found = Some(line(start_mark.line)),
            Ok(_) => break,
            Err(error) if error.kind() == ScanError::Scanner => return Err(error.into()),
            Err(_) => break,
        }
    }
    Ok(found)
}

#[derive(Default)]
struct Builder<'t> {
    text: &'t str,
    graph: Graph,
    open: Vec<OpenCollection>,
    anchors: HashMap<String, NodeId>,
    /// The end of the text, if a line break was added there.
    added_break: Option<usize>,
    /// Whether [`repair::COLON`] stands for a colon.
    has_colon_marks: bool,
}

/// A collection that has not ended.
struct OpenCollection {
    id: NodeId,
    key: Option<NodeId>,
    /// Whether it is within brackets.
    is_flow: bool,
}

impl Builder<'_> {
    /// Rejects `\/`, which libyaml-safer accepts, as JSON does, and Go does not.
    fn check_escapes(&self, from: Mark, to: Mark) -> Result<(), Error> {
        let at = |mark: Mark| usize::try_from(mark.index).unwrap_or(usize::MAX);
        let written = self.text.get(at(from)..at(to)).unwrap_or_default();
        let mut characters = written.chars();
        while let Some(character) = characters.next() {
            if character == '\\' && characters.next() == Some('/') {
                let message = "has the escape \\/ in double quotes, which Go does not know: write / alone";
                let position = if from.line > 0 { format!("line {}: ", line(from.line)) } else { String::new() };
                let go = format_args!("{position}found unknown escape character");
                return Err(Error::new(ErrorKind::Syntax, line(from.line), message, go));
            }
        }
        Ok(())
    }

    /// Handles an event; true at the end of the document.
    fn handle(&mut self, event: Event) -> Result<bool, Error> {
        let line = line(event.start_mark.line);
        match event.data {
            EventData::DocumentStart { version_directive, .. } => {
                if version_directive.is_some_and(|version| (version.major, version.minor) != (1, 1)) {
                    let message = "has a %YAML directive of another version than 1.1: remove it";
                    return Err(Error::new(ErrorKind::Syntax, line, message, "found incompatible YAML document"));
                }
            }
            EventData::DocumentEnd { .. } => return Ok(true),
            EventData::Scalar { anchor, tag, value, style, .. } => {
                let quoted = style != ScalarStyle::Plain;
                if style == ScalarStyle::DoubleQuoted {
                    self.check_escapes(event.start_mark, event.end_mark)?;
                }
                if !quoted && value.contains('?') && self.open.last().is_some_and(|open| open.is_flow) {
                    // Within brackets Go treats any `?` as a key indicator.
                    let message =
                        "has a ? without quotes within brackets, where Go treats it as a key indicator: quote it";
                    let go = format_args!("line {line}: did not find expected ',' or ']'");
                    return Err(Error::new(ErrorKind::Syntax, line, message, go));
                }
                let is_last = self.added_break.is_some_and(|end| usize::try_from(event.end_mark.index) == Ok(end));
                let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                let value =
                    if is_last && is_block { value.strip_suffix('\n').unwrap_or(&value).to_owned() } else { value };
                let text = if quoted || !self.has_colon_marks { value.into() } else { repair::undo(&value).into() };
                let kind = Kind::Scalar { text, tag: read_tag(tag), quoted };
                self.add(line, anchor, kind)?;
            }
            EventData::Alias { anchor } => {
                let of = *self.anchors.get(&anchor).ok_or_else(|| {
                    let message = format!("has an alias of the anchor {anchor}, which is not defined before it");
                    Error::new(ErrorKind::Alias, line, message, format_args!("unknown anchor '{anchor}' referenced"))
                })?;
                self.add(line, None, Kind::Alias { name: anchor.into(), of })?;
            }
            EventData::SequenceStart { anchor, style, .. } => {
                let is_flow = style == SequenceStyle::Flow;
                self.open(line, anchor, Kind::Sequence(Vec::new()), is_flow)?;
            }
            EventData::MappingStart { anchor, style, .. } => {
                let is_flow = style == MappingStyle::Flow;
                self.open(line, anchor, Kind::Mapping { pairs: Vec::new() }, is_flow)?;
            }
            EventData::SequenceEnd | EventData::MappingEnd => {
                self.open.pop();
            }
            EventData::StreamStart { .. } | EventData::StreamEnd => {}
        }
        Ok(false)
    }

    fn open(&mut self, line: u64, anchor: Option<String>, kind: Kind, is_flow: bool) -> Result<(), Error> {
        if self.open.len() >= MAX_DEPTH {
            let message = format!("is nested more than {MAX_DEPTH} deep: flatten it");
            return Err(Error::new(ErrorKind::TooLarge, line, message, "exceeded max depth"));
        }
        let id = self.add(line, anchor, kind)?;
        self.open.push(OpenCollection { id, key: None, is_flow });
        Ok(())
    }

    fn add(&mut self, line: u64, anchor: Option<String>, kind: Kind) -> Result<NodeId, Error> {
        let id = self.graph.nodes.len();
        if id >= MAX_VALUES {
            let message = format!("has more than {MAX_VALUES} values: split it");
            return Err(Error::new(ErrorKind::TooLarge, line, message, "document is too large"));
        }
        self.graph.nodes.push(GraphNode { line, kind });
        if let Some(anchor) = anchor {
            self.anchors.insert(anchor, id);
        }
        self.attach(id);
        Ok(id)
    }

    /// Adds a node to the open collection, as an item, a key or a value.
    fn attach(&mut self, id: NodeId) {
        let Some(open) = self.open.last_mut() else {
            self.graph.root.get_or_insert(id);
            return;
        };
        match self.graph.nodes.get_mut(open.id).map(|node| &mut node.kind) {
            Some(Kind::Sequence(items)) => items.push(id),
            Some(Kind::Mapping { pairs }) => match open.key.take() {
                Some(key) => pairs.push((key, id)),
                None => open.key = Some(id),
            },
            _ => {}
        }
    }
}

fn read_tag(tag: Option<String>) -> Tag {
    match tag.as_deref() {
        None | Some("" | "!") => Tag::None,
        Some(tag) => match tag.strip_prefix("tag:yaml.org,2002:") {
            Some(core) => Tag::Core(core.into()),
            None => Tag::Other,
        },
    }
}

/// libyaml's error as Go's, with Go's line.
fn syntax(error: &libyaml_safer::Error) -> Error {
    let scanned = error.kind() == ScanError::Scanner;
    let marked = |mark: Option<libyaml_safer::Mark>| mark.map(|mark| mark.line).filter(|line| *line > 0);
    let go_line = marked(error.context_mark()).or(marked(error.problem_mark())).map(|line| line + u64::from(scanned));
    let problem = error.problem();
    let go = match go_line {
        Some(line) => format!("line {line}: {problem}"),
        None => problem.to_owned(),
    };
    let line_number = error.problem_mark().map_or(0, |mark| line(mark.line));
    let context = error.context().map(|context| format!(" {context}")).unwrap_or_default();
    Error::new(ErrorKind::Syntax, line_number, format!("is no valid YAML: {problem}{context}"), go)
}

/// libyaml-safer counts from 0.
fn line(line: u64) -> u64 {
    line.saturating_add(1)
}
