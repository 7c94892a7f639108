//! The limits of tenants without an override: the `limits:` block of Mimir's main configuration, which is decoded once and
//! strictly.

use go_yaml::Place;

use super::entry::{DocumentFormat, Setting, overlay};
use super::{Loaded, SourceDocument, problem};
use crate::code::Code;
use crate::defaults::Defaults;
use crate::fields;
use crate::problem::{Problem, Severity};
use crate::schema::{self, MimirVersion};
use crate::value::{ValueError, mapping};
use crate::yaml::{Content, Entry, Node, YamlError};

/// Reads the defaults from a `limits:` block, from a whole Mimir configuration file that has one, or from the fields of
/// such a block alone. Fields that are not named keep the value that they have in `below`: Mimir's built-in one, or that of
/// its flags.
///
/// # Errors
/// The problems, if the text is no YAML, a value cannot be read, a field is unknown to this version or a rule of Mimir's does
/// not hold. On success the list has what was passed over.
pub fn parse_defaults(
    document: &SourceDocument<'_>,
    below: Defaults,
    version: &MimirVersion,
) -> Result<(Defaults, Vec<Problem>), Vec<Problem>> {
    let mut loaded = Loaded::default();
    let defaults = read(document, below, version, &mut loaded);
    if loaded.rejected { Err(loaded.problems.listed) } else { Ok((defaults, loaded.problems.listed)) }
}

fn read(document: &SourceDocument<'_>, below: Defaults, version: &MimirVersion, loaded: &mut Loaded) -> Defaults {
    let name = document.name;
    let decoded = super::parse_document(document).and_then(|parsed| Ok(parsed.decode_once()?));
    let tree = match decoded {
        Ok(tree) => tree,
        Err(error) => {
            loaded.reject(name, error);
            return below;
        }
    };
    loaded.report_second_document(name, tree.second_document);
    for duplicate in &tree.duplicates {
        loaded.reject_duplicate(name, duplicate);
    }
    let Some(root) = tree.root else {
        // An empty one is mostly a template or a mount that failed.
        let empty =
            YamlError::new(Code::NotARuntimeConfiguration, 0, "is empty, which Mimir refuses: write limits: {}");
        loaded.reject(name, YamlError { mimir: Some("EOF".to_owned()), ..empty });
        return below;
    };
    match mapping(&root, "Mimir's configuration").map(|entries| entries.map(|entries| block(entries))) {
        Ok(None) => below,
        Ok(Some(Some(Ok(entries)))) => apply(name, entries, below, version, loaded),
        Ok(Some(Some(Err(error)))) => {
            loaded.reject(name, error);
            below
        }
        Ok(Some(None)) => {
            let message = "has no limits: block, and Mimir's built-in defaults hold; add one, or leave the file out";
            loaded.report(problem(Code::NoDefaultLimits, name, None, Severity::Ignored, message.to_owned()));
            below
        }
        Err(ValueError(message)) => {
            loaded.reject(name, YamlError::new(Code::WrongType, root.place.line, message));
            below
        }
    }
}

/// The fields of the `limits:` block, or the document's own keys if they are fields; `None` if there is neither.
fn block(entries: &[Entry]) -> Option<Result<&[Entry], YamlError>> {
    let Some(limits) = entries.iter().find(|entry| &*entry.key == "limits") else {
        let bare = entries.is_empty() || entries.iter().any(|entry| fields::find(&entry.key).is_some());
        return bare.then_some(Ok(entries));
    };
    let error = |ValueError(message)| YamlError::new(Code::WrongType, limits.place.line, format!("limits {message}"));
    let fields = mapping(&limits.value, "fields with their values").map_err(error);
    Some(fields.map(|fields| fields.map_or(&[][..], Vec::as_slice)))
}

fn apply(name: &str, entries: &[Entry], below: Defaults, version: &MimirVersion, loaded: &mut Loaded) -> Defaults {
    let block = Node { place: Place::default(), content: Content::Mapping(entries.to_vec()) };
    let (found, rules) = schema::check_limits(&block, version, &below.rules, below.query_store_after);
    super::mimir::report(&found, |_| name, "", loaded);
    let mut limits = below.limits.clone();
    if !loaded.rejected {
        let settings: Vec<_> = entries.iter().map(|entry| Setting::of_entry(name, entry)).collect();
        let findings = overlay(&mut limits, None, &settings, &mut loaded.expressions, DocumentFormat::Mimir);
        loaded.add_findings(findings);
    }
    Defaults { limits, rules, ..below }
}
