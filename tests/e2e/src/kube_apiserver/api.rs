//! Requests to an API server, without the time that a run of kubectl takes.

use serde_json::Value;
use tokio_rustls::rustls::pki_types::CertificateDer;

use crate::http1::{Request, Response, TlsConnection};
use crate::tls_client::TlsClient;

/// A kept-alive connection as one user.
#[derive(Debug)]
pub struct Api {
    connection: TlsConnection,
    authorization: String,
}

impl Api {
    pub(super) fn open(port: u16, authority: &CertificateDer<'static>, token: &str) -> std::io::Result<Self> {
        let connection = TlsConnection::open(port, &TlsClient::new([authority], None))?;
        Ok(Self { connection, authorization: format!("Bearer {token}") })
    }

    /// Reads an object or a list, or the JSON lines of a watch that ends by itself (`timeoutSeconds`).
    ///
    /// # Panics
    /// When there is no answer.
    #[track_caller]
    pub fn get(&mut self, path: &str) -> Response {
        self.send(&Request::new("GET", path))
    }

    /// Creates an object.
    ///
    /// # Panics
    /// When there is no answer.
    #[track_caller]
    pub fn post(&mut self, path: &str, object: &Value) -> Response {
        self.write("POST", path, "application/json", object)
    }

    /// Replaces an object.
    ///
    /// # Panics
    /// When there is no answer.
    #[track_caller]
    pub fn put(&mut self, path: &str, object: &Value) -> Response {
        self.write("PUT", path, "application/json", object)
    }

    /// Merges into an object; null takes a field away.
    ///
    /// # Panics
    /// When there is no answer.
    #[track_caller]
    pub fn patch(&mut self, path: &str, change: &Value) -> Response {
        self.write("PATCH", path, "application/merge-patch+json", change)
    }

    /// Deletes an object.
    ///
    /// # Panics
    /// When there is no answer.
    #[track_caller]
    pub fn delete(&mut self, path: &str) -> Response {
        self.send(&Request::new("DELETE", path))
    }

    /// The status of the answer, or `None` without one.
    pub(super) fn status(&mut self, path: &str) -> Option<u16> {
        let request = self.authorized(&Request::new("GET", path));
        self.connection.send(&request).ok().map(|response| response.status)
    }

    #[track_caller]
    fn write(&mut self, method: &str, path: &str, media: &str, object: &Value) -> Response {
        let request = Request::new(method, path).header("Content-Type", media);
        self.send(&request.body(object.to_string().as_bytes()))
    }

    #[track_caller]
    fn send(&mut self, request: &Request) -> Response {
        let request = self.authorized(request);
        self.connection
            .send(&request)
            .unwrap_or_else(|error| panic!("no answer from the API server: {error}\n{request}"))
    }

    fn authorized(&self, request: &Request) -> Request {
        request.clone().header("Authorization", &self.authorization).header("Accept", "application/json")
    }
}
