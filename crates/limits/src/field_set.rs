//! The fields that an override sets itself, so that it can be laid over other defaults.

use crate::fields::Field;
use crate::model::{FIELDS, TenantLimits};
use crate::value::ValueError;
use crate::yaml::Entry;

/// A set of the fields that the edge reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FieldSet(u64);

/// A set has a bit for each field.
const _: () = assert!(FIELDS.len() <= 64);

impl FieldSet {
    /// The fields of `limits` that differ from `base`.
    #[must_use]
    pub fn differing(limits: &TenantLimits, base: &TenantLimits) -> Self {
        let differing = FIELDS.iter().enumerate().filter(|(_, field)| !(field.same)(limits, base));
        FieldSet(differing.fold(0, |set, (index, _)| set | 1 << index))
    }

    /// Whether it has Mimir's field of this name.
    #[must_use]
    pub fn contains(self, name: &str) -> bool {
        index(name).is_some_and(|index| self.0 & 1 << index != 0)
    }

    /// The names of its fields, in order.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        self.iter().map(|field| field.name)
    }

    pub(crate) fn insert(&mut self, field: &Field) {
        self.0 |= index(field.name).map_or(0, |index| 1 << index);
    }

    pub(crate) fn union(self, other: Self) -> Self {
        FieldSet(self.0 | other.0)
    }

    /// In order of name.
    pub(crate) fn iter(self) -> impl Iterator<Item = &'static Field> {
        FIELDS.iter().enumerate().filter(move |(index, _)| self.0 & 1 << index != 0).map(|(_, field)| field)
    }
}

/// The table is in order of name.
fn index(name: &str) -> Option<usize> {
    FIELDS.binary_search_by(|field| field.name.cmp(name)).ok()
}

/// A YAML flow mapping of these fields of `limits`.
pub(crate) fn render(set: FieldSet, limits: &TenantLimits) -> String {
    let mut text = String::from("{");
    for field in set.iter() {
        if text.len() > 1 {
            text.push_str(", ");
        }
        text.push_str(field.name);
        text.push_str(": ");
        text.push_str(&(field.render)(limits));
    }
    text.push('}');
    text
}

/// Lays the fields of a mapping from [`render`] over `limits`. Returns their set, and the first unknown field, which a newer
/// build may have written.
pub(crate) fn overlay<'e>(
    limits: &mut TenantLimits,
    entries: &'e [Entry],
) -> Result<(FieldSet, Option<&'e str>), ValueError> {
    let (mut overridden, mut unknown) = (FieldSet::default(), None);
    for Entry { key, value, .. } in entries {
        let Some(field) = index(key).and_then(|index| FIELDS.get(index)) else {
            unknown = unknown.or(Some(&**key));
            continue;
        };
        (field.read)(limits, value).map_err(|ValueError(message)| ValueError(format!("field {key} {message}")))?;
        overridden.insert(field);
    }
    Ok((overridden, unknown))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_each_field_by_its_name() {
        for field in FIELDS {
            let mut set = FieldSet::default();
            assert!(!set.contains(field.name));
            set.insert(field);
            let names: Vec<_> = set.iter().map(|field| field.name).collect();
            assert_eq!((names, set.contains(field.name)), (vec![field.name], true));
        }
        assert!(!FieldSet(u64::MAX).contains("ingestion_rte"));
    }

    #[test]
    fn differing_fields_are_those_with_another_value() {
        let limits = TenantLimits { ingestion_rate: 5.0, drop_labels: ["a".into()].into(), ..TenantLimits::default() };
        let set = FieldSet::differing(&limits, &TenantLimits::default());
        assert_eq!(render(set, &limits), "{drop_labels: [\"a\"], ingestion_rate: 5}");
        assert_eq!(render(FieldSet::default(), &limits), "{}");
    }
}
