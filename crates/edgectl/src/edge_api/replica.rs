//! One replica of mimir-rls.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, USER_AGENT};
use http::uri::Scheme;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri};
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

    /// The URL of a path.
    pub(crate) fn uri(&self, path: &str) -> Option<Uri> {
        self.address.at(path).ok()
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

    /// Asks for a page of text, such as `/metrics`.
    ///
    /// # Errors
    /// There is no answer, or it has no status of success.
    pub(crate) async fn text(&self, path: &str) -> Result<String, ApiError> {
        let response = self.response(Method::GET, path, HeaderMap::new(), Bytes::new()).await?;
        Ok(String::from_utf8_lossy(good(&response)?).into_owned())
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
        read(&self.response(method, path, headers, body).await?)
    }

    /// The response, whatever its status is.
    ///
    /// # Errors
    /// There is none.
    pub(crate) async fn response(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response<Bytes>, ApiError> {
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
        Ok(self.client.send(request).await?)
    }
}

fn read<T: DeserializeOwned>(response: &Response<Bytes>) -> Result<T, ApiError> {
    serde_json::from_slice(good(response)?).map_err(|error| ApiError::Content(error.to_string()))
}

/// The body of a response with a status of success.
fn good(response: &Response<Bytes>) -> Result<&Bytes, ApiError> {
    let (status, body) = (response.status(), response.body());
    if !status.is_success() {
        let error = match serde_json::from_slice(body) {
            Ok(ErrorBody { error }) => error,
            Err(_) => quoted(body),
        };
        return Err(ApiError::Status { status, error });
    }
    Ok(body)
}

/// The beginning of a text on one line.
fn quoted(body: &[u8]) -> String {
    let begin = body.get(..QUOTED_BYTES).unwrap_or(body);
    String::from_utf8_lossy(begin).split_whitespace().collect::<Vec<_>>().join(" ")
}
