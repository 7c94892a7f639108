//! The HTTP client of OTLP over HTTP: that of the sources of limits.

use bytes::Bytes;
use http::{Request, Response, Uri};
use limits_source::{Bounds, WebClient, system_tls};
use opentelemetry_http::{HttpClient, HttpError};
use std::time::Duration;

/// The longest answer that is read; a good one is empty.
const MAX_ANSWER_BYTES: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct Web(WebClient);

impl Web {
    pub(super) fn new(endpoint: &Uri, timeout: Duration) -> std::io::Result<Self> {
        let tls = system_tls(std::iter::once(endpoint))?;
        Ok(Self(WebClient::new(tls, Bounds { timeout, bytes: MAX_ANSWER_BYTES })))
    }
}

#[tonic::async_trait]
impl HttpClient for Web {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        Ok(self.0.send(request).await?)
    }
}
