//! One replica of mimir-rls.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, USER_AGENT};
use http::uri::Scheme;
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use limits_source::WebClient;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::address::Address;
use super::error::ApiError;

/// The most bytes of an unexpected response that an error repeats.
const QUOTED_BYTES: usize = 200;

/// Where a replica is, and how to ask it.
pub(crate) struct Replica {
    name: String,
    address: Address,
    client: Arc<WebClient>,
    authorization: Option<HeaderValue>,
}

/// The body of an error response.
#[derive(Deserialize)]
struct ErrorBody {
    error: String,
}

impl Replica {
    pub(super) fn new(
        name: String,
        address: Address,
        client: Arc<WebClient>,
        authorization: Option<HeaderValue>,
    ) -> Self {
        Self { name, address, client, authorization }
    }

    /// How results and errors call it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn is_https(&self) -> bool {
        self.address.uri().scheme() == Some(&Scheme::HTTPS)
    }

    pub(super) fn has_token(&self) -> bool {
        self.authorization.is_some()
    }

    /// Asks for a page, such as `/api/v1/tenants?limit=10`.
    ///
    /// # Errors
    /// There is no good answer.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ApiError> {
        self.send(Method::GET, path, HeaderMap::new(), Bytes::new()).await
    }

    /// Posts a body with these headers.
    ///
    /// # Errors
    /// There is no good answer.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<T, ApiError> {
        self.send(Method::POST, path, headers, body).await
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<T, ApiError> {
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = self.address.at(path).map_err(|error| ApiError::Content(error.to_string()))?;
        *request.headers_mut() = headers;
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("edgectl/", env!("CARGO_PKG_VERSION"))));
        if let Some(authorization) = &self.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        read(&self.client.send(request).await?)
    }
}

fn read<T: DeserializeOwned>(response: &Response<Bytes>) -> Result<T, ApiError> {
    let (status, body) = (response.status(), response.body());
    if !status.is_success() {
        let error = match serde_json::from_slice(body) {
            Ok(ErrorBody { error }) => error,
            Err(_) => quoted(body),
        };
        return Err(ApiError::Status { status, error });
    }
    serde_json::from_slice(body).map_err(|error| ApiError::Content(error.to_string()))
}

/// The beginning of a text on one line.
fn quoted(body: &[u8]) -> String {
    let begin = body.get(..QUOTED_BYTES).unwrap_or(body);
    String::from_utf8_lossy(begin).split_whitespace().collect::<Vec<_>>().join(" ")
}
