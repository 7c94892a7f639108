//! One tenant's settings over the defaults.

use std::rc::Rc;

use crate::code::Code;
use crate::field_set::FieldSet;
use crate::fields::{self, Field, Known};
use crate::model::TenantLimits;
use crate::problem::{Problem, Severity};
use crate::relabel::{Expressions, check};
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
    pub(super) said: FieldSet,
    /// Settings that are passed over.
    pub(super) notes: Vec<Problem>,
}

/// Puts the settings over `limits`, the readable ones only, and checks the outcome by Mimir's rules.
pub(super) fn overlay(
    limits: &mut TenantLimits,
    tenant: Option<&str>,
    settings: &[Setting<'_>],
    expressions: &mut Expressions,
) -> Findings {
    let mut findings = Findings::default();
    let mut left_to_mimir = None;
    for setting in settings {
        let told = |severity, message| setting.problem(tenant, &setting.name, severity, message);
        match fields::find(&setting.name) {
            None => findings.notes.push(told(Severity::Ignored, fields::unknown(&setting.name))),
            Some(Known::Unused) => {}
            Some(Known::EdgeOnly) => findings.notes.push(told(
                Severity::Ignored,
                format!(
                    "field {} is a setting of the edge and is ignored; write it into the edge configuration",
                    setting.name
                ),
            )),
            Some(Known::Used { field, alias: true }) if settings.iter().any(|other| &*other.name == field.name) => {
                let message =
                    format!("field {} means {}, which is there too, and is ignored", setting.name, field.name);
                findings.notes.push(told(Severity::Ignored, message));
            }
            Some(Known::Used { field, .. }) => {
                let read = read(limits, field, setting, expressions);
                if !matches!(read, Err((Severity::Rejected, _))) {
                    findings.said.insert(field);
                }
                if let Err((severity, ValueError(message))) = read {
                    let problem = told(severity, format!("field {} {message}", setting.name));
                    match severity {
                        Severity::Ignored => left_to_mimir = Some(problem),
                        _ => findings.faults.push(problem),
                    }
                }
            }
        }
    }
    if limits.metric_relabeling_enabled {
        findings.notes.extend(left_to_mimir);
    }
    if let (true, Some(first)) = (findings.faults.is_empty(), settings.first()) {
        for (name, message) in fields::validate(limits) {
            let place = settings.iter().find(|setting| &*setting.name == name).unwrap_or(first);
            let message = format!("field {name} {message}");
            findings.faults.push(place.problem(tenant, name, Severity::Rejected, message));
        }
    }
    findings
}

/// Takes the setting's value over. With [`Severity::Ignored`] it is in force, and the edge cannot do what it says.
fn read(
    limits: &mut TenantLimits,
    field: &Field,
    setting: &Setting<'_>,
    expressions: &mut Expressions,
) -> Result<(), (Severity, ValueError)> {
    let value = setting.value.as_deref().map_err(|message| ValueError::new(message.clone()));
    value.and_then(|node| (field.read)(limits, node)).map_err(|error| (Severity::Rejected, error))?;
    if field.name == "metric_relabel_configs" { check(&limits.metric_relabel_configs, expressions) } else { Ok(()) }
}

impl<'d> Setting<'d> {
    pub(super) fn of_entry(document: &'d str, entry: &Entry) -> Self {
        let (name, value) = (Rc::clone(&entry.key), Ok(Rc::clone(&entry.value)));
        Setting { document, line: Some(entry.line), name, value }
    }

    fn problem(&self, tenant: Option<&str>, field: &str, severity: Severity, message: String) -> Problem {
        Problem {
            code: Code::BadValue,
            document: self.document.to_owned(),
            tenant: tenant.map(str::to_owned),
            field: Some(field.to_owned()),
            line: self.line,
            severity,
            message,
        }
    }
}
