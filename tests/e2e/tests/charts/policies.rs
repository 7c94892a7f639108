//! Who may connect to the pods, and where they may connect to, by the charts' NetworkPolicies.

use e2e::Kubectl;
use serde_json::{Value, json};

use super::objects::Objects;
use super::{CHARTS, ENVOY, MIMIR_RLS, OVERRIDES_SYNC, Set, cluster};

fn policy(kubectl: &Kubectl, name: &str, values: &[Set<'_>]) -> Value {
    Objects::of(kubectl, name, values).one("NetworkPolicy", name)["spec"].clone()
}

/// The names or numbers of a rule's ports.
fn ports(rule: &Value) -> Vec<String> {
    let ports = rule["ports"].as_array().into_iter().flatten();
    ports.map(|port| port["port"].to_string().replace('"', "")).collect()
}

fn labels(chart: &str, release: &str) -> Value {
    json!({ "matchLabels": { "app.kubernetes.io/name": chart, "app.kubernetes.io/instance": release } })
}

#[test]
fn only_the_named_release_of_the_namespace_may_call() {
    let (_server, kubectl) = cluster();
    for (name, client, release) in [(MIMIR_RLS, ENVOY, "mimir-envoy"), (OVERRIDES_SYNC, MIMIR_RLS, "mimir-rls")] {
        let policy = policy(&kubectl, name, &[]);
        // A peer without a namespaceSelector is of the policy's own namespace.
        assert_eq!(policy["ingress"][0]["from"], json!([{ "podSelector": labels(client, release) }]));
        assert_eq!(ports(&policy["ingress"][0]), ["grpc"]);
        assert_eq!(policy["ingress"].as_array().map(Vec::len), Some(1), "nothing else is open: {policy}");
        assert_eq!(policy["policyTypes"], json!(["Ingress"]));
    }
    let other = policy(&kubectl, MIMIR_RLS, &[("networkPolicy.envoyRelease", "blue")]);
    assert_eq!(other["ingress"][0]["from"], json!([{ "podSelector": labels(ENVOY, "blue") }]));
    let any = policy(&kubectl, OVERRIDES_SYNC, &[("networkPolicy.mimirRlsRelease", "")]);
    let of_any_release = json!([{ "podSelector": { "matchLabels": { "app.kubernetes.io/name": "mimir-rls" } } }]);
    assert_eq!(any["ingress"][0]["from"], of_any_release);
    let envoy = policy(&kubectl, ENVOY, &[]);
    assert_eq!((ports(&envoy["ingress"][0]), &envoy["ingress"][0]["from"]), (vec!["http".to_owned()], &Value::Null));
    assert_eq!(envoy["ingress"].as_array().map(Vec::len), Some(1), "metrics are not open: {envoy}");
}

#[test]
fn http_ports_open_for_the_named_peers_alone() {
    let (_server, kubectl) = cluster();
    let selector = "networkPolicy.httpFrom[0].namespaceSelector.matchLabels.kubernetes\\.io/metadata\\.name";
    for name in CHARTS {
        let policy = policy(&kubectl, name, &[(selector, "monitoring")]);
        let peer = json!([{ "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": "monitoring" } } }]);
        assert_eq!(policy["ingress"][1]["from"], peer, "{name}");
        assert_eq!(ports(&policy["ingress"][1]), [if name == ENVOY { "metrics" } else { "http" }]);
    }
}

#[test]
fn egress_policies_allow_dns_and_what_the_values_use() {
    let (_server, kubectl) = cluster();
    let on = ("networkPolicy.egress.enabled", "true");
    let rules = |name: &str, values: &[Set<'_>]| -> Vec<(String, Vec<String>)> {
        let policy = policy(&kubectl, name, &[&[on][..], values].concat());
        assert_eq!(policy["policyTypes"], json!(["Ingress", "Egress"]));
        let rules = policy["egress"].as_array().expect("there are rules").clone();
        rules.iter().map(|rule| (rule["to"].to_string(), ports(rule))).collect()
    };
    let dns = ("null".to_owned(), ["53", "53", "5353", "5353"].map(str::to_owned).to_vec());
    let api = ("null".to_owned(), ["443", "6443"].map(str::to_owned).to_vec());
    let pods = |chart: &str, port: &str| {
        let to = json!([{ "podSelector": { "matchLabels": { "app.kubernetes.io/name": chart } } }]);
        (to.to_string(), vec![port.to_owned()])
    };
    let namespace = json!([{ "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": "mimir" } } }]);
    let mimir = (namespace.to_string(), vec![]);
    let feed = pods(OVERRIDES_SYNC, "8083");
    let config = ("mimir.configUrl", "http://mimir-distributor.mimir:8080");
    let kube = ("limits.source", "kube:mimir/mimir-runtime");
    assert_eq!(rules(MIMIR_RLS, &[]), [dns.clone(), feed.clone()]);
    assert_eq!(rules(MIMIR_RLS, &[config]), [dns.clone(), feed.clone(), mimir.clone()]);
    assert_eq!(rules(MIMIR_RLS, &[kube]), [dns.clone(), api.clone()]);
    assert_eq!(rules(OVERRIDES_SYNC, &[]), [dns.clone(), api.clone()]);
    assert_eq!(rules(OVERRIDES_SYNC, &[config]), [dns.clone(), api.clone(), mimir.clone()]);
    assert_eq!(rules(ENVOY, &[]), [dns.clone(), pods(MIMIR_RLS, "8081"), mimir.clone()]);
    let [sidecar, sticky] = [("sidecar.enabled", "true"), ("sidecar.stickyFront", "true")];
    assert_eq!(rules(ENVOY, &[sidecar, sticky]), [dns.clone(), feed, mimir.clone()]);
    let watching = ("sidecar.limits.source", "kube:mimir/mimir-runtime");
    assert_eq!(rules(ENVOY, &[sidecar, sticky, watching]), [dns.clone(), api, mimir]);
    let elsewhere = ("limits.source", "feed:http://overrides-sync.limits.svc:8083");
    let (to, _) = rules(MIMIR_RLS, &[elsewhere]).pop().expect("there is the feed");
    assert!(to.contains(r#""kubernetes.io/metadata.name":"limits""#), "{to}");
    let address = ("networkPolicy.egress.apiServerTo[0].ipBlock.cidr", "10.0.0.1/32");
    let extra = ("networkPolicy.egress.extra[0].to[0].ipBlock.cidr", "192.0.2.0/24");
    let given = rules(OVERRIDES_SYNC, &[address, extra]);
    let to: Vec<_> = given.iter().map(|(to, _)| to.as_str()).collect();
    assert_eq!(to, ["null", r#"[{"ipBlock":{"cidr":"10.0.0.1/32"}}]"#, r#"[{"ipBlock":{"cidr":"192.0.2.0/24"}}]"#]);
}
