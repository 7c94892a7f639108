//! The nodes of a text's first document, as yaml.v3's parser makes them: aliases stand beside what they name, tags and styles
//! are kept. The one module that knows the library.
//!
//! libyaml, whose port is used, and yaml.v3 are the same scanner and parser. What Go adds is here: `%YAML 1.1` is the only
//! version, and the first token behind the document has to be one.

use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;

use libyaml_safer::{ErrorKind, Event, EventData, MappingStyle, Mark, Parser, ScalarStyle, SequenceStyle};

use crate::error::{Error, Fault};

mod repair;

/// The most values, keys included, of one document or of several that are merged: a tenant with four fields has ten. Reading a million takes some
/// 200 MB.
pub const MAX_VALUES: usize = 1_000_000;
/// Collections inside each other. Go takes 10,000, and no document that Mimir takes needs more than ten; each is looked at for
/// every token inside of it.
const MAX_DEPTH: usize = 100;

/// Bytes that are read again, because something in them is no YAML to the library and is to Go.
const MOST_REPAIRED_BYTES: usize = 64 << 20;

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
    /// Its tag says nothing to Go.
    Mapping {
        pairs: Vec<(NodeId, NodeId)>,
    },
    Alias {
        name: Rc<str>,
        of: NodeId,
    },
}

/// A tag that somebody wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tag {
    /// None, or `!`.
    None,
    /// One of YAML's own, such as `int` of `!!int`.
    Core(Box<str>),
    /// Another.
    Other,
}

#[derive(Debug, Default)]
pub(crate) struct Graph {
    nodes: Vec<GraphNode>,
    pub(crate) root: Option<NodeId>,
    /// The line where a second document begins, which is not read.
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

    /// The node that an alias names, or the node itself.
    pub(crate) fn target(&self, id: NodeId) -> NodeId {
        match self.get(id).kind {
            Kind::Alias { of, .. } => of,
            _ => id,
        }
    }
}

/// Reads the first document of a text; whatever comes behind it is not looked at.
pub(crate) fn parse(text: &str) -> Result<Graph, Error> {
    let (mut text, is_ended) = with_an_end(text);
    let may_mark_colons = !text.contains(repair::COLON);
    for repairs in 0_usize.. {
        match parse_once(&text, is_ended, may_mark_colons) {
            Ok(graph) => return Ok(graph),
            Err(Unparsed { error, at }) => {
                let may_be_repaired = repairs.saturating_mul(text.len()) < MOST_REPAIRED_BYTES;
                let repair = |at| repair::repair(&text, at, &error.go, may_mark_colons);
                let repaired = at.filter(|_| may_be_repaired).and_then(repair);
                text = Cow::Owned(repaired.ok_or_else(|| within(error, &text))?);
            }
        }
    }
    Ok(Graph::default())
}

/// Why there are no nodes, and where in the text, in bytes.
struct Unparsed {
    error: Error,
    at: Option<usize>,
}

impl From<Error> for Unparsed {
    fn from(error: Error) -> Self {
        Unparsed { error, at: None }
    }
}

impl From<libyaml_safer::Error> for Unparsed {
    fn from(error: libyaml_safer::Error) -> Self {
        let at = error.problem_mark().and_then(|mark| usize::try_from(mark.index).ok());
        Unparsed { error: syntax(&error), at }
    }
}

fn parse_once(text: &str, is_ended: bool, has_marks: bool) -> Result<Graph, Unparsed> {
    let mut input = text.as_bytes();
    let mut parser = Parser::new();
    parser.set_input(&mut input);
    let added_break = (!is_ended).then_some(text.len());
    let mut builder = Builder { text, added_break, has_marks, ..Builder::default() };
    loop {
        let event = parser.parse()?;
        if matches!(event.data, EventData::StreamEnd) {
            return Ok(builder.graph);
        }
        if builder.take(event)? {
            break;
        }
    }
    builder.graph.second_document = second(&mut parser)?;
    Ok(builder.graph)
}

/// What is missing at the end is missing on the last line that there is.
fn within(error: Error, text: &str) -> Error {
    let lines = text.bytes().filter(|byte| *byte == b'\n').count();
    let last = u64::try_from(lines).unwrap_or(u64::MAX).max(1);
    Error { line: error.line.min(last), ..error }
}

/// The text with a break at its end, which the library cannot do without, and whether it has one itself.
fn with_an_end(text: &str) -> (Cow<'_, str>, bool) {
    // Blanks behind the last break say nothing.
    let trimmed = text.trim_end_matches(' ');
    if trimmed.is_empty() || trimmed.ends_with(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']) {
        return (Cow::Borrowed(trimmed), true);
    }
    (Cow::Owned(format!("{text}\n")), false)
}

/// Where a second document begins. Go has scanned its first token by then, and refuses the text if that is none.
fn second(parser: &mut Parser<&mut &[u8]>) -> Result<Option<u64>, Unparsed> {
    let mut found = None;
    for _ in 0..2 {
        match parser.parse() {
            Ok(Event { data: EventData::DocumentStart { .. }, start_mark, .. }) => found = Some(line(start_mark.line)),
            Ok(_) => break,
            Err(error) if error.kind() == ErrorKind::Scanner => return Err(error.into()),
            Err(_) => break,
        }
    }
    Ok(found)
}

