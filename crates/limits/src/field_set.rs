//! Which fields an override sets itself, so that it can be laid over other defaults than those it was read with.

use crate::fields::Field;
use crate::model::{FIELDS, TenantLimits};
use crate::value::{ValueError, shortened};
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
        FieldSet(differing.fold(0, |set, (place, _)| set | 1 << place))
    }

    /// Whether Mimir's field of this name is in it.
    #[must_use]
    pub fn contains(self, name: &str) -> bool {
        place(name).is_some_and(|place| self.0 & 1 << place != 0)
    }

    pub(crate) fn insert(&mut self, field: &Field) {
        self.0 |= place(field.name).map_or(0, |place| 1 << place);
    }

    pub(crate) fn union(self, other: Self) -> Self {
        FieldSet(self.0 | other.0)
    }

    /// In order of name.
    pub(crate) fn iter(self) -> impl Iterator<Item = &'static Field> {
        FIELDS.iter().enumerate().filter(move |(place, _)| self.0 & 1 << place != 0).map(|(_, field)| field)
    }
}

/// The table is in order of name.
fn place(name: &str) -> Option<usize> {
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

/// Puts the fields of a mapping that [`render`] wrote over `limits`, and returns which they were.
pub(crate) fn overlay(limits: &mut TenantLimits, entries: &[Entry]) -> Result<FieldSet, ValueError> {
    match overlay_known(limits, entries)? {
        (overridden, None) => Ok(overridden),
        (_, Some(key)) => Err(ValueError::new(format!("has the unknown field {}", shortened(key)))),
    }
}

/// The same where a newer build may have written the mapping: also the first field that is not known, which is passed over.
pub(crate) fn overlay_known<'e>(
    limits: &mut TenantLimits,
    entries: &'e [Entry],
) -> Result<(FieldSet, Option<&'e str>), ValueError> {
    let (mut overridden, mut unknown) = (FieldSet::default(), None);
    for Entry { key, value, .. } in entries {
        let Some(field) = place(key).and_then(|place| FIELDS.get(place)) else {
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
