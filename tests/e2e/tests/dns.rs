//! Names that stop to resolve, or that get another address, with the real NGINX, HAProxy and Envoy, and a DNS server of the test's own.

use std::net::Ipv4Addr;
use std::time::Duration;

use e2e::{
    DnsAnswer, DnsServer, ENVOY_NAME, Envoy, EnvoySettings, Haproxy, MIMIR_NAME, MimirRls, Nginx, ProxyBackends,
    RLS_NAME, Relay, Upstream, WatchedFile, free_port, push_request, samples, send, throughout, until,
};
use tempfile::tempdir;

const FIRST: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const SECOND: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

/// What a proxy that fails open is to do with pushes: an upstream in place of Mimir, one in place of Envoy, and Envoy's Service.
struct Service {
    mimir: Upstream,
    envoy: Upstream,
    dns: DnsServer,
    port: u16,
}

impl Service {
    /// Without Envoy's Service.
    fn absent() -> Self {
        Self { mimir: Upstream::start(), envoy: Upstream::start(), dns: DnsServer::start(), port: free_port() }
    }

    fn backends(&self) -> ProxyBackends {
        ProxyBackends::new(self.mimir.port(), self.port).resolved_by(&self.dns)
    }

    /// The Service has this address now.
    fn comes(&self, address: Ipv4Addr) -> Relay {
        self.dns.set(ENVOY_NAME, DnsAnswer::Addresses(vec![address]));
        Relay::start(address, self.port, self.envoy.port())
    }

    fn goes(&self, relay: Relay) {
        self.dns.set(ENVOY_NAME, DnsAnswer::NoSuchName);
        drop(relay);
    }

    /// Pushes that arrived at Mimir and at Envoy.
    fn pushes(&self) -> (usize, usize) {
        let of_team = |place: &Upstream| place.requests_of("team").len();
        (of_team(&self.mimir), of_team(&self.envoy))
    }

    /// Pushes through the proxy until Envoy gets them; Mimir gets those before.
    #[track_caller]
    fn reaches_envoy(&self, proxy: u16) {
        until("pushes reach Envoy", || {
            let before = self.pushes().1;
            assert_eq!(push(proxy), 200);
            self.pushes().1 > before
        });
    }

    #[track_caller]
    fn reaches_mimir(&self, proxy: u16) {
        let (mimir, envoy) = self.pushes();
        for _ in 0..5 {
            assert_eq!(push(proxy), 200);
        }
        assert_eq!(self.pushes(), (mimir + 5, envoy));
    }

    /// The Service comes, goes, and comes back with another address; no push fails meanwhile.
    #[track_caller]
    fn comes_and_goes(&self, proxy: u16) {
        self.reaches_mimir(proxy);
        let relay = self.comes(FIRST);
        self.reaches_envoy(proxy);
        self.goes(relay);
        self.reaches_mimir(proxy);
        let _relay = self.comes(SECOND);
        self.reaches_envoy(proxy);
    }
}

fn push(port: u16) -> u16 {
    send(port, &push_request("team", &samples(1).bytes)).status
}

#[test]
fn nginx_finds_an_envoy_that_comes_back_elsewhere() {
    for file in ["canary.conf", "full-fail-open.conf"] {
        let service = Service::absent();
        let everything = |text: String| text.replace("{ 1% mimir_envoy;", "{ 100% mimir_envoy;");
        let nginx = Nginx::start_edited(file, service.backends(), everything);
        service.comes_and_goes(nginx.port());
    }
}

#[test]
fn nginx_that_fails_closed_finds_an_envoy_again() {
    let service = Service::absent();
    let nginx = Nginx::start("full-fail-closed.conf", service.backends());
    assert_eq!(push(nginx.port()), 502);
    let relay = service.comes(FIRST);
    until("pushes reach Envoy", || push(nginx.port()) == 200);
    service.goes(relay);
    assert_eq!(push(nginx.port()), 502);
    let _relay = service.comes(SECOND);
    until("pushes reach Envoy", || push(nginx.port()) == 200);
    assert_eq!(service.pushes().0, 0);
}

#[test]
fn a_mirror_finds_an_envoy_that_comes_back_elsewhere() {
    let service = Service::absent();
    let nginx = Nginx::start("mirror.conf", service.backends());
    for address in [FIRST, SECOND] {
        let gone = service.pushes();
        assert_eq!(push(nginx.port()), 200);
        assert_eq!(service.pushes(), (gone.0 + 1, gone.1));
        let relay = service.comes(address);
        service.reaches_envoy(nginx.port());
        service.goes(relay);
    }
}

