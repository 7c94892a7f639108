//! A proxy that splits pushes between Mimir and the edge.

use std::borrow::Cow;

use super::ProxyBackends;
use crate::http1::{Connection, Request};
use crate::push::{push_request, samples};
use crate::upstream::Upstream;

const TRAFFIC: &str = "x-mimir-edge-traffic";

/// A proxy between two upstreams, of which one is in place of Mimir and one in place of the edge.
#[derive(Debug)]
pub struct ProxySplit<P> {
    /// The proxy.
    pub proxy: P,
    /// In place of Mimir.
    pub mimir: Upstream,
    /// In place of the edge.
    pub edge: Upstream,
    port: u16,
}

impl<P> ProxySplit<P> {
    /// Starts the upstreams, and the proxy with `start`; `port` says where it listens.
    #[must_use]
    pub fn start(start: impl FnOnce(ProxyBackends) -> P, port: impl FnOnce(&P) -> u16) -> Self {
        let (mimir, edge) = (Upstream::start(), Upstream::start());
        let proxy = start(ProxyBackends::new(mimir.port(), edge.port()));
        let port = port(&proxy);
        Self { proxy, mimir, edge, port }
    }

    /// Sends these on one connection.
    ///
    /// # Panics
    /// When one has another response than 200.
    #[track_caller]
    pub fn send_all(&self, requests: impl Iterator<Item = Request>) {
        let mut connection = Connection::open(self.port).expect("the proxy listens");
        for request in requests {
            assert_eq!(connection.send(&request).expect("a push is answered").status, 200);
        }
    }

    /// The tenants of the pushes that went through the edge, as the clients spelled them. Health checks have none.
    #[must_use]
    pub fn tenants_at_edge(&self) -> Vec<String> {
        let requests = self.edge.requests();
        requests.iter().filter_map(|push| push.headers.get("x-scope-orgid")).map(Cow::into_owned).collect()
    }

    /// Checks that pushes go through the edge, each marked as live once, and that all other requests go straight to Mimir. The proxy sends all
    /// pushes through the edge.
    ///
    /// # Panics
    /// When it is not so.
    #[track_caller]
    pub fn check_only_pushes_reach_the_edge(&self) {
        let others = ["/prometheus/api/v1/query?query=up", "/api/v1/push/influx/write", "/otlp/v1/metrics", "/"];
        let others = others.map(|target| Request::new("POST", target).body(b"x"));
        let of_team = others.clone().map(|request| request.header("X-Scope-OrgID", "team"));
        self.send_all(others.into_iter().chain(of_team));
        let push = push_request("team", &samples(1).bytes);
        self.send_all([push.header(TRAFFIC, "mirror").header(TRAFFIC, "mirror")].into_iter());
        assert_eq!(self.mimir.requests().len(), 8);
        let pushes = self.edge.requests();
        let marks: Vec<&[u8]> = pushes.iter().flat_map(|push| push.headers.all(TRAFFIC)).collect();
        assert_eq!(marks, [b"live"]);
    }
}
