//! One question to Mimir's HA tracker.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;

use super::HaTrackerUrl;
use crate::http_get::{GetError, HttpGet};

#[cfg(test)]
pub(super) use crate::http_get::tls_config;

/// Why there is no list, and what can be done about it.
#[derive(Debug, thiserror::Error)]
pub(super) enum PollError {
    #[error(transparent)]
    NoAnswer(GetError),
    #[error("it answered {0}: its HA tracker is off (-distributor.ha-tracker.enable), or the path is another one")]
    NotFound(StatusCode),
    #[error(
        "its answer is no list of elected replicas: {0}; the URL has to be that of a distributor's ha_tracker page"
    )]
    Unreadable(String),
    #[error("its answer could not be looked at")]
    Interrupted,
}

/// Asks one address.
#[derive(Debug)]
pub(super) struct Client {
    http: HttpGet,
    url: HaTrackerUrl,
}

impl Client {
    /// Reads the system's root certificates if the URL is https.
    pub(super) fn new(url: HaTrackerUrl, timeout: Duration) -> io::Result<Self> {
        Ok(Self { http: HttpGet::new(url.is_https(), timeout)?, url })
    }

    /// With certificates that a test brings.
    #[cfg(test)]
    pub(super) fn with_tls(url: HaTrackerUrl, timeout: Duration, tls: tokio_rustls::rustls::ClientConfig) -> Self {
        Self { http: HttpGet::with_tls(timeout, tls), url }
    }

    pub(super) fn url(&self) -> &HaTrackerUrl {
        &self.url
    }

    /// The text of a good answer.
    pub(super) async fn ask(&self) -> Result<Bytes, PollError> {
        self.http.get(self.url.uri(), "application/json").await.map_err(|error| match error {
            GetError::Status(status @ StatusCode::NOT_FOUND) => PollError::NotFound(status),
            error => PollError::NoAnswer(error),
        })
    }
}
