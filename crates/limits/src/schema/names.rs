//! Messages for unknown fields.

use super::MimirVersion;
use super::table::{self, Object};
use crate::code::Code;
use crate::fields::{self, Known};
use crate::problem::Severity;
use crate::suggest::nearest;
use crate::value::shortened;

pub(super) struct Unknown {
    pub(super) code: Code,
    pub(super) severity: Severity,
    pub(super) message: String,
}

/// The fault of the unknown field `name` of `object`, at `path`.
pub(super) fn unknown(name: &str, path: &str, object: &Object, version: &MimirVersion) -> Unknown {
    let is_top = std::ptr::eq(object, table::root());
    let is_limit = table::limits().is_some_and(|limits| std::ptr::eq(object, limits));
    let thing = if is_top { "section" } else { "field" };
    let advice = advice(name, object, is_top, is_limit);
    if !version.is_known() {
        let other = if is_limit && table::is_of_another_release(name) {
            format!("is not one of Mimir {}", MimirVersion::KNOWN)
        } else {
            "is unknown to the edge".to_owned()
        };
        let advice = advice.filter(|advice| advice.ends_with('?')).map(|advice| format!(" ({advice})"));
        let advice = advice.unwrap_or_default();
        return Unknown {
            code: Code::UnknownToThisVersion,
            severity: Severity::Ignored,
            message: format!(
                "{thing} {path} {other}{advice}; if your Mimir does not know it either, it rejects the whole document"
            ),
        };
    }
    let code = match fields::find(name) {
        Some(Known::EdgeOnly) if is_limit => Code::EdgeSetting,
        _ if is_top => Code::UnknownSection,
        _ => Code::UnknownField,
    };
    let advice = advice.unwrap_or_else(|| "remove it, or check its spelling in Mimir's reference".to_owned());
    Unknown {
        code,
        severity: Severity::Rejected,
        message: format!("{thing} {path} is unknown to Mimir {version}; {advice}"),
    }
}

fn advice(name: &str, object: &Object, is_top: bool, is_limit: bool) -> Option<String> {
    if is_top && name == "limits" {
        return Some(
            "it belongs into Mimir's main configuration; limits of tenants belong below overrides:".to_owned(),
        );
    }
    if is_limit {
        match fields::find(name) {
            Some(Known::EdgeOnly) => {
                return Some("it is a setting of the edge; write it into the edge configuration".to_owned());
            }
            Some(Known::Used { field, alias: true }) => return Some(format!("did you mean {}?", field.name)),
            _ if table::is_of_another_release(name) => {
                let other = "it is of another release, or no limit of a tenant";
                return Some(format!("Mimir {} does not have it, {other}: remove it", MimirVersion::KNOWN));
            }
            _ => {}
        }
    }
    let near = nearest(&shortened(name), object.fields.keys().copied());
    match near {
        Some(near) => Some(format!("did you mean {near}?")),
        None => is_top.then(|| "tenants belong below overrides:".to_owned()),
    }
}
