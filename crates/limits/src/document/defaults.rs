//! The limits of tenants without an override: the `limits:` block of Mimir's main configuration, decoded in one pass.

use std::rc::Rc;

use go_yaml::Position;

use super::entry::{DocumentFormat, Setting, overlay};
use super::{Loaded, SourceDocument};
use crate::code::Code;
use crate::defaults::{Defaults, MimirSettings};
use crate::fields;
use crate::problem::{Problem, Problems};
use crate::schema::{self, MimirVersion};
use crate::value::{ValueError, mapping};
use crate::yaml::{Content, Entry, Node, YamlError};

/// Reads the defaults from a `limits:` block, a whole Mimir configuration file with one, or the fields of such a block. Other
/// fields keep their value in `below`: Mimir's built-in one, or that of its flags.
///
/// # Errors
/// The problems, if the text is no YAML, a value is unreadable, a field is unknown to this version, or a rule is broken. On
/// success the problems are only ignored settings.
pub fn parse_defaults(
    document: &SourceDocument<'_>,
    below: Defaults,
    version: &MimirVersion,
) -> Result<(Defaults, Vec<Problem>), Vec<Problem>> {
    let mut loaded = Loaded::default();
    let mut mimir = MimirSettings { defaults: below, version: version.clone() };
    match read_tree(document, &mut loaded.problems).and_then(|root| fields_of(&root)) {
        Ok(Some(fields)) => apply(document.name, fields, &mut mimir, &mut loaded),
        Ok(None) => {
            let message = "has no limits: block, and Mimir's built-in defaults hold; add one, or leave the file out";
            loaded.problems.ignore(Code::NoDefaultLimits, document.name, None, message);
        }
        Err(error) => loaded.problems.reject(document.name, error),
    }
    if loaded.problems.rejected { Err(loaded.problems.listed) } else { Ok((mimir.defaults, loaded.problems.listed)) }
}

fn read_tree(document: &SourceDocument<'_>, problems: &mut Problems) -> Result<Rc<Node>, YamlError> {
    let tree = super::parse_document(document)?.tree()?;
    problems.report_second_document(document.name, tree.second_document);
    tree.duplicates.iter().for_each(|duplicate| problems.reject_duplicate(document.name, duplicate));
    tree.root.ok_or_else(|| {
        // Mostly a template or a mount that failed.
        let message = "is empty, which Mimir rejects: write limits: {}";
        YamlError { mimir: Some("EOF".to_owned()), ..YamlError::new(Code::NotARuntimeConfiguration, 0, message) }
    })
}

/// The fields of the `limits:` block, or the document's own keys if they are fields; `None` if there is neither.
fn fields_of(root: &Node) -> Result<Option<Vec<Entry>>, YamlError> {
    let error = |line, message| YamlError::new(Code::WrongType, line, message);
    let entries =
        mapping(root, "Mimir's configuration").map_err(|ValueError(message)| error(root.position.line, message))?;
    let entries = entries.unwrap_or_default();
    let Some(limits) = entries.iter().find(|entry| &*entry.key == "limits") else {
        let are_fields = entries.is_empty() || entries.iter().any(|entry| fields::find(&entry.key).is_some());
        return Ok(are_fields.then(|| entries.to_vec()));
    };
    let fields = mapping(&limits.value, "fields with their values");
    let fields = fields.map_err(|ValueError(message)| error(limits.position.line, format!("limits {message}")))?;
    Ok(Some(fields.unwrap_or_default().to_vec()))
}

/// Puts the fields over the defaults in `mimir`.
fn apply(name: &str, fields: Vec<Entry>, mimir: &mut MimirSettings, loaded: &mut Loaded) {
    let settings: Vec<_> = fields.iter().map(|entry| Setting::of_entry(name, entry)).collect();
    let block = Node { position: Position::default(), content: Content::Mapping(fields) };
    let (found, rules) = schema::check_limits(&block, mimir);
    mimir.defaults.rules = rules;
    super::mimir::report(&found, |_| name, "", loaded);
    if !loaded.problems.rejected {
        let limits = &mut mimir.defaults.limits;
        let findings = overlay(limits, None, &settings, &mut loaded.expressions, DocumentFormat::Mimir);
        loaded.add_findings(findings);
    }
}
