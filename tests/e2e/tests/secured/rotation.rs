//! Certificates and their authority are replaced under load, as a Secret's mount replaces them.

use e2e::{Authority, Edge, Identity, Load, Program, Secrets, SecuredEdge, TlsClient, push_request, samples, until};

use super::{LIMITS, grpc};

/// Where Envoy's cluster has the settings of its connections. Short connections, so that handshakes with old and new certificates go on all the time.
const CONNECTIONS: (&str, &str) = (
    "        hash_policy:\n        - header:\n",
    "        common_http_protocol_options: { max_connection_duration: 0.2s }\n        hash_policy:\n        - header:\n",
);
const ROUNDS: usize = 3;

/// A secured edge and its Secrets.
struct Rotation<'a> {
    secured: SecuredEdge,
    secrets: &'a Secrets,
    /// What the test itself trusts.
    trusted: [&'a Authority; 2],
}

impl Rotation<'_> {
    /// Gives every program a new certificate, and waits until new connections have it.
    #[track_caller]
    fn renew(&self, signer: &Authority, trusted: &[&Authority]) {
        let shown = Program::ALL.map(|program| (program, program.identity(signer)));
        for (program, identity) in &shown {
            self.secrets.mount(*program, identity, trusted);
        }
        let [(_, envoy), (_, rls), (_, sync)] = &shown;
        let client = self.client(envoy);
        for (identity, ports) in [
            (rls, [self.secured.edge.rls.grpc_port(), self.secured.edge.rls.http_port()]),
            (sync, [self.secured.sync.grpc_port(), self.secured.sync.http_port()]),
        ] {
            for port in ports {
                until("new connections get the new certificate", || {
                    client.certificate_of(port).is_ok_and(|shown| shown == *identity.certificate())
                });
            }
        }
        let authority = trusted.first().expect("there is an authority");
        until("Envoy has read its certificate and the authority", || {
            let certificates = self.secured.edge.envoy.admin("/certs");
            [envoy.serial(), authority.serial()].iter().all(|serial| certificates.text().contains(serial))
        });
    }

    fn client(&self, shown: &Identity) -> TlsClient {
        TlsClient::new(self.trusted.map(Authority::certificate), Some(shown))
    }

    /// Whether both servers accept, or both reject, a client with a certificate of this authority.
    fn all(&self, accept: bool, authority: &Authority) -> bool {
        let client = self.client(&authority.issue(&["client"]));
        let ports = [self.secured.edge.rls.grpc_port(), self.secured.sync.grpc_port()];
        ports.iter().all(|port| grpc::call(*port, Some(&client)).is_ok() == accept)
    }

    fn metric(&self, name: &str) -> f64 {
        let series = format!("{name}{{envoy_cluster_name=\"mimir_rls\"}}");
        self.secured.edge.envoy.metric(&series).expect("Envoy has the metric")
    }

    /// That no handshake failed, and no file was bad.
    fn had_no_failure(&self) {
        for name in [
            "envoy_cluster_upstream_cx_connect_fail",
            "envoy_cluster_ssl_connection_error",
            "envoy_cluster_ssl_fail_verify_error",
            "envoy_cluster_ssl_fail_verify_san",
        ] {
            assert_eq!(self.metric(name), 0.0, "{name}");
        }
        let expires = self.secured.edge.rls.metric(r#"rls_certificate_not_after_timestamp_seconds{of="feed_tls"}"#);
        assert!(expires > Some(0.0), "the certificate for the feed expires: {expires:?}");
        for of in ["grpc_tls", "http_tls"] {
            let rls = self.secured.edge.rls.metric(&format!("rls_bad_tls_files_total{{of=\"{of}\"}}"));
            let sync = self.secured.sync.metric(&format!("overrides_sync_bad_tls_files_total{{of=\"{of}\"}}"));
            assert_eq!((rls, sync), (Some(0.0), Some(0.0)), "{of}");
        }
    }
}

#[test]
fn certificates_and_their_authority_change_under_load_without_an_error() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let secrets = Secrets::new(&[&old, &new]);
    let builder = Edge::builder().forgetting_bodies().envoy_edit(CONNECTIONS.0, CONNECTIONS.1);
    let secured = SecuredEdge::start(builder, &secrets, LIMITS);
    let mut rotation = Rotation { secured, secrets: &secrets, trusted: [&old, &new] };
    let requests = ["within", "over"].map(|tenant| push_request(tenant, &samples(2).bytes));
    let load = Load::start(rotation.secured.edge.port(), requests.to_vec());
    load.wait_for_more(100);
    for _ in 0..ROUNDS {
        rotation.renew(&old, &[&old]);
        load.wait_for_more(100);
    }

    // The authority's own certificate is renewed, for the same key.
    let renewed = old.renewed();
    rotation.renew(&renewed, &[&renewed]);
    load.wait_for_more(100);

    // A new authority: all trust both, all get new certificates, nobody trusts the old one.
    rotation.renew(&renewed, &[&new, &renewed]);
    until("both authorities are trusted", || rotation.all(true, &new) && rotation.all(true, &renewed));
    rotation.renew(&new, &[&new, &renewed]);
    load.wait_for_more(100);
    rotation.renew(&new, &[&new]);
    until("the old authority is trusted no more", || rotation.all(false, &renewed));
    assert!(rotation.all(true, &new));
    let connections = rotation.metric("envoy_cluster_upstream_cx_total");
    until("Envoy makes new connections", || rotation.metric("envoy_cluster_upstream_cx_total") > connections + 4.0);
    rotation.had_no_failure();

    // The feed's stream was opened with the first certificates. The next one needs the new ones.
    rotation.secured.sync.process.kill();
    rotation.secured.sync.restart();
    rotation.secured.limits.swap(&format!("{LIMITS}  late: {{ ingestion_burst_size: 7 }}\n"));
    until("mimir-rls follows the feed again", || rotation.secured.edge.rls.burst("late") == Some(7));

    let tally = load.stop();
    eprintln!("{:?} over {} connections of Envoy", tally.statuses, rotation.metric("envoy_cluster_upstream_cx_total"));
    assert_eq!(tally.errors, [""; 0]);
    assert_eq!(tally.of(200) + tally.of(429), tally.answers(), "{tally:?}");
    assert!(tally.of(200) > 100 && tally.of(429) > 100, "{tally:?}");
    assert_eq!(rotation.secured.edge.upstream.requests().len(), tally.of(200));
}
