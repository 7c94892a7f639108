//! The URLs of documents, of Mimir, of the feed and of a push, checked before the first request.
//!
//! No error contains the URL, which may contain a password.

use std::fmt;
use std::str::FromStr;

use http::Uri;
use http::uri::{Authority, InvalidUri, Parts, PathAndQuery, Scheme};
use thiserror::Error;

use crate::{FeedTlsError, FeedTlsFiles};

/// The page of a distributor's HA tracker (Mimir `pkg/api/api.go`).
const HA_TRACKER_PATH: &str = "/distributor/ha_tracker";

/// Why the URL of a document or of Mimir is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum UrlError {
    /// It is no URL, has another scheme, or has no host. The value is an example.
    #[error("it must begin with http:// or https:// and name a host, for example {0}")]
    NoHttpUrl(&'static str),
    /// It contains a user or a password.
    #[error("credentials in the URL would be in logs; remove everything up to the @")]
    Credentials,
    /// It has a query or a fragment.
    #[error("the address takes no parameters; remove the ? or # and what follows it")]
    Parameters,
}

/// Why a text is no http or https URL with a host.
#[derive(Debug, Error)]
pub enum HttpUrlError {
    /// It has another scheme, or none.
    #[error("must begin with http:// or https://")]
    Scheme,
    /// It is no URL.
    #[error("{0}")]
    Invalid(InvalidUri),
    /// It has no host.
    #[error("has no host")]
    NoHost,
    /// It contains a user or a password.
    #[error("must not contain a user or a password")]
    Credentials,
    /// What follows the host.
    #[error("{0:?} is no port")]
    Port(String),
}

impl HttpUrlError {
    /// The error of another kind of URL, of which `example` is a valid one.
    fn with_example(&self, example: &'static str) -> UrlError {
        match self {
            Self::Credentials => UrlError::Credentials,
            _ => UrlError::NoHttpUrl(example),
        }
    }
}

/// Parses an http or https URL with a host and without credentials, without a DNS lookup. A fragment is dropped.
///
/// # Errors
/// It is none.
pub fn parse_http_url(text: &str) -> Result<Uri, HttpUrlError> {
    let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    if !matches!(scheme.as_deref(), Some("http" | "https")) {
        return Err(HttpUrlError::Scheme);
    }
    let before = text.split_once('#').map_or(text, |(before, _)| before);
    let uri: Uri = before.parse().map_err(HttpUrlError::Invalid)?;
    let authority = uri.authority().ok_or(HttpUrlError::NoHost)?;
    if authority.as_str().contains('@') {
        return Err(HttpUrlError::Credentials);
    }
    if authority.host().is_empty() {
        return Err(HttpUrlError::NoHost);
    }
    let port = authority.as_str().rsplit_once(':').filter(|(_, after)| !after.contains(']'));
    match port {
        Some((_, port)) if authority.port_u16().is_none() => Err(HttpUrlError::Port(port.to_owned())),
        _ => Ok(uri),
    }
}

/// The URL of a document. `Display` omits the query, which may contain a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DocumentUrl(Uri);

impl DocumentUrl {
    pub(crate) const EXAMPLE: &str = "http://config.mimir:8080/runtime.yaml";

    /// Whether an element of a list is a URL and no path, by Mimir's rule.
    pub(crate) fn is_meant_by(text: &str) -> bool {
        text.starts_with("http://") || text.starts_with("https://")
    }

    pub(crate) fn uri(&self) -> &Uri {
        &self.0
    }
}

impl FromStr for DocumentUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_http_url(text).map(Self).map_err(|error| error.with_example(Self::EXAMPLE))
    }
}

impl fmt::Display for DocumentUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        match text.split_once('?') {
            // The end of the name tells whether a document is compressed.
            Some((before, query)) => write!(formatter, "{before}?…{}", if query.ends_with(".gz") { ".gz" } else { "" }),
            None => formatter.write_str(&text),
        }
    }
}

/// The URL of a Mimir, without credentials and parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MimirUrl(Uri);

impl MimirUrl {
    const EXAMPLE: &str = "http://mimir-distributor:8080";

    /// Parses a URL; one without a path gets `default_path`.
    ///
    /// # Errors
    /// It is no http or https URL with a host, or it has credentials, a query or a fragment.
    pub fn parse(text: &str, default_path: &'static str) -> Result<Self, UrlError> {
        let uri = parse_http_url(text.split('?').next().unwrap_or_default());
        let mut parts = uri.map_err(|error| error.with_example(Self::EXAMPLE))?.into_parts();
        if text.contains(['?', '#']) {
            return Err(UrlError::Parameters);
        }
        if parts.path_and_query.as_ref().is_none_or(|path| path.path() == "/") {
            parts.path_and_query = Some(PathAndQuery::from_static(default_path));
        }
        Uri::from_parts(parts).map(Self).map_err(|_| UrlError::NoHttpUrl(Self::EXAMPLE))
    }