#[test]
fn every_step_of_nginx_starts_while_dns_is_silent() {
    let service = Service::absent();
    service.dns.set(ENVOY_NAME, DnsAnswer::Silence);
    let nginx = Nginx::start("direct.conf", service.backends());
    let steps =
        [("mirror.conf", 200), ("canary.conf", 200), ("full-fail-open.conf", 200), ("full-fail-closed.conf", 502)];
    for (file, status) in steps {
        nginx.switch_to(file);
        assert_eq!(push(nginx.port()), status, "{file}");
    }
    nginx.switch_to("direct.conf");
    service.reaches_mimir(nginx.port());
}

fn all_through_the_edge(name: &str, text: String) -> String {
    assert!(name != "haproxy.cfg" || text.contains(" weight 1 check"), "haproxy.cfg has another share");
    text.replace(" weight 1 check", " weight 100 check").replace(" weight 99\n", " weight 0\n")
}

#[test]
fn haproxy_finds_an_envoy_that_comes_back_elsewhere() {
    let service = Service::absent();
    let haproxy = Haproxy::start_edited(service.backends(), all_through_the_edge);
    service.comes_and_goes(haproxy.port());
}

#[test]
fn haproxy_reloads_without_envoys_service() {
    let service = Service::absent();
    let haproxy = Haproxy::start_edited(service.backends(), all_through_the_edge);
    haproxy.reload_edited(|text| text);
    service.reaches_mimir(haproxy.port());
    let _relay = service.comes(FIRST);
    service.reaches_envoy(haproxy.port());
}

#[test]
fn haproxy_keeps_an_envoy_while_dns_fails() {
    let service = Service::absent();
    let _relay = service.comes(FIRST);
    let haproxy = Haproxy::start_edited(service.backends(), all_through_the_edge);
    service.reaches_envoy(haproxy.port());
    for failure in [DnsAnswer::NoSuchName, DnsAnswer::Silence] {
        service.dns.set(ENVOY_NAME, failure.clone());
        let asked = service.dns.queries(ENVOY_NAME);
        until("HAProxy has asked again", || service.dns.queries(ENVOY_NAME) >= asked + 4);
        let (mimir, envoy) = service.pushes();
        assert_eq!(push(haproxy.port()), 200);
        assert_eq!(service.pushes(), (mimir, envoy + 1), "{failure:?}");
    }
}

/// What Envoy counts of a cluster.
fn counted(envoy: &Envoy, what: &str, cluster: &str) -> f64 {
    envoy.metric(&format!(r#"envoy_cluster_{what}{{envoy_cluster_name="{cluster}"}}"#)).unwrap_or_default()
}

#[test]
fn envoy_keeps_the_replicas_it_knows_while_dns_fails() {
    let (folder, mimir, dns) = (tempdir().expect("a folder can be made"), Upstream::start(), DnsServer::start());
    let limits = WatchedFile::of("overrides: { team: { ingestion_rate: 1e9, ingestion_burst_size: 1000000000 } }");
    let rls = MimirRls::start(folder.path(), &limits.source(), &[]);
    until("mimir-rls is ready", || rls.readiness() == Some(200));
    let names = [(RLS_NAME, "mimir_rls"), (MIMIR_NAME, "mimir")];
    for (name, _) in names {
        dns.set(name, DnsAnswer::Addresses(vec![Ipv4Addr::LOCALHOST]));
    }
    let settings = EnvoySettings {
        dns: Some(dns.port()),
        upstream_port: Some(mimir.port()),
        ..EnvoySettings::with_rls(vec![rls.grpc_port()])
    };
    let envoy = Envoy::start(folder.path(), &settings);
    until("pushes pass", || push(envoy.port()) == 200);
    for (failure, counter) in [(DnsAnswer::NoSuchName, "update_success"), (DnsAnswer::Silence, "update_failure")] {
        for (name, _) in names {
            dns.set(name, failure.clone());
        }
        let before = names.map(|(_, cluster)| counted(&envoy, counter, cluster));
        until(&format!("Envoy has noticed {failure:?} three times"), || {
            assert_eq!(push(envoy.port()), 200, "{failure:?}");
            names.iter().zip(before).all(|((_, cluster), before)| counted(&envoy, counter, cluster) >= before + 3.0)
        });
        // Workers learn a change of hosts a little after the metrics.
        throughout(Duration::from_millis(500), || assert_eq!(push(envoy.port()), 200, "{failure:?}"));
    }
}
