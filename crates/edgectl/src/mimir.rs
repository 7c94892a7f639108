//! A client of Mimir's HTTP API, or of a gateway in front of it. It follows no redirects, and neither errors nor `Debug` have secrets.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri};
use limits_source::{Bounds, ClientConfig, Identity, MimirUrl, WebClient, WebError, client_tls, system_tls};
use thiserror::Error;

use crate::args::{Credentials, MimirArgs};
use crate::edge_api::EdgeError;

/// The header with the tenant.
pub(crate) const TENANT: HeaderName = HeaderName::from_static("x-scope-orgid");
/// The largest response that is read, in bytes: the overrides of many thousand tenants.
const MAX_RESPONSE_BYTES: usize = 64 << 20;

/// Why Mimir gives no response.
#[derive(Debug, Error)]
pub(crate) enum MimirError {
    /// There is none.
    #[error("Mimir at {url}: {reason}")]
    NoResponse { url: MimirUrl, reason: WebError },
    /// The page is no path.
    #[error("{0} is no page of Mimir")]
    Page(String),
}

/// Mimir, asked as one tenant.
#[derive(Debug, Clone)]
pub(crate) struct MimirClient {
    url: MimirUrl,
    /// Sent with each request.
    headers: HeaderMap,
    web: Arc<WebClient>,
}

impl MimirClient {
    /// The Mimir that the flags or the variables name; `None` if they name none. Nothing is sent yet.
    ///
    /// # Errors
    /// A file of the flags cannot be used, or they contradict each other.
    pub(crate) fn new(args: &MimirArgs, timeout: Duration) -> Result<Option<Self>, EdgeError> {
        let Some(url) = args.url.clone() else { return Ok(None) };
        let uri = url.to_string().parse().map_err(|_| EdgeError::Unusable(format!("{url} is no address")))?;
        let web = WebClient::new(tls(&args.credentials, &uri)?, Bounds { timeout, bytes: MAX_RESPONSE_BYTES });
        let headers = headers(&args.credentials, args.tenant.as_ref())?;
        Ok(Some(Self { url, headers, web: Arc::new(web) }))
    }

    /// The address, without a secret.
    pub(crate) fn url(&self) -> &MimirUrl {
        &self.url
    }

    /// The response to a request for a page such as `/config`, whatever its status is.
    ///
    /// # Errors
    /// There is none.
    pub(crate) async fn get(&self, page: &str) -> Result<Response<Bytes>, MimirError> {
        self.send(Method::GET, page, HeaderMap::new(), Bytes::new()).await
    }

    /// The response to a request with a body, whatever its status is. Of the headers, `headers` win over those of the flags.
    ///
    /// # Errors
    /// There is none.
    pub(crate) async fn post(
        &self,
        page: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response<Bytes>, MimirError> {
        self.send(Method::POST, page, headers, body).await
    }

    async fn send(
        &self,
        method: Method,
        page: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response<Bytes>, MimirError> {
        let uri = self.url.page(page).ok().and_then(|url| url.to_string().parse::<Uri>().ok());
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = uri.ok_or_else(|| MimirError::Page(page.to_owned()))?;
        *request.headers_mut() = self.headers.clone();
        for (name, value) in &headers {
            request.headers_mut().insert(name, value.clone());
        }
        let response = self.web.send(request).await;
        response.map_err(|reason| MimirError::NoResponse { url: self.url.clone(), reason })
    }
}

/// The headers that the flags ask for: mimirtool's, in its order.
///
/// # Errors
/// The flags give two kinds of authentication, or the user or the tenant cannot be sent.
pub(crate) fn headers(credentials: &Credentials, tenant: Option<&HeaderValue>) -> Result<HeaderMap, EdgeError> {
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("edgectl/", env!("CARGO_PKG_VERSION"))));
    if let Some(authorization) = authorization(credentials, tenant)? {
        headers.insert(AUTHORIZATION, authorization);
    }
    for (name, value) in credentials.extra_headers.iter().flat_map(|headers| &headers.0) {
        headers.append(name.clone(), value.clone());
    }
    if let Some(tenant) = tenant {
        headers.insert(TENANT, tenant.clone());
    }
    Ok(headers)
}

/// The header for the credentials; the tenant is the user of a key without one.
///
/// # Errors
/// There are two kinds of credentials, or they cannot be sent.
pub(crate) fn authorization(
    credentials: &Credentials,
    tenant: Option<&HeaderValue>,
) -> Result<Option<HeaderValue>, EdgeError> {
    let Credentials { user, key, auth_token, .. } = credentials;
    let text = match (user, key, auth_token) {
        (None, None, None) => return Ok(None),
        (None, None, Some(token)) => format!("Bearer {}", token.reveal()),
        (_, _, Some(_)) => {
            return Err(EdgeError::Unusable(
                "give a user and a key (MIMIR_API_USER, MIMIR_API_KEY) or a token (MIMIR_AUTH_TOKEN), and not both"
                    .to_owned(),
            ));
        }
        (user, key, None) => {
            let tenant = || tenant.and_then(|tenant| tenant.to_str().ok());
            let user = user.as_deref().or_else(tenant).unwrap_or_default();
            let key = key.as_ref().map_or("", |key| key.reveal());
            format!("Basic {}", STANDARD.encode(format!("{user}:{key}")))
        }
    };
    let header = HeaderValue::from_str(&text);
    let mut header =
        header.map_err(|_| EdgeError::Unusable("the token of Mimir can't be sent in a header".to_owned()))?;
    header.set_sensitive(true);
    Ok(Some(header))
}

/// TLS by the files of the flags, or with the CAs of the system.
///
/// # Errors
/// A file cannot be used, or the address is https and the system has no CAs.
pub(crate) fn tls(credentials: &Credentials, uri: &Uri) -> Result<ClientConfig, EdgeError> {
    let Credentials { tls_ca, tls_cert, tls_key, .. } = credentials;
    if tls_ca.is_none() && tls_cert.is_none() {
        return system_tls(std::iter::once(uri)).map_err(|error| {
            EdgeError::Unusable(format!("{error}, or give Mimir's CA with --mimir-tls-ca or MIMIR_TLS_CA_PATH"))
        });
    }
    let identity = tls_cert
        .as_deref()
        .zip(tls_key.as_deref())
        .map(|(cert, key)| Identity { cert: ("--mimir-tls-cert", cert), key: ("--mimir-tls-key", key) });
    let ca = tls_ca.as_deref().map(|path| ("--mimir-tls-ca", path));
    client_tls(ca, identity).map_err(|error| EdgeError::Unusable(error.to_string()))
}

#[cfg(test)]
mod tests;
