//! What a runtime configuration can hold: names of fields, their kinds, and scalars that each kind takes and rejects.

use std::collections::BTreeMap;

use serde_json::Value;

/// Made from what a real Mimir was seen to do with each field.
const SCHEMA: &str = include_str!("schema.json");

/// A scalar of each kind that is right, and of each that is wrong, as YAML text.
#[derive(Debug)]
pub(crate) struct Probes {
    pub(crate) right: Vec<String>,
    pub(crate) wrong: Vec<String>,
}

/// A field, and what is below it.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) kind: String,
    /// The words of an enum; empty for other kinds.
    pub(crate) values: Vec<String>,
    pub(crate) fields: Vec<(String, Field)>,
}

#[derive(Debug)]
pub(crate) struct Schema {
    pub(crate) kinds: BTreeMap<String, Probes>,
    /// The keys of a map of integrations.
    pub(crate) integrations: Vec<String>,
    /// The top-level fields besides `overrides`.
    pub(crate) blocks: Vec<(String, Field)>,
    /// The fields of a tenant.
    pub(crate) limits: Vec<(String, Field)>,
    /// Names that are no field of the root.
    pub(crate) unknown_blocks: Vec<String>,
    /// Names that are no field of a tenant.
    pub(crate) unknown_limits: Vec<String>,
}

impl Schema {
    pub(crate) fn read() -> Self {
        let schema: Value = serde_json::from_str(SCHEMA).expect("the schema is JSON");
        let kinds = schema["kinds"].as_object().expect("kinds are a map").iter();
        Self {
            kinds: kinds
                .map(|(kind, probes)| {
                    (kind.clone(), Probes { right: texts(&probes["right"]), wrong: texts(&probes["wrong"]) })
                })
                .collect(),
            integrations: texts(&schema["integrations"]),
            blocks: fields(&schema["blocks"]),
            limits: fields(&schema["limits"]),
            unknown_blocks: texts(&schema["unknown"]["root"]),
            unknown_limits: texts(&schema["unknown"]["tenant"]),
        }
    }

    /// Every field of this kind: the names that lead to it from a tenant's map.
    pub(crate) fn of_kind(&self, kind: &str) -> Vec<Vec<String>> {
        let mut found = Vec::new();
        collect(&self.limits, kind, &mut Vec::new(), &mut found);
        found
    }

    /// A field by its name in a tenant's map.
    pub(crate) fn limit(&self, name: &str) -> &Field {
        let found = self.limits.iter().find(|(other, _)| other == name);
        &found.unwrap_or_else(|| unreachable!("{name} is no limit")).1
    }
}

fn collect(fields: &[(String, Field)], kind: &str, path: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    for (name, field) in fields {
        path.push(name.clone());
        if field.kind == kind {
            found.push(path.clone());
        }
        collect(&field.fields, kind, path, found);
        path.pop();
    }
}

fn texts(list: &Value) -> Vec<String> {
    let texts = list.as_array().map(Vec::as_slice).unwrap_or_default().iter();
    texts.map(|text| text.as_str().expect("a list has texts").to_owned()).collect()
}

fn fields(map: &Value) -> Vec<(String, Field)> {
    let Some(map) = map.as_object() else { return Vec::new() };
    let field = |field: &Value| Field {
        kind: field["kind"].as_str().expect("a field has a kind").to_owned(),
        values: texts(&field["values"]),
        fields: fields(&field["fields"]),
    };
    map.iter().map(|(name, value)| (name.clone(), field(value))).collect()
}
