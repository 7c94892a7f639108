//! Pushes to the front door, and who answered them.

use std::fmt;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use limits_source::{Bounds, WebClient};
use remote_write::Protocol;
use remote_write::encode::{self, Series, encode_push};

use crate::args::{FlowTestArgs, MimirArgs};
use crate::edge_api::EdgeError;
use crate::load::Url;
use crate::mimir::{self, TENANT};

/// The edge adds it to its own answers.
const EDGE_REASON: &str = "x-mimir-edge-reason";
const REMOTE_WRITE_VERSION: HeaderName = HeaderName::from_static("x-prometheus-remote-write-version");
/// More than any answer to a push.
const MAX_RESPONSE_BYTES: usize = 1 << 20;
/// The part of an answer's text that is shown.
const SHOWN_CHARACTERS: usize = 300;

/// Who answered a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    Edge,
    /// Mimir, or the front door itself.
    Mimir,
}

/// An answer to a push.
#[derive(Debug, Clone)]
pub(super) struct Answered {
    pub(super) status: StatusCode,
    pub(super) by: By,
    /// The reason of the edge, or nothing.
    reason: String,
    pub(super) text: String,
}

impl Answered {
    fn new(response: &Response<Bytes>) -> Self {
        let reason = response.headers().get(EDGE_REASON).map(|reason| String::from_utf8_lossy(reason.as_bytes()));
        Self {
            status: response.status(),
            by: if reason.is_some() { By::Edge } else { By::Mimir },
            reason: reason.unwrap_or_default().into_owned(),
            text: String::from_utf8_lossy(response.body()).trim().to_owned(),
        }
    }

    /// What to do about a refusal that was not expected.
    pub(super) fn hint(&self) -> String {
        match (self.status.as_u16(), self.by) {
            (401 | 403, _) => "give credentials (MIMIR_API_USER, MIMIR_API_KEY or MIMIR_AUTH_TOKEN)".to_owned(),
            (404, _) => "the path of --url must be the one to which clients push, usually /api/v1/push".to_owned(),
            (502..=504, By::Mimir) => "the front door does not reach what is behind it: look at its log".to_owned(),
            (_, By::Edge) => {
                format!(
                    "docs/decisions.md explains the reason {}; edgectl explain says more of the tenant",
                    self.reason
                )
            }
            _ => "docs/troubleshooting.md explains the answers to a push".to_owned(),
        }
    }
}

impl fmt::Display for Answered {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.status.as_u16())?;
        match (self.by, self.status.is_success()) {
            (By::Edge, _) => write!(formatter, " by the edge ({})", self.reason)?,
            (By::Mimir, false) => write!(formatter, ", not by the edge")?,
            (By::Mimir, true) => {}
        }
        let text: String = self.text.chars().take(SHOWN_CHARACTERS).collect();
        if text.is_empty() { Ok(()) } else { write!(formatter, ": {text}") }
    }
}

/// Where clients push.
pub(super) struct FrontDoor {
    web: WebClient,
    url: Url,
    headers: HeaderMap,
}

impl FrontDoor {
    /// # Errors
    /// The credentials cannot be used.
    pub(super) fn new(args: &FlowTestArgs, mimir: &MimirArgs) -> Result<Self, EdgeError> {
        let tls = mimir::tls(&mimir.credentials, &args.url.uri)?;
        let mut headers = mimir::headers(&mimir.credentials, Some(&args.tenant))?;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(encode::content_type_header(Protocol::V1)));
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encode::CONTENT_ENCODING));
        headers.insert(REMOTE_WRITE_VERSION, HeaderValue::from_static(encode::version_header(Protocol::V1)));
        let bounds = Bounds { timeout: args.api.timeout, bytes: MAX_RESPONSE_BYTES };
        Ok(Self { web: WebClient::new(tls, bounds), url: args.url.clone(), headers })
    }

    /// Pushes series.
    ///
    /// # Errors
    /// There is no answer, and why.
    pub(super) async fn push(&self, tenant: &HeaderValue, series: &[Series]) -> Result<Answered, String> {
        let body = encode_push(Protocol::V1, series, &[]).map_err(|error| error.to_string())?;
        self.push_body(tenant, body.into()).await
    }

    /// Pushes a body.
    ///
    /// # Errors
    /// There is no answer, and why.
    pub(super) async fn push_body(&self, tenant: &HeaderValue, body: Bytes) -> Result<Answered, String> {
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.url.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request.headers_mut().insert(TENANT, tenant.clone());
        match self.web.send(request).await {
            Ok(response) => Ok(Answered::new(&response)),
            Err(error) => Err(format!("{}: {error}", self.url)),
        }
    }
}
