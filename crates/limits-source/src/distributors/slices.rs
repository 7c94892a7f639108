//! The ready addresses of a Service's EndpointSlices.

use std::collections::{BTreeMap, HashMap, HashSet};

use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};

/// What each slice holds that counts.
#[derive(Debug, Default)]
pub(crate) struct Slices {
    by_name: HashMap<String, Slice>,
}

#[derive(Debug)]
struct Slice {
    address_type: String,
    /// One address of each ready endpoint: of several the API defines only the first.
    ready: Vec<String>,
}

impl Slices {
    /// Takes these as all there are.
    pub(crate) fn replace(&mut self, slices: Vec<EndpointSlice>) {
        self.by_name.clear();
        slices.into_iter().for_each(|slice| self.put(slice));
    }

    pub(crate) fn put(&mut self, slice: EndpointSlice) {
        let Some(name) = slice.metadata.name else { return };
        let ready =
            slice.endpoints.into_iter().filter(is_ready).filter_map(|endpoint| endpoint.addresses.into_iter().next());
        self.by_name.insert(name, Slice { address_type: slice.address_type, ready: ready.collect() });
    }

    pub(crate) fn remove(&mut self, slice: &EndpointSlice) {
        if let Some(name) = &slice.metadata.name {
            self.by_name.remove(name);
        }
    }

    /// The number of distinct ready addresses. A Service with two address families lists each endpoint once in each: the larger family counts.
    pub(crate) fn ready(&self) -> u32 {
        let mut families: BTreeMap<&str, HashSet<&str>> = BTreeMap::new();
        for slice in self.by_name.values() {
            families.entry(&slice.address_type).or_default().extend(slice.ready.iter().map(String::as_str));
        }
        let most = families.values().map(HashSet::len).max().unwrap_or_default();
        u32::try_from(most).unwrap_or(u32::MAX)
    }
}

/// An unset condition is a good one. `serving` tells of Services that publish endpoints which are not ready, `terminating` of pods about to go.
fn is_ready(endpoint: &Endpoint) -> bool {
    let Some(conditions) = &endpoint.conditions else { return true };
    conditions.ready != Some(false) && conditions.serving != Some(false) && conditions.terminating != Some(true)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn slice(name: &str, family: &str, endpoints: &[Value]) -> EndpointSlice {
        let slice = json!({ "metadata": { "name": name }, "addressType": family, "endpoints": endpoints });
        serde_json::from_value(slice).unwrap()
    }

    fn up(address: &str) -> Value {
        json!({ "addresses": [address] })
    }

    #[track_caller]
    fn check(conditions: Value, expected: u32) {
        let mut slices = Slices::default();
        slices.put(slice("a", "IPv4", &[json!({ "addresses": ["10.0.0.1"], "conditions": conditions })]));
        assert_eq!(slices.ready(), expected, "{conditions}");
    }

    #[test]
    fn only_what_can_take_a_push_counts() {
        check(json!({}), 1);
        check(json!({ "ready": true, "serving": true, "terminating": false }), 1);
        check(json!({ "ready": false }), 0);
        check(json!({ "ready": true, "serving": false }), 0);
        check(json!({ "ready": true, "terminating": true }), 0);
        check(json!({ "ready": false, "serving": true, "terminating": true }), 0);
    }

    #[test]
    fn an_address_in_two_slices_counts_once_and_so_does_an_endpoint_of_two_families() {
        let mut slices = Slices::default();
        slices.put(slice("a", "IPv4", &[up("10.0.0.1"), up("10.0.0.2")]));
        slices.put(slice("b", "IPv4", &[up("10.0.0.2"), up("10.0.0.3")]));
        slices.put(slice("c", "IPv6", &[up("fd00::1"), up("fd00::2")]));
        assert_eq!(slices.ready(), 3);
    }

    #[test]
    fn slices_are_replaced_changed_and_removed() {
        let mut slices = Slices::default();
        slices.replace(vec![slice("a", "IPv4", &[up("10.0.0.1")]), slice("b", "IPv4", &[up("10.0.0.2")])]);
        slices.put(slice("b", "IPv4", &[up("10.0.0.2"), up("10.0.0.3")]));
        assert_eq!(slices.ready(), 3);
        slices.remove(&slice("a", "IPv4", &[]));
        assert_eq!(slices.ready(), 2);
        slices.replace(vec![slice("c", "IPv4", &[up("10.0.0.9")])]);
        assert_eq!(slices.ready(), 1);
        slices.replace(vec![]);
        assert_eq!(slices.ready(), 0);
    }
}
