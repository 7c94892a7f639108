//! What Mimir shows of a runtime configuration in force: YAML of its own making, read by a parser that is not the edge's.

use std::collections::BTreeMap;

use libyaml_safer::{EventData, Parser};

use super::verdict::{FIELDS, Values, rate};

/// A value as far as it is looked at.
enum Shown {
    Text(String),
    Map(Vec<(Shown, Shown)>),
    List,
}

/// Reads `/runtime_config`: the tenants, each with what is shown of it over Mimir's defaults.
pub(crate) fn tenants(page: &str) -> BTreeMap<String, Values> {
    let page = relevant(page);
    let mut input = page.as_bytes();
    let mut parser = Parser::new();
    parser.set_input_string(&mut input);
    let mut tenants = BTreeMap::new();
    for (name, overrides) in read(&mut parser).entries() {
        if name == "overrides" {
            tenants.extend(overrides.entries().map(|(tenant, limits)| (tenant.to_owned(), limits.values())));
        }
    }
    tenants
}

/// The lines of tenants and of the fields that are compared: the rest of a page is a hundred times as much. Mimir indents by four spaces, and
/// puts long tenants on lines of their own, `? TENANT` and `: FIELD: VALUE`.
fn relevant(page: &str) -> String {
    let mut kept = String::new();
    let mut is_long = false;
    for line in page.lines() {
        let text = line.trim_start_matches(' ');
        let indent = line.len() - text.len();
        is_long = match indent {
            0 | 4 => text.starts_with("? "),
            _ => is_long,
        };
        if indent <= 4 || is_long || FIELDS.iter().any(|field| indent == 8 && text.starts_with(&format!("{field}:"))) {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

/// The next value.
fn read(parser: &mut Parser<&mut &[u8]>) -> Shown {
    loop {
        match next(parser) {
            EventData::StreamStart { .. } | EventData::DocumentStart { .. } => {}
            first => return value(first, parser),
        }
    }
}

fn value(first: EventData, parser: &mut Parser<&mut &[u8]>) -> Shown {
    match first {
        EventData::Scalar { value, .. } => Shown::Text(value),
        EventData::MappingStart { .. } => {
            let mut entries = Vec::new();
            loop {
                match next(parser) {
                    EventData::MappingEnd => return Shown::Map(entries),
                    key => entries.push((value(key, parser), read(parser))),
                }
            }
        }
        EventData::SequenceStart { .. } => loop {
            match next(parser) {
                EventData::SequenceEnd => return Shown::List,
                item => drop(value(item, parser)),
            }
        },
        other => unreachable!("Mimir shows {other:?}"),
    }
}

fn next(parser: &mut Parser<&mut &[u8]>) -> EventData {
    parser.parse().unwrap_or_else(|error| panic!("Mimir shows no YAML: {error}")).data
}

impl Shown {
    /// The entries of a map with texts as keys.
    fn entries(&self) -> impl Iterator<Item = (&str, &Shown)> {
        let entries = if let Self::Map(entries) = self { entries.as_slice() } else { &[] };
        entries.iter().filter_map(|(key, value)| Some((key.text()?, value)))
    }

    fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The values of one tenant, Mimir's defaults where nothing is shown.
    fn values(&self) -> Values {
        let mut values = ["10000", "200000", "0", "0", "30"].map(str::to_owned);
        for (name, value) in self.entries() {
            if let (Some(place), Some(text)) = (FIELDS.iter().position(|field| *field == name), value.text()) {
                values[place] = if name.ends_with("_rate") { rate(number(text)) } else { text.to_owned() };
            }
        }
        values
    }
}

fn number(text: &str) -> f64 {
    match text {
        ".inf" | "+.inf" => f64::INFINITY,
        "-.inf" => f64::NEG_INFINITY,
        ".nan" => f64::NAN,
        other => other.parse().unwrap_or_else(|error| panic!("Mimir shows the rate {other:?}: {error}")),
    }
}
