//! Where the fields of overrides are written, for the person who wants to change one.

use std::collections::HashMap;

use crate::tenant::TenantId;

/// The places of the fields that entries set, by the documents that are in force.
///
/// A place takes 24 bytes, and the name of each document is kept once.
#[derive(Debug, Clone, Default)]
pub struct Places {
    documents: Vec<Box<str>>,
    entries: HashMap<TenantId, Box<[Written]>>,
}

/// Where a field is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'p> {
    /// Mimir's name of the field.
    pub field: &'static str,
    /// The name of the document: a file name, or a key of a ConfigMap.
    pub document: &'p str,
    /// The line in it, counted from 1; none where the document is the value of one field.
    pub line: Option<u64>,
}

#[derive(Debug, Clone, Copy)]
struct Written {
    field: &'static str,
    document: u32,
    /// 0: none.
    line: u32,
}

/// A field of an entry that is being read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WrittenIn<'d> {
    pub(crate) field: &'static str,
    pub(crate) document: &'d str,
    pub(crate) line: Option<u64>,
}

impl Places {
    /// The places of the fields that the entry with exactly this key sets itself, in order of name; nothing where they are not known.
    pub fn of(&self, key: &str) -> impl Iterator<Item = Place<'_>> {
        let written = self.entries.get(key).map(|written| &**written).unwrap_or_default();
        written.iter().map(move |written| Place {
            field: written.field,
            document: self.documents.get(written.document as usize).map_or("", AsRef::as_ref),
            line: (written.line > 0).then_some(written.line.into()),
        })
    }
}

/// Collects the places of documents.
#[derive(Debug, Default)]
pub(crate) struct PlacesBuilder {
    documents: Vec<Box<str>>,
    numbers: HashMap<Box<str>, u32>,
    entries: HashMap<TenantId, Vec<Written>>,
}

impl PlacesBuilder {
    /// Adds fields of an entry. A field that is written again has its last place.
    pub(crate) fn add(&mut self, key: &TenantId, fields: &[WrittenIn<'_>]) {
        if fields.is_empty() {
            return;
        }
        let written = |written: &WrittenIn<'_>| {
            let WrittenIn { field, document, line } = *written;
            let line = line.and_then(|line| u32::try_from(line).ok()).unwrap_or_default();
            Written { field, document: self.number(document), line }
        };
        let new: Vec<_> = fields.iter().map(written).collect();
        let entry = self.entries.entry(key.clone()).or_default();
        entry.retain(|old| new.iter().all(|new| new.field != old.field));
        entry.extend(new);
    }

    pub(crate) fn finish(self) -> Places {
        let entries = self.entries.into_iter().map(|(key, mut written)| {
            written.sort_unstable_by_key(|written| written.field);
            (key, written.into_boxed_slice())
        });
        Places { documents: self.documents, entries: entries.collect() }
    }

    fn number(&mut self, document: &str) -> u32 {
        if let Some(number) = self.numbers.get(document) {
            return *number;
        }
        let number = u32::try_from(self.documents.len()).unwrap_or(u32::MAX);
        self.documents.push(document.into());
        self.numbers.insert(document.into(), number);
        number
    }
}

#[cfg(test)]
mod tests {
    use crate::{LimitsState, SourceDocument, TenantLimits};

    #[track_caller]
    fn check(state: &LimitsState, key: &str, expected: &[(&str, &str, Option<u64>)]) {
        let places = state.places();
        let found: Vec<_> = places.of(key).map(|place| (place.field, place.document, place.line)).collect();
        assert_eq!(found, expected, "{key}");
    }

    const BASE: &str = "overrides:\n  a:\n    request_rate: 5\n    ingestion_rate: 10\n  b: { ingestion_rate: 3 }\n";

    #[test]
    fn each_field_has_its_document_and_line() {
        let mut state = LimitsState::new(TenantLimits::default(), false);
        state.apply(&[SourceDocument::new("base.yaml", BASE)]);
        check(&state, "a", &[("ingestion_rate", "base.yaml", Some(4)), ("request_rate", "base.yaml", Some(3))]);
        check(&state, "b", &[("ingestion_rate", "base.yaml", Some(5))]);
        check(&state, "c", &[]);
    }

    #[test]
    fn merged_documents_keep_the_place_of_each_field() {
        let mut state = LimitsState::new(TenantLimits::default(), false);
        let teams = "overrides:\n  a: { ingestion_burst_size: 7 }\n";
        let flat = [SourceDocument::new("a.request_rate", "9"), SourceDocument::new("d.request_rate", "1")];
        let files = [SourceDocument::new("base.yaml", BASE), SourceDocument::new("teams.yaml", teams)];
        state.apply(&[files.as_slice(), flat.as_slice()].concat());
        check(
            &state,
            "a",
            &[
                ("ingestion_burst_size", "teams.yaml", Some(2)),
                ("ingestion_rate", "base.yaml", Some(4)),
                ("request_rate", "a.request_rate", None),
            ],
        );
        check(&state, "d", &[("request_rate", "d.request_rate", None)]);
    }

    #[test]
    fn rejected_documents_leave_the_places_in_force() {
        let mut state = LimitsState::new(TenantLimits::default(), false);
        state.apply(&[SourceDocument::new("base.yaml", BASE)]);
        state.apply(&[SourceDocument::new("base.yaml", "overrides:\n  b: { ingestion_rate: fast }\n")]);
        check(&state, "b", &[("ingestion_rate", "base.yaml", Some(5))]);
        state.apply(&[SourceDocument::new("base.yaml", &format!("# a comment\n{BASE}"))]);
        check(&state, "b", &[("ingestion_rate", "base.yaml", Some(6))]);
    }
}
