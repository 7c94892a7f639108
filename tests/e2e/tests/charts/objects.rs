//! What a chart renders, as the API server would store it.

use e2e::{Kubectl, helm_template};
use serde_json::Value;

use super::{NAMESPACE, Set, chart};

/// The objects of one release, with the API server's defaults.
pub(crate) struct Objects(Vec<Value>);

impl Objects {
    /// What the release that is called as its chart has with these values. The API server has to take each manifest, and to say nothing against any.
    #[track_caller]
    pub(crate) fn of(kubectl: &Kubectl, name: &str, values: &[Set<'_>]) -> Self {
        let manifests = helm_template(&chart(name), name, NAMESPACE, values);
        let applied = kubectl.run_with(&["apply", "--dry-run=server", "--output=json", "-f", "-"], &manifests);
        assert_eq!((applied.status, applied.stderr.as_str()), (Some(0), ""), "{name} with {values:?}");
        let list: Value = serde_json::from_str(&applied.stdout).expect("kubectl prints JSON");
        Self(list["items"].as_array().expect("a chart has several objects").clone())
    }

    /// Those of one kind.
    pub(crate) fn of_kind(&self, kind: &str) -> Vec<&Value> {
        self.0.iter().filter(|object| object["kind"] == kind).collect()
    }

    /// The only one of its kind, or the one of this name.
    #[track_caller]
    pub(crate) fn one(&self, kind: &str, name: &str) -> &Value {
        let found = self.of_kind(kind).into_iter().find(|object| object["metadata"]["name"] == name);
        found.unwrap_or_else(|| panic!("there is no {kind} {name}"))
    }
}
