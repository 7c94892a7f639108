//! What a chart renders, as the API server would store it.

use e2e::{Kubectl, Output, helm_template};
use serde_json::Value;

use super::{NAMESPACE, Set, chart};

/// The objects of one release, with the API server's defaults.
pub(crate) struct Objects(Vec<Value>);

impl Objects {
    /// What the release that is called as its chart has with these values. The API server has to take each manifest, and to say nothing against any.
    #[track_caller]
    pub(crate) fn of(kubectl: &Kubectl, name: &str, values: &[Set<'_>]) -> Self {
        let manifests = helm_template(&chart(name), name, NAMESPACE, values);
        let applied = dry_run(kubectl, &manifests);
        assert_eq!((applied.status, applied.stderr.as_str()), (Some(0), ""), "{name} with {values:?}");
        Self(items(&applied))
    }

    /// The same for several sets of values of charts, in the order of these, by one call of kubectl: a start of it takes longer than the objects.
    #[track_caller]
    pub(crate) fn of_each(kubectl: &Kubectl, releases: &[(&str, &[Set<'_>])]) -> Vec<Self> {
        let manifests: Vec<_> =
            releases.iter().map(|(name, values)| helm_template(&chart(name), name, NAMESPACE, values)).collect();
        let applied = dry_run(kubectl, &manifests.concat());
        if (applied.status, applied.stderr.as_str()) != (Some(0), "") {
            // Which one it is: each by itself.
            releases.iter().for_each(|(name, values)| drop(Self::of(kubectl, name, values)));
            panic!("only together are they rejected: {}", applied.stderr);
        }
        let mut objects = items(&applied).into_iter();
        let counts = manifests.iter().map(|text| text.lines().filter(|line| line.starts_with("kind: ")).count());
        let of_releases: Vec<_> = counts.map(|count| Self(objects.by_ref().take(count).collect())).collect();
        assert_eq!(objects.next(), None, "kubectl prints an object for each manifest");
        of_releases
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

#[track_caller]
fn dry_run(kubectl: &Kubectl, manifests: &str) -> Output {
    kubectl.run_with(&["apply", "--dry-run=server", "--output=json", "-f", "-"], manifests)
}

fn items(applied: &Output) -> Vec<Value> {
    let list: Value = serde_json::from_str(&applied.stdout).expect("kubectl prints JSON");
    list["items"].as_array().expect("a chart has several objects").clone()
}
