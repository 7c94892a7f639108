//! One tenant's settings over the defaults.

use std::rc::Rc;

use crate::code::Code;
use crate::field_set::FieldSet;
use crate::fields::{self, Field, Known};
use crate::model::TenantLimits;
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
    /// `Err` where the value's own text is no YAML; completes a sentence.
    pub(super) value: Result<Rc<Node>, String>,
}

/// What an entry's settings were found to be.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// Values that cannot be read and rules that do not hold; the entry is not to be used.
    pub(super) faults: Vec<Problem>,
    /// The fields whose values were taken over.
    pub(super) overridden: FieldSet,
    /// Settings that are passed over.
    pub(super) notes: Vec<Problem>,
}

/// The kind of document that the fields stand in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DocumentFormat {
    /// Mimir's runtime configuration. The schema has checked names, types and rules, and reported what is wrong.
    Mimir,
    /// Flat keys: other spellings of a field are accepted, and an unknown name is ignored.
    Flat,
}

/// Puts the settings over `limits`, the readable ones only, and checks the outcome by Mimir's rules.
pub(super) fn overlay(
    limits: &mut TenantLimits,
    tenant: Option<&str>,
    settings: &[Setting<'_>],
    expressions: &mut ExpressionCache,
    spelling: DocumentFormat,
) -> Findings {
    let mut findings = Findings::default();
    let mut left_to_mimir = None;
    for setting in settings {
        let field = match known(setting, settings, spelling) {
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
    if let (DocumentFormat::Flat, true, Some(first)) = (spelling, findings.faults.is_empty(), settings.first()) {
        for (name, message) in validate(limits) {
            let place = settings.iter().find(|setting| &*setting.name == name).unwrap_or(first);
            let message = format!("field {name} {message}");
            findings.faults.push(place.problem(Code::BrokenRule, tenant, name, Severity::Rejected, message));
        }
    }
    findings
}

/// The field that a setting is of; `None` for one that the edge has no use for, an error for one that is passed over.
fn known(
    setting: &Setting<'_>,
    settings: &[Setting<'_>],
    spelling: DocumentFormat,
) -> Result<Option<&'static Field>, (Code, String)> {
    let name = &setting.name;
    match (fields::find(name), spelling) {
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

/// Takes the setting's value over. With [`Severity::Ignored`] it is in force, and the edge cannot do what it says.
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
        Setting { document, line: Some(entry.place.line), name, value }
    }

    fn problem(&self, code: Code, tenant: Option<&str>, field: &str, severity: Severity, message: String) -> Problem {
        Problem {
            tenant: tenant.map(str::to_owned),
            field: Some(field.to_owned()),
            line: self.line,
            ..Problem::of_document(code, self.document, severity, message)
        }
    }
}
