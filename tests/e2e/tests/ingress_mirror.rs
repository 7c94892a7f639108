//! The configuration that ingress-nginx makes from the annotation mirror-target, with the real NGINX and Envoy. The controller does not run here: its location for
//! copies has a Host, a target and nothing else.

#![expect(clippy::expect_used, reason = "a test that cannot do its part fails")]

use e2e::{
    Envoy, EnvoySettings, MimirRls, Nginx, ProxyBackends, Upstream, WatchedFile, push_request, samples, send, until,
};
use tempfile::tempdir;

const LIMITS: &str = "overrides: { team: { ingestion_rate: 1e12, ingestion_burst_size: 1000000000000 } }";

/// mirror.conf with the controller's location for copies.
fn as_the_controller(text: &str, envoy: u16) -> String {
    let (before, rest) = text.split_once("            internal;\n").expect("mirror.conf has an internal location");
    let (_, after) = rest.split_once("$request_uri;\n").expect("it ends with its target");
    // NGINX's own default; ops/nginx sets another for all locations.
    let location = format!(
        "            internal;\n            proxy_http_version 1.0;\n            proxy_set_header Host mimir.example.com;\n            \
         proxy_pass http://127.0.0.1:{envoy}/$request_uri;\n"
    );
    format!("{before}{location}{after}")
}

#[test]
fn copies_of_the_ingress_controller_are_decided() {
    let (folder, limits, mimir) =
        (tempdir().expect("a folder can be made"), WatchedFile::of(LIMITS), Upstream::start());
    let rls = MimirRls::start(folder.path(), &limits.source(), &[]);
    until("mimir-rls is ready", || rls.readiness() == Some(200));
    let envoy = Envoy::start(folder.path(), &EnvoySettings::with_rls(vec![rls.grpc_port()]));
    let backends = ProxyBackends::new(mimir.port(), envoy.port());
    let nginx = Nginx::start_edited("mirror.conf", backends, |text| as_the_controller(&text, envoy.port()));

    for _ in 0..10 {
        assert_eq!(send(nginx.port(), &push_request("team", &samples(10).bytes)).status, 200);
    }
    assert_eq!(mimir.requests().len(), 10);
    until("the edge has decided on all copies", || {
        rls.metric(r#"rls_decisions_total{decision="allow",mode="enforce",reason="within_limits"}"#) == Some(10.0)
    });
}
