//! The HTTP side of mimir-rls and overrides-sync: plain, or over TLS with a token.

use std::io;

use crate::http1::{Connection, Request, Response, TlsConnection};
use crate::metrics::value_of;
use crate::tls_client::TlsClient;

/// How to reach an HTTP side that has TLS and a token.
#[derive(Clone, Debug)]
pub struct Https {
    /// Whom to trust.
    pub client: TlsClient,
    /// The token.
    pub token: String,
}

/// Where an HTTP side is. Each request has a connection of its own.
#[derive(Clone, Debug)]
pub(crate) struct HttpSide {
    port: u16,
    https: Option<Https>,
}

impl HttpSide {
    pub(crate) fn new(port: u16, https: Option<Https>) -> Self {
        Self { port, https }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Sends a request as it is.
    #[track_caller]
    pub(crate) fn send(&self, request: &Request) -> Response {
        self.try_send(request).unwrap_or_else(|error| panic!("no answer from port {}: {error}", self.port))
    }

    /// Reads a page, with the token if there is one.
    #[track_caller]
    pub(crate) fn get(&self, target: &str) -> Response {
        let request = Request::new("GET", target);
        self.send(&match &self.https {
            Some(Https { token, .. }) => request.header("Authorization", format!("Bearer {token}")),
            None => request,
        })
    }

    /// The status of a page that needs no token, or `None` without an answer.
    pub(crate) fn status(&self, path: &str) -> Option<u16> {
        self.try_send(&Request::new("GET", path)).ok().map(|response| response.status)
    }

    #[track_caller]
    pub(crate) fn metric(&self, series: &str) -> Option<f64> {
        value_of(&self.get("/metrics").text(), series)
    }

    fn try_send(&self, request: &Request) -> io::Result<Response> {
        match &self.https {
            Some(Https { client, .. }) => TlsConnection::open(self.port, client)?.send(request),
            None => Connection::open(self.port)?.send(request),
        }
    }
}
