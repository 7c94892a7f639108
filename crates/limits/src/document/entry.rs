//! One tenant's settings over the defaults.

use std::rc::Rc;

use crate::code::Code;
use crate::field_set::FieldSet;
use crate::fields::{self, Field, Known};
use crate::model::TenantLimits;
use crate::places::WrittenIn;
use crate::problem::{Problem, Severity};
use crate::relabel::{ExpressionCache, check};
use crate::schema::validate;
use crate::value::ValueError;
use crate::yaml::{Entry, Node};

/// One `field: value`.
#[derive(Debug)]
pub(super) struct Setting<'d> {
    pub(super) document: &'d str,
    pub(super) line: Option<u64>,
    pub(super) name: Rc<str>,
    /// `Err` if the text of a flat key is no YAML; completes a sentence.
    pub(super) value: Result<Rc<Node>, String>,
}

/// The result of reading an entry's settings.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// Unreadable values and broken rules, because of which the entry cannot be used.
    pub(super) faults: Vec<Problem>,
    /// The fields that were set.
    pub(super) overridden: FieldSet,
    /// Ignored settings.
    pub(super) notes: Vec<Problem>,
}

/// The settings of an entry, whose fields have been read.
pub(super) fn places<'d>(settings: &[Setting<'d>], overridden: FieldSet, format: DocumentFormat) -> Vec<WrittenIn<'d>> {
    let place = |setting: &Setting<'d>| {
        let field = known(setting, settings, format).ok()??.name;
        let Setting { document, line, .. } = *setting;
        overridden.contains(field).then_some(WrittenIn { field, document, line })
    };
    settings.iter().filter_map(place).collect()
}

/// The kind of document that contains the fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DocumentFormat {
    /// Mimir's runtime configuration. The schema has checked names, types and rules, and reported what is wrong.
    Mimir,
    /// Flat keys: other spellings of a field are accepted, and an unknown name is ignored.
    Flat,
}

/// Lays the readable settings over `limits`, and checks the result by Mimir's rules.
pub(super) fn overlay(
    limits: &mut TenantLimits,
    tenant: Option<&str>,
    settings: &[Setting<'_>],
    expressions: &mut ExpressionCache,
    format: DocumentFormat,
) -> Findings {
    let mut findings = Findings::default();
    let mut left_to_mimir = None;
    for setting in settings {
        let field = match known(setting, settings, format) {
            Ok(Some(field)) => field,
            Ok(None) => continue,
            Err((code, message)) => {
                findings.notes.push(setting.problem(code, tenant, &setting.name, Severity::Ignored, message));
                continue;
            }
        };
        let read = read(limits, field, setting, expressions);
        if !matches!(read, Err((Severity::Rejected, _))) {
            findings.overridden.insert(field);
        }
        if let Err((severity, ValueError(message))) = read {
            let message = format!("field {} {message}", setting.name);
            let problem = |code| setting.problem(code, tenant, &setting.name, severity, message);
            match severity {
                Severity::Ignored => left_to_mimir = Some(problem(Code::LeftToMimir)),
                _ => findings.faults.push(problem(Code::BadValue)),
            }
        }
    }
    if limits.metric_relabeling_enabled {
        findings.notes.extend(left_to_mimir);
    }
    if let (DocumentFormat::Flat, true, Some(first)) = (format, findings.faults.is_empty(), settings.first()) {
        for (name, message) in validate(limits) {
            let position = settings.iter().find(|setting| &*setting.name == name).unwrap_or(first);
            let message = format!("field {name} {message}");
            findings.faults.push(position.problem(Code::BrokenRule, tenant, name, Severity::Rejected, message));
        }
    }
    findings
}

/// The field of a setting; `None` if the edge does not use it, an error if it is ignored.
fn known(
    setting: &Setting<'_>,
    settings: &[Setting<'_>],
    format: DocumentFormat,
) -> Result<Option<&'static Field>, (Code, String)> {
    let name = &setting.name;
    match (fields::find(name), format) {
        (Some(Known::Used { field, alias: false }), _) => Ok(Some(field)),
        (Some(Known::Unused), _) | (_, DocumentFormat::Mimir) => Ok(None),
        (Some(Known::Used { field, alias: true }), DocumentFormat::Flat) => {
            if !settings.iter().any(|other| &*other.name == field.name) {
                return Ok(Some(field));
            }
            let message = format!("field {name} means {}, which is there too, and is ignored", field.name);
            Err((Code::FieldNamedTwice, message))
        }
        (Some(Known::EdgeOnly), DocumentFormat::Flat) => {
            let message =
                format!("field {name} is a setting of the edge and is ignored; write it into the edge configuration");
            Err((Code::EdgeSetting, message))
        }
        (None, DocumentFormat::Flat) => Err((Code::UnknownField, fields::unknown(name))),
    }
}

/// Reads the setting's value. With [`Severity::Ignored`] it is in force, but the edge cannot apply it.
fn read(
    limits: &mut TenantLimits,
    field: &Field,
    setting: &Setting<'_>,
    expressions: &mut ExpressionCache,
) -> Result<(), (Severity, ValueError)> {
    let value = setting.value.as_deref().map_err(|message| ValueError::new(message.clone()));
    value.and_then(|node| (field.read)(limits, node)).map_err(|error| (Severity::Rejected, error))?;
    if field.name == "metric_relabel_configs" { check(&limits.metric_relabel_configs, expressions) } else { Ok(()) }
}

impl<'d> Setting<'d> {
    pub(super) fn of_entry(document: &'d str, entry: &Entry) -> Self {
        let (name, value) = (Rc::clone(&entry.key), Ok(Rc::clone(&entry.value)));
        Setting { document, line: Some(entry.position.line), name, value }
    }

    fn problem(&self, code: Code, tenant: Option<&str>, field: &str, severity: Severity, message: String) -> Problem {
        let (tenant, field) = (tenant.map(str::to_owned), Some(field.to_owned()));
        Problem { tenant, field, ..Problem::of_document(code, self.document, severity, message).at(self.line) }
    }
}
