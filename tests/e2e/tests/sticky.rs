//! An edge of sidecars: three Envoys, each with a mimir-rls of its own, behind the real NGINX and HAProxy, which send each tenant to one of them.

#![expect(clippy::expect_used, reason = "a test that cannot do its part fails")]

use std::fs;
use std::net::Ipv4Addr;

use e2e::{
    DnsAnswer, DnsServer, ENVOY_PODS_NAME, Edge, Haproxy, Nginx, ProxyBackends, Relay, Upstream, free_port,
    push_request, repository, samples, send, until,
};

/// What a bucket holds; next to nothing comes back.
const BURST: usize = 30;
/// The samples that each tenant may push: `a` and `a|a` have one bucket, and `a:k=v` one of its own, as in Mimir.
const LIMIT: usize = 2 * BURST;
const SAMPLES: usize = 10;
const TENANTS: usize = 30;

/// The pods, and the Mimir behind them and behind the proxy.
struct Pods {
    mimir: Upstream,
    pods: Vec<Edge>,
}

impl Pods {
    fn start(count: usize) -> Self {
        let mut pods = Self { mimir: Upstream::start(), pods: Vec::new() };
        (0..count).for_each(|_| pods.add());
        pods
    }

    fn add(&mut self) {
        let limits: String = (0..TENANTS)
            .map(|number| format!("  tenant-{number}: {{ ingestion_rate: 0.001, ingestion_burst_size: {BURST} }}\n"))
            .collect();
        let limits = format!("overrides:\n{limits}");
        self.pods.push(Edge::builder().upstream(self.mimir.port()).start(&limits));
    }

    fn ports(&self) -> Vec<u16> {
        self.pods.iter().map(Edge::port).collect()
    }

    /// Each tenant pushes more than its buckets hold, in all spellings.
    #[track_caller]
    fn overload(proxy: u16) {
        let body = samples(SAMPLES).bytes;
        for number in 0..TENANTS {
            let tenant = format!("tenant-{number}");
            for spelling in
                [tenant.clone(), format!("{tenant}|{tenant}"), format!("{tenant}:k=v"), format!(" {tenant} ")]
            {
                let statuses = [(); 4].map(|()| send(proxy, &push_request(&spelling, &body)).status);
                assert!(statuses.iter().all(|status| [200, 429].contains(status)), "{spelling}: {statuses:?}");
            }
            // Envoy reads it as one header with a comma.
            let twice = push_request(&tenant, &body).header("X-Scope-OrgID", &tenant);
            assert!([200, 429].contains(&send(proxy, &twice).status), "{tenant} twice");
        }
    }

    /// A front and Envoy may hash a header with several tenants differently: every pod denies it.
    #[track_caller]
    fn deny_several_tenants(&self, proxy: u16) {
        let before = self.mimir.requests().len();
        let body = samples(1).bytes;
        for (first, second, status) in [
            ("tenant-2|tenant-3", None, 422),
            ("tenant-3|tenant-2", None, 422),
            ("tenant-2,tenant-3", None, 401),
            ("tenant-2, tenant-2", None, 401),
            (",tenant-2", None, 401),
            ("tenant-2", Some("tenant-3"), 400),
            ("", Some("tenant-2"), 400),
        ] {
            let request = push_request(first, &body);
            let request = second.into_iter().fold(request, |request, value| request.header("X-Scope-OrgID", value));
            assert_eq!(send(proxy, &request).status, status, "{first} {second:?}");
        }
        assert_eq!(self.mimir.requests().len(), before);
    }

    /// Samples of each tenant that Mimir got.
    fn ingested(&self) -> Vec<usize> {
        let requests = self.mimir.requests();
        let of = |number: usize| {
            let name = format!("tenant-{number}");
            let is_of = |spelling: &str| spelling.trim().split(['|', ':']).next() == Some(name.as_str());
            let pushes = requests.iter().filter(|push| push.headers.get("x-scope-orgid").is_some_and(|it| is_of(&it)));
            SAMPLES * pushes.count()
        };
        (0..TENANTS).map(of).collect()
    }

    /// After a change of the pods each tenant has had its buckets once more at most, and only some moved.
    #[track_caller]
    fn is_bounded(&self, before: &[usize]) {
        let now = self.ingested();
        let moved = now.iter().zip(before).filter(|(now, before)| now > before).count();
        assert!(now.iter().zip(before).all(|(now, before)| now - before <= LIMIT), "{before:?} {now:?}");
        eprintln!("{moved} of {TENANTS} tenants moved");
        assert!((1..TENANTS * 3 / 4).contains(&moved), "{moved} of {TENANTS} tenants moved");
    }
}

