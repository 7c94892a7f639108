//! Which clients are rejected: clients without a certificate, or with one of another authority.

use e2e::{
    Authority, Edge, EdgeBuilder, Envoy, EnvoySettings, Program, Response, Secrets, SecuredEdge, TlsClient,
    push_request, samples, send,
};

use super::{LIMITS, grpc};

/// What an Envoy has that shows no certificate.
const ENVOY_CERTIFICATE: &str = "          tls_certificate_sds_secret_configs:
          - name: mimir_rls_client
            sds_config: { resource_api_version: V3, path_config_source: { path: /etc/envoy/tls-certificate.yaml } }
";

#[test]
fn grpc_clients_without_a_certificate_of_the_ca_are_rejected() {
    let (authority, other) = (Authority::new("edge"), Authority::new("other"));
    let secured = SecuredEdge::start(Edge::builder(), &Secrets::new(&[&authority]), LIMITS);
    let trusted = [authority.certificate()];
    let client = |shown| TlsClient::new(trusted, shown);
    let (ours, theirs) = (authority.issue(&["client"]), other.issue(&["client"]));
    // The name in a client's certificate is free, and only its authority counts.
    for (program, port) in [("mimir-rls", secured.edge.rls.grpc_port()), ("overrides-sync", secured.sync.grpc_port())] {
        let answer = grpc::call(port, Some(&client(Some(&ours))));
        assert_eq!(answer.expect("a certificate of the authority is accepted"), "0", "{program}");
        for (what, rejected) in [
            ("without a certificate", Some(client(None))),
            ("of another authority", Some(client(Some(&theirs)))),
            ("without TLS", None),
        ] {
            let answer = grpc::call(port, rejected.as_ref());
            assert!(answer.is_err(), "{program} answers a client {what}: {answer:?}");
        }
        // Clients trust no other server either.
        assert!(TlsClient::new([other.certificate()], None).certificate_of(port).is_err(), "{program}");
    }
    let rejected = |prefix: &str| format!("{prefix}_grpc_connections_closed_total{{reason=\"handshake\"}}");
    assert!(secured.edge.rls.metric(&rejected("rls")) >= Some(3.0));
    assert!(secured.sync.metric(&rejected("overrides_sync")) >= Some(3.0));
    assert_eq!(secured.edge.push("over", &samples(2).bytes).status, 429, "Envoy is not rejected");
}

#[track_caller]
fn is_not_checked(answer: &Response) {
    assert_eq!((answer.status, answer.reason().as_deref()), (503, Some("not_checked")), "{}", answer.text());
}

/// A secured edge whose Envoy mimir-rls rejects.
fn rejected(builder: EdgeBuilder, secrets: &Secrets) -> SecuredEdge {
    let secured = SecuredEdge::start(builder, secrets, LIMITS);
    secured.edge.envoy.wait_for_healthy_rls(0);
    secured
}

#[test]
fn an_envoy_without_certificate_answers_as_its_failure_mode_says() {
    let secrets = Secrets::new(&[&Authority::new("edge")]);
    let without = || Edge::builder().envoy_edit(ENVOY_CERTIFICATE, "");
    let closed = rejected(without(), &secrets);
    is_not_checked(&closed.edge.push("within", &samples(2).bytes));
    assert_eq!(closed.edge.upstream.requests().len(), 0);

    // One without TLS.
    let folder = tempfile::tempdir().expect("a folder can be made");
    let upstream_port = Some(closed.edge.upstream.port());
    let settings = EnvoySettings { upstream_port, ..EnvoySettings::with_rls(vec![closed.edge.rls.grpc_port()]) };
    let plain = Envoy::start(folder.path(), &settings);
    is_not_checked(&send(plain.port(), &push_request("within", &samples(2).bytes)));
    assert_eq!(closed.edge.upstream.requests().len(), 0);

    let open = rejected(without().failing_open(), &secrets);
    assert_eq!(open.edge.push("over", &samples(2).bytes).status, 200);
    let allowed = open.edge.envoy.metric(r#"envoy_http_ext_authz_failure_mode_allowed{envoy_ext_authz_prefix="mimir_rls",envoy_http_conn_manager_prefix="push"}"#);
    assert_eq!(allowed, Some(1.0));
}

#[test]
fn an_envoy_of_another_authority_gets_no_decision() {
    let (authority, other) = (Authority::new("edge"), Authority::new("other"));
    let secrets = Secrets::new(&[&authority]);
    secrets.mount(Program::Envoy, &Program::Envoy.identity(&other), &[&authority]);
    is_not_checked(&rejected(Edge::builder(), &secrets).edge.push("within", &samples(2).bytes));

    // One that does not trust mimir-rls sends it no push either.
    secrets.mount(Program::Envoy, &Program::Envoy.identity(&authority), &[&other]);
    let distrusting = rejected(Edge::builder(), &secrets);
    is_not_checked(&distrusting.edge.push("within", &samples(2).bytes));
    assert_eq!(distrusting.edge.rls.decisions("allow"), 0.0);
}
