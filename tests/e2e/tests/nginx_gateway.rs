//! The steps in mimir-distributed's own gateway, with the real NGINX: it checks passwords and sets the tenant `anonymous` in each of them.

#![expect(clippy::expect_used, reason = "a test that cannot do its part fails")]

use std::borrow::Cow;
use std::fs;
use std::path::Path;

use e2e::{
    Edge, Nginx, Request, Response, Upstream, free_port, push_request, repository, samples, send, until, until_some,
};

const LIMITS: &str = "
overrides:
  anonymous: { ingestion_rate: 0.001, ingestion_burst_size: 5 }
  team: { ingestion_rate: 1e12, ingestion_burst_size: 1000000000000 }
  over: { ingestion_rate: 0.001, ingestion_burst_size: 5 }
";

/// `user:secret`.
const PASSWORD: &str = "Basic dXNlcjpzZWNyZXQ=";

/// What matters here of the gateway's configuration: a reduced one with the chart's variables, its locations for pushes and queries, and the places of the
/// two snippets. NGINX is not root: it writes to one folder only.
const GATEWAY: &str = r#"
worker_processes 2;
error_log stderr error;
pid FOLDER/nginx.pid;
events { worker_connections 4096; }
http {
  client_body_temp_path FOLDER/body;
  proxy_temp_path FOLDER/proxy;
  fastcgi_temp_path FOLDER/fastcgi;
  uwsgi_temp_path FOLDER/uwsgi;
  scgi_temp_path FOLDER/scgi;
  access_log FOLDER/access.log;
  resolver 127.0.0.1:1;
  HTTP_SNIPPET
  map $http_x_scope_orgid $ensured_x_scope_orgid { default $http_x_scope_orgid; "" "anonymous"; }
  map $http_x_scope_orgid $has_multiple_orgid_headers { default 0; "~^.+,.+$" 1; }
  proxy_read_timeout 300;
  server {
    listen 127.0.0.1:PORT;
    auth_basic "Mimir";
    auth_basic_user_file FOLDER/.htpasswd;
    if ($has_multiple_orgid_headers = 1) { return 400 'Sending multiple X-Scope-OrgID headers is not allowed.'; }
    location = /ready { return 200 'OK'; auth_basic off; }
    proxy_set_header X-Scope-OrgID $ensured_x_scope_orgid;
    location = /api/v1/push {
      set $distributor mimir-distributor-headless.mimir.svc.cluster.local;
      proxy_pass http://$distributor:8080$request_uri;
    }
    location /prometheus {
      set $query_frontend 127.0.0.1;
      proxy_pass http://$query_frontend:QUERIES$request_uri;
    }
    SERVER_SNIPPET
  }
}
"#;

/// A snippet of a values file of ops/nginx/mimir-gateway; empty where the file has none.
fn snippet(file: &str, name: &str) -> String {
    let path = repository().join("ops/nginx/mimir-gateway").join(file);
    let text = fs::read_to_string(path).expect("a step is a file");
    let (_, rest) = text.split_once(&format!("\n      {name}:")).expect("a step has both snippets");
    if let Some(block) = rest.strip_prefix(" |\n") {
        return block
            .lines()
            .take_while(|line| line.is_empty() || line.starts_with("        "))
            .fold(String::new(), |text, line| text + line + "\n");
    }
    assert!(rest.starts_with(" \"\"\n"), "{file}: {name} is neither a block nor empty");
    String::new()
}

/// The gateway in front of an edge; Mimir and the gateway's other upstreams are one upstream.
struct Gateway {
    nginx: Nginx,
    edge: Edge,
    mimir: Upstream,
    ports: [u16; 3],
}