#[test]
fn fronts_and_envoy_hash_the_same_part_of_the_header() {
    for (file, cuts) in [
        ("charts/envoy/files/envoy.yaml", r#"regex: "^([^|:,]*).*$" }, substitution: "\\1""#),
        ("ops/nginx/mimir-edge/http.conf", r#"map $http_x_scope_orgid $tenant { "~^(?<bare>[^|:,]*)" $bare; }"#),
        ("ops/nginx/mimir-edge/envoy-sticky.conf", "hash $tenant consistent;"),
        ("ops/haproxy/sticky.cfg", r#"req.fhdr(X-Scope-OrgID,1),regsub("[|:,].*","")"#),
        ("ops/haproxy/sticky.cfg", "balance hash var(txn.tenant)"),
        (
            "ops/ingress/ingress-nginx/full-sticky.yaml",
            r#"map $http_x_scope_orgid $mimir_tenant { "~^(?<bare>[^|:,]*)" $bare; }"#,
        ),
    ] {
        let text = fs::read_to_string(repository().join(file)).expect("the file is there");
        assert!(text.contains(cuts), "{file} has no {cuts}");
    }
}

#[test]
fn behind_nginx_a_limit_is_exact_over_three_pods() {
    for file in ["full-fail-open.conf", "full-fail-closed.conf"] {
        let mut pods = Pods::start(3);
        let backends = ProxyBackends::new(pods.mimir.port(), free_port());
        let nginx = Nginx::start_sticky(file, backends, &pods.ports());
        Pods::overload(nginx.port());
        let exact = pods.ingested();
        assert_eq!(exact, [LIMIT; TENANTS]);
        pods.deny_several_tenants(nginx.port());

        pods.add();
        nginx.set_pods(&pods.ports());
        Pods::overload(nginx.port());
        let added = pods.ingested();
        pods.is_bounded(&exact);

        pods.pods.first_mut().expect("there are pods").envoy.process.kill();
        Pods::overload(nginx.port());
        pods.is_bounded(&added);
    }
}

/// The addresses of pods, all at one port.
struct Addresses {
    dns: DnsServer,
    port: u16,
    relays: Vec<(Ipv4Addr, Relay)>,
}

impl Addresses {
    fn new() -> Self {
        Self { dns: DnsServer::start(), port: free_port(), relays: Vec::new() }
    }

    fn add(&mut self, pod: &Edge) {
        let last = u8::try_from(self.relays.len() + 2).expect("there are few pods");
        let address = Ipv4Addr::new(127, 0, 1, last);
        self.relays.push((address, Relay::start(address, self.port, pod.port())));
        self.publish();
    }

    fn publish(&self) {
        let all = self.relays.iter().map(|(address, _)| *address).collect();
        self.dns.set(ENVOY_PODS_NAME, DnsAnswer::Addresses(all));
    }
}

/// Waits until so many pods are up in both lists of HAProxy.
#[track_caller]
fn wait_for_pods(haproxy: &Haproxy, count: usize) {
    for backend in ["pushes", "pushes_always"] {
        until(&format!("{count} pods are up in {backend}"), || {
            let state = haproxy.command(&format!("show servers state {backend}"));
            let columns = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            let up = state.lines().map(columns).filter(|line| {
                line.get(3).is_some_and(|name| name.starts_with("edge"))
                    && line.get(5).is_some_and(|state| state == "2")
            });
            up.count() == count
        });
    }
}

#[test]
fn behind_haproxy_a_limit_is_exact_over_three_pods() {
    let (mut pods, mut addresses) = (Pods::start(3), Addresses::new());
    pods.pods.iter().for_each(|pod| addresses.add(pod));
    let backends = ProxyBackends::new(pods.mimir.port(), addresses.port).resolved_by(&addresses.dns);
    let haproxy = Haproxy::start_file("sticky.cfg", backends, |name, text| match name {
        "sticky.cfg" => text.replace(" weight 1 check", " weight 10 check").replace(" weight 57\n", " weight 0\n"),
        "always.lst" => text + "tenant-0\ntenant-1\n",
        _ => text,
    });
    wait_for_pods(&haproxy, 3);
    Pods::overload(haproxy.port());
    let exact = pods.ingested();
    assert_eq!(exact, [LIMIT; TENANTS]);
    pods.deny_several_tenants(haproxy.port());

    pods.add();
    addresses.add(pods.pods.last().expect("there are pods"));
    wait_for_pods(&haproxy, 4);
    Pods::overload(haproxy.port());
    let added = pods.ingested();
    pods.is_bounded(&exact);

    drop(addresses.relays.remove(0));
    addresses.publish();
    wait_for_pods(&haproxy, 3);
    Pods::overload(haproxy.port());
    pods.is_bounded(&added);
}
