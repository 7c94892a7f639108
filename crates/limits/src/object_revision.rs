//! Which revision of which object limits were read from.

/// A revision of a Kubernetes object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectRevision {
    /// The object's UID: one that is deleted and made anew under its name has another.
    pub uid: Box<str>,
    /// The object's resource version.
    pub resource_version: Box<str>,
}

impl ObjectRevision {
    /// Whether both are revisions of one object, and this one is known to be the older. Resource versions are decimal numbers that grow (Kubernetes
    /// KEP 5504); of one that is none, nothing is known.
    #[must_use]
    pub fn is_older_than(&self, other: &Self) -> bool {
        let number = |origin: &Self| origin.resource_version.parse::<u128>().ok();
        self.uid == other.uid && number(self).zip(number(other)).is_some_and(|(own, others)| own < others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resource_versions_of_one_object_are_compared_as_numbers() {
        let origin = |uid: &str, version: &str| ObjectRevision { uid: uid.into(), resource_version: version.into() };
        for (own, other, expected) in [
            (origin("a", "9"), origin("a", "10"), true),
            (origin("a", "10"), origin("a", "9"), false),
            (origin("a", "10"), origin("a", "10"), false),
            (origin("a", "9"), origin("b", "10"), false),
            (origin("a", "x9"), origin("a", "10"), false),
            (origin("a", "9"), origin("a", ""), false),
        ] {
            assert_eq!(own.is_older_than(&other), expected, "{own:?} {other:?}");
        }
    }
}
