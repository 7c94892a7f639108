//! The pages on which a running Mimir shows its own configuration.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;
use tokio::time::{Instant, sleep};

use crate::mimir_url::MimirUrl;
use crate::web::{self, Bounds, WebClient, WebError};

/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest page that is read, in bytes: the overrides of many thousand tenants.
const MOST_BYTES: usize = 64 << 20;
/// How long to wait before a question is asked again.
const PAUSE: Duration = Duration::from_secs(1);

/// Why there is no page.
#[derive(Debug, Error)]
pub enum PageError {
    /// There are no certificates to ask an https address by.
    #[error(transparent)]
    Certificates(#[from] io::Error),
    /// There is no good answer: the address, and why not.
    #[error("{url}: {reason}")]
    NoAnswer {
        /// The address that was asked.
        url: MimirUrl,
        /// What is wrong, and where it can be told, how to mend it.
        reason: String,
    },
}

/// The body of a page, at most 64 MiB of it. An address that does not answer, or answers that it cannot now, is asked again each second until
/// `patience` is over; with none it is asked once.
///
/// # Errors
/// There is no answer with status 200 in that time, or one that is too large.
pub async fn fetch_page(url: &MimirUrl, patience: Duration) -> Result<Bytes, PageError> {
    let http = WebClient::new(web::system_tls(url.is_https())?, Bounds { timeout: TIMEOUT, bytes: MOST_BYTES });
    let end = Instant::now() + patience;
    loop {
        match http.get(url.uri(), "*/*").await {
            Ok((_, body)) => return Ok(body),
            Err(error) if error.may_pass() && Instant::now() + PAUSE < end => {
                tracing::warn!(%url, "Mimir is asked again in {PAUSE:?}: {error}");
                sleep(PAUSE).await;
            }
            Err(error) => return Err(PageError::NoAnswer { url: url.clone(), reason: reason(&error) }),
        }
    }
}

fn reason(error: &WebError) -> String {
    match error {
        WebError::Status(status) if status.as_u16() == 404 => {
            format!("{error}: name Mimir's own HTTP port, with its -server.path-prefix if it has one")
        }
        error => error.to_string(),
    }
}