impl Gateway {
    fn start(file: &str) -> Self {
        let mimir = Upstream::start();
        let edge = Edge::builder().upstream(mimir.port()).start(LIMITS);
        let (mut ports, targets) = ([0, free_port(), free_port()], (mimir.port(), edge.port()));
        let nginx = Nginx::start_in(|folder, port| {
            fs::write(folder.join(".htpasswd"), "user:{PLAIN}secret\n").expect("a file can be written");
            ports = [port, ports[1], ports[2]];
            write(folder, file, ports, targets);
        });
        Self { nginx, edge, mimir, ports }
    }

    /// `helm upgrade` with a step's values, and the gateway's new pods.
    fn switch_to(&self, file: &str) {
        write(self.nginx.folder(), file, self.ports, (self.mimir.port(), self.edge.port()));
        self.nginx.reload();
    }

    fn send(&self, request: Request) -> Response {
        send(self.nginx.port(), &request.header("Authorization", PASSWORD))
    }

    fn push(&self, tenant: &str) -> Response {
        self.send(push_request(tenant, &samples(10).bytes))
    }

    /// A push without a tenant.
    fn push_anonymously(&self) -> Response {
        self.send(Request::new("POST", "/api/v1/push").body(&samples(10).bytes))
    }

    /// How often the edge decided.
    fn decided(&self) -> f64 {
        self.edge.rls.decisions("allow") + self.edge.rls.decisions("deny")
    }

    /// Nothing passes without the password, in any step, and nothing but pushes is touched.
    #[track_caller]
    fn authenticates(&self) {
        let before = (self.mimir.requests().len(), self.decided());
        let wrong = push_request("team", &samples(10).bytes).header("Authorization", "Basic dXNlcjp3cm9uZw==");
        for request in
            [wrong, push_request("team", &samples(10).bytes), Request::new("GET", "/prometheus/api/v1/query")]
        {
            assert_eq!(send(self.nginx.port(), &request).status, 401, "{request}");
        }
        assert_eq!((self.mimir.requests().len(), self.decided()), before);
        for internal in ["/mimir-edge/push", "/mimir-edge/copy"] {
            assert_eq!(self.send(Request::new("POST", internal)).status, 404, "{internal}");
        }
        let twice = push_request("team,other", &samples(10).bytes);
        assert_eq!(self.send(twice).status, 400);
        assert_eq!(self.send(Request::new("GET", "/prometheus/api/v1/query")).status, 200);
        assert_eq!(self.mimir.requests().len(), before.0 + 1);
    }

    /// The tenant of the newest request at Mimir, and whether it had been marked.
    fn newest(&self) -> (Option<String>, Option<String>) {
        let requests = self.mimir.requests();
        let newest = requests.last().expect("a request has arrived");
        let header = |name| newest.headers.get(name).map(Cow::into_owned);
        (header("x-scope-orgid"), header("x-mimir-edge-traffic"))
    }
}

fn write(folder: &Path, file: &str, [port, copies, nowhere]: [u16; 3], (mimir, edge): (u16, u16)) {
    let values = [
        ("HTTP_SNIPPET", snippet(file, "httpSnippet")),
        ("SERVER_SNIPPET", snippet(file, "serverSnippet")),
        ("FOLDER", folder.display().to_string()),
        ("QUERIES", mimir.to_string()),
        ("PORT", port.to_string()),
        ("127.0.0.1:8088", format!("127.0.0.1:{copies}")),
        ("127.0.0.1:8089", format!("127.0.0.1:{nowhere}")),
        ("$distributor:8080", format!("$distributor:{mimir}")),
        ("$mimir_envoy:8080", format!("$mimir_envoy:{edge}")),
        ("mimir-distributor-headless.mimir.svc.cluster.local:8080", format!("127.0.0.1:{mimir}")),
        ("mimir-distributor-headless.mimir.svc.cluster.local", "127.0.0.1".to_owned()),
        ("mimir-envoy.mimir-edge-enforcement.svc.cluster.local:8080", format!("127.0.0.1:{edge}")),
        ("mimir-envoy.mimir-edge-enforcement.svc.cluster.local", "127.0.0.1".to_owned()),
        // A busy machine may be late with a copy; tests/nginx_mirror.rs is about that.
        ("connect_timeout 100ms;", "connect_timeout 10s;".to_owned()),
        ("read_timeout 500ms;", "read_timeout 10s;".to_owned()),
        ("{ 1% mimir_envoy;", "{ 100% mimir_envoy;".to_owned()),
    ];
    let text = values.iter().fold(GATEWAY.to_owned(), |text, (place, value)| text.replace(place, value));
    fs::write(folder.join("nginx.conf"), text).expect("a file can be written");
}

