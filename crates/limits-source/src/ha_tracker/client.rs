//! One question to Mimir's HA tracker, on a connection that is kept.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use tokio_rustls::rustls::ClientConfig;

use super::HaTrackerUrl;
use crate::web::{self, Bounds, WebClient, WebError};

/// The longest answer that is read, in bytes: 200,000 pairs and more.
pub(super) const MAX_ANSWER_BYTES: usize = 64 << 20;

/// Why there is no list, and what can be done about it.
#[derive(Debug, thiserror::Error)]
pub(super) enum PollError {
    #[error(transparent)]
    Web(WebError),
    #[error("it answered {0}: its HA tracker is off (-distributor.ha-tracker.enable), or the path is another one")]
    NotFound(StatusCode),
    #[error(
        "its answer is no list of elected replicas: {0}; the URL has to be that of a distributor's ha_tracker page"
    )]
    Unreadable(String),
    #[error("its answer could not be looked at")]
    Interrupted,
}

impl From<WebError> for PollError {
    fn from(error: WebError) -> Self {
        match error {
            WebError::Status(status @ StatusCode::NOT_FOUND) => Self::NotFound(status),
            other => Self::Web(other),
        }
    }
}

/// Asks one address.
#[derive(Debug)]
pub(super) struct Client {
    web: WebClient,
    url: HaTrackerUrl,
}

impl Client {
    /// Reads the system's root certificates if the URL is https.
    pub(super) fn new(url: HaTrackerUrl, timeout: Duration) -> io::Result<Self> {
        let tls = web::system_tls(url.is_https())?;
        Ok(Self::with_tls(url, timeout, tls))
    }

    pub(super) fn with_tls(url: HaTrackerUrl, timeout: Duration, tls: ClientConfig) -> Self {
        Self { web: WebClient::new(tls, Bounds { timeout, bytes: MAX_ANSWER_BYTES }), url }
    }

    pub(super) fn url(&self) -> &HaTrackerUrl {
        &self.url
    }

    /// The text of a good answer.
    pub(super) async fn ask(&self) -> Result<Bytes, PollError> {
        match self.web.get(self.url.uri(), "application/json").await? {
            (StatusCode::OK, body) => Ok(body),
            (status, _) => Err(PollError::Web(WebError::Status(status))),
        }
    }
}