    /// Parses the URL of Mimir's HA tracker; one without a path gets `/distributor/ha_tracker`.
    ///
    /// # Errors
    /// As [`MimirUrl::parse`].
    pub fn of_ha_tracker(text: &str) -> Result<Self, UrlError> {
        Self::parse(text, HA_TRACKER_PATH)
    }

    /// The URL of a page below this one, such as `/config` with its parameters.
    ///
    /// # Errors
    /// The page is no path.
    pub fn page(&self, page: &str) -> Result<Self, UrlError> {
        let page = format!("{}{page}", self.0.to_string().trim_end_matches('/'));
        page.parse().map(Self).map_err(|_| UrlError::NoHttpUrl(Self::EXAMPLE))
    }

    pub(crate) fn uri(&self) -> &Uri {
        &self.0
    }
}

impl fmt::Display for MimirUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The most URLs of a feed; each host can resolve to several servers.
const MAX_URLS: usize = 16;
/// The longest list of URLs.
const MAX_URLS_BYTES: usize = 4096;

/// The servers of a feed: `http://HOST:PORT[,https://HOST:PORT...]`. Each host stands for all of its addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedUrls {
    servers: Vec<FeedServer>,
    tls: FeedTlsFiles,
}

/// One URL of a feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FeedServer {
    pub(crate) name: Authority,
    pub(crate) is_https: bool,
}

/// Why the URLs of a feed are invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FeedUrlsError {
    /// One of them is no URL, has another scheme, or has no host.
    #[error(
        "each URL must begin with http:// or https:// and name a host and a port, for example http://overrides-sync:8083"
    )]
    NoHttpUrl,
    /// One of them has no port.
    #[error("each URL needs the port of the feed, for example http://overrides-sync:8083")]
    NoPort,
    /// One of them contains a user or a password.
    #[error("credentials in the URL would be in logs; remove everything up to the @")]
    Credentials,
    /// One of them has a path, a query or a fragment.
    #[error("each URL ends with its port; remove the path, query or fragment behind it")]
    Path,
    /// There are too many.
    #[error(
        "there are more than {MAX_URLS} URLs or {MAX_URLS_BYTES} bytes; name a host that stands for several servers instead"
    )]
    TooMany,
}

impl FeedUrls {
    /// Host, port and scheme of each URL.
    pub(crate) fn servers(&self) -> &[FeedServer] {
        &self.servers
    }

    /// The files of TLS, for the servers with https.
    pub(crate) fn tls(&self) -> &FeedTlsFiles {
        &self.tls
    }

    /// Uses these files for the servers with https.
    ///
    /// # Errors
    /// They cannot be used, or there are some and no server has https.
    pub fn use_tls(&mut self, files: FeedTlsFiles) -> Result<(), FeedTlsError> {
        if self.servers.iter().any(|server| server.is_https) {
            files.config()?;
        } else if let Some((flag, _)) = files.files().next() {
            return Err(FeedTlsError::NoHttps(flag));
        }
        self.tls = files;
        Ok(())
    }
}

impl FromStr for FeedUrls {
    type Err = FeedUrlsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > MAX_URLS_BYTES || text.split(',').count() > MAX_URLS {
            return Err(FeedUrlsError::TooMany);
        }
        let servers = text.split(',').map(|url| server(url.trim())).collect::<Result<_, _>>()?;
        Ok(Self { servers, tls: FeedTlsFiles::default() })
    }
}

fn server(url: &str) -> Result<FeedServer, FeedUrlsError> {
    if url.contains('@') {
        return Err(FeedUrlsError::Credentials);
    }
    let uri = parse_http_url(url).map_err(|error| match error {
        HttpUrlError::Port(_) => FeedUrlsError::NoPort,
        HttpUrlError::Credentials => FeedUrlsError::Credentials,
        HttpUrlError::Scheme | HttpUrlError::Invalid(_) | HttpUrlError::NoHost => FeedUrlsError::NoHttpUrl,
    })?;
    let Parts { scheme, authority: Some(authority), path_and_query, .. } = uri.into_parts() else {
        return Err(FeedUrlsError::NoHttpUrl);
    };
    if url.contains(['?', '#']) || path_and_query.is_some_and(|path| path.as_str() != "/") {
        return Err(FeedUrlsError::Path);
    }
    if authority.port_u16().is_none_or(|port| port == 0) {
        return Err(FeedUrlsError::NoPort);
    }
    Ok(FeedServer { name: authority, is_https: scheme == Some(Scheme::HTTPS) })
}

impl fmt::Display for FeedServer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}", if self.is_https { "https" } else { "http" }, self.name)
    }
}

impl fmt::Display for FeedUrls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let urls: Vec<_> = self.servers.iter().map(ToString::to_string).collect();
        formatter.write_str(&urls.join(","))
    }
}

#[cfg(test)]
mod tests;