#[test]
fn the_gateways_steps_keep_passwords_and_the_tenant() {
    let gateway = Gateway::start("direct.yaml");
    for (file, decided, denied) in [
        ("direct.yaml", 0.0, false),
        ("mirror.yaml", 3.0, false),
        ("canary.yaml", 3.0, true),
        ("direct.yaml", 0.0, false),
    ] {
        gateway.switch_to(file);
        gateway.authenticates();
        let before = gateway.decided();
        assert_eq!(gateway.push("team").status, 200, "{file}");
        assert_eq!(gateway.newest(), (Some("team".to_owned()), None), "{file}");
        assert_eq!(gateway.push("over").status, if denied { 429 } else { 200 }, "{file}");
        let anonymous = gateway.push_anonymously();
        assert_eq!(anonymous.status, if denied { 429 } else { 200 }, "{file}");
        assert_eq!(anonymous.reason().is_some(), denied, "{file}");
        let newest = if denied { "team" } else { "anonymous" };
        assert_eq!(gateway.newest(), (Some(newest.to_owned()), None), "{file}");
        until("the edge has decided", || gateway.decided() == before + decided);
    }
}

#[test]
fn the_gateways_canary_lists_tenants_and_fails_open() {
    let mut gateway = Gateway::start("canary.yaml");
    let before = gateway.decided();
    assert_eq!(gateway.push("vip-team").status, 200);
    assert_eq!(gateway.push("vip-team:k=v").status, 200);
    assert_eq!(gateway.decided(), before, "a listed tenant went through the edge");
    gateway.edge.envoy.process.kill();
    assert_eq!([gateway.push("over").status, gateway.push_anonymously().status], [200; 2]);
    assert_eq!(gateway.newest(), (Some("anonymous".to_owned()), None));
}

#[test]
fn the_gateways_mirror_copies_large_pushes_once() {
    let gateway = Gateway::start("mirror.yaml");
    let before = (gateway.mimir.requests().len(), gateway.decided());
    assert_eq!(gateway.send(push_request("team", &e2e::noisy(3 << 20).bytes)).status, 200);
    until("the edge has decided on the copy", || gateway.decided() == before.1 + 1.0);
    assert_eq!(gateway.mimir.requests().len(), before.0 + 1, "a copy was ingested");
}

#[test]
fn the_gateways_steps_append_the_clients_address() {
    let (mimir, envoy) = (Upstream::start(), Upstream::start());
    for file in ["mirror.yaml", "canary.yaml"] {
        let nginx = Nginx::start_in(|folder, port| {
            fs::write(folder.join(".htpasswd"), "user:{PLAIN}secret\n").expect("a file can be written");
            write(folder, file, [port, free_port(), free_port()], (mimir.port(), envoy.port()));
        });
        let push = push_request(file, &samples(1).bytes).header("X-Forwarded-For", "198.51.100.7");
        assert_eq!(send(nginx.port(), &push.header("Authorization", PASSWORD)).status, 200, "{file}");
        let arrival = until_some("the push reaches Envoy", || envoy.requests_of(file).pop());
        let forwarded = arrival.headers.get("x-forwarded-for").map(Cow::into_owned);
        assert_eq!(forwarded.as_deref(), Some("198.51.100.7, 127.0.0.1"), "{file}");
    }
}