#[derive(Default)]
struct Builder<'t> {
    text: &'t str,
    graph: Graph,
    open: Vec<Open>,
    anchors: HashMap<String, NodeId>,
    /// Where the text ends, if a break was put there.
    added_break: Option<usize>,
    /// Whether [`repair::COLON`] stands for a colon.
    has_marks: bool,
}

/// A collection whose end has not come yet.
struct Open {
    id: NodeId,
    key: Option<NodeId>,
    /// Whether it is within brackets.
    is_flow: bool,
}

impl Builder<'_> {
    /// The library knows `\/`, as JSON does, and Go does not.
    fn check_escapes(&self, from: Mark, to: Mark) -> Result<(), Error> {
        let at = |mark: Mark| usize::try_from(mark.index).unwrap_or(usize::MAX);
        let written = self.text.get(at(from)..at(to)).unwrap_or_default();
        let mut characters = written.chars();
        while let Some(character) = characters.next() {
            if character == '\\' && characters.next() == Some('/') {
                let message = "has the escape \\/ in double quotes, which Go does not know: write / alone";
                let place = if from.line > 0 { format!("line {}: ", line(from.line)) } else { String::new() };
                let go = format_args!("{place}found unknown escape character");
                return Err(Error::new(Fault::Syntax, line(from.line), message, go));
            }
        }
        Ok(())
    }

    /// Whether the document is at its end.
    fn take(&mut self, event: Event) -> Result<bool, Error> {
        let line = line(event.start_mark.line);
        match event.data {
            EventData::DocumentStart { version_directive, .. } => {
                if version_directive.is_some_and(|version| (version.major, version.minor) != (1, 1)) {
                    let message = "has a %YAML directive of another version than 1.1: remove it";
                    return Err(Error::new(Fault::Syntax, line, message, "found incompatible YAML document"));
                }
            }
            EventData::DocumentEnd { .. } => return Ok(true),
            EventData::Scalar { anchor, tag, value, style, .. } => {
                let quoted = style != ScalarStyle::Plain;
                if style == ScalarStyle::DoubleQuoted {
                    self.check_escapes(event.start_mark, event.end_mark)?;
                }
                if !quoted && value.contains('?') && self.open.last().is_some_and(|open| open.is_flow) {
                    // Within brackets Go takes a `?` for the mark of a key, wherever it stands.
                    let message =
                        "has a ? without quotes within brackets, where Go takes it for the mark of a key: quote it";
                    let go = format_args!("line {line}: did not find expected ',' or ']'");
                    return Err(Error::new(Fault::Syntax, line, message, go));
                }
                let is_last = self.added_break.is_some_and(|end| usize::try_from(event.end_mark.index) == Ok(end));
                let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                let value =
                    if is_last && is_block { value.strip_suffix('\n').unwrap_or(&value).to_owned() } else { value };
                let text = if quoted || !self.has_marks { value.into() } else { repair::undo(&value).into() };
                let kind = Kind::Scalar { text, tag: read_tag(tag), quoted };
                self.add(line, anchor, kind)?;
            }
            EventData::Alias { anchor } => {
                let of = *self.anchors.get(&anchor).ok_or_else(|| {
                    let message = format!("has an alias of the anchor {anchor}, which is not there before it");
                    Error::new(Fault::Alias, line, message, format_args!("unknown anchor '{anchor}' referenced"))
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
            return Err(Error::new(Fault::TooLarge, line, message, "exceeded max depth"));
        }
        let id = self.add(line, anchor, kind)?;
        self.open.push(Open { id, key: None, is_flow });
        Ok(())
    }

    fn add(&mut self, line: u64, anchor: Option<String>, kind: Kind) -> Result<NodeId, Error> {
        let id = self.graph.nodes.len();
        if id >= MAX_VALUES {
            let message = format!("has more than {MAX_VALUES} values: split it");
            return Err(Error::new(Fault::TooLarge, line, message, "document is too large"));
        }
        self.graph.nodes.push(GraphNode { line, kind });
        if let Some(anchor) = anchor {
            self.anchors.insert(anchor, id);
        }
        self.attach(id);
        Ok(id)
    }

    /// Puts a node where the open collection wants it: an item, a key or the value of a key.
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

/// The library's error in Go's words, with the line that Go would name.
fn syntax(error: &libyaml_safer::Error) -> Error {
    let scanned = error.kind() == ErrorKind::Scanner;
    let marked = |mark: Option<libyaml_safer::Mark>| mark.map(|mark| mark.line).filter(|line| *line > 0);
    let go_line = marked(error.context_mark()).or(marked(error.problem_mark())).map(|line| line + u64::from(scanned));
    let problem = error.problem();
    let go = match go_line {
        Some(line) => format!("line {line}: {problem}"),
        None => problem.to_owned(),
    };
    let place = error.problem_mark().map_or(0, |mark| line(mark.line));
    let context = error.context().map(|context| format!(" {context}")).unwrap_or_default();
    Error::new(Fault::Syntax, place, format!("is no valid YAML: {problem}{context}"), go)
}

/// The library counts from 0.
fn line(line: u64) -> u64 {
    line.saturating_add(1)
}
