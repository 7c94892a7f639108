//! The addresses of documents, of Mimir and of the feed, checked before anything is requested from them.
//!
//! No error repeats an address, which may hold a password.

use std::fmt;
use std::str::FromStr;

use http::Uri;
use http::uri::{Authority, Parts, PathAndQuery, Scheme};
use thiserror::Error;

/// Where a distributor serves its elections (Mimir `pkg/api/api.go`).
const HA_TRACKER_PATH: &str = "/distributor/ha_tracker";

/// Why a text is no address of a document or of Mimir.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum UrlError {
    /// It is no URL, or one of another scheme or without a host. The value is an example.
    #[error("it must begin with http:// or https:// and name a host, for example {0}")]
    NoHttpUrl(&'static str),
    /// It has a user or a password in it.
    #[error("credentials do not belong into the URL, which logs show; remove everything up to the @")]
    Credentials,
    /// It has a query or a fragment.
    #[error("the address takes no parameters; remove the ? or # and what follows it")]
    Parameters,
}

/// Reads an http or https URL with a host and without credentials. `example` is a good one, for the error.
fn parse_http(text: &str, example: &'static str) -> Result<Uri, UrlError> {
    let no_http_url = UrlError::NoHttpUrl(example);
    // `Uri` drops a fragment without an error; no server would see it.
    let before = text.split_once('#').map_or(text, |(before, _)| before);
    let uri: Uri = before.parse().map_err(|_| no_http_url)?;
    let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else { return Err(no_http_url) };
    if authority.as_str().contains('@') {
        return Err(UrlError::Credentials);
    }
    let port_is_good = authority.as_str().ends_with(authority.host()) || authority.port_u16().is_some();
    let is_http = *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS;
    if is_http && !authority.host().is_empty() && port_is_good { Ok(uri) } else { Err(no_http_url) }
}

/// Where a document is served. `Display` does not repeat a query, which may hold a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DocumentUrl(Uri);

impl DocumentUrl {
    pub(crate) const EXAMPLE: &str = "http://config.mimir:8080/runtime.yaml";

    /// Whether an element of a list is an address and no path: by the letters that Mimir goes by.
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
        parse_http(text, Self::EXAMPLE).map(Self)
    }
}

impl fmt::Display for DocumentUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        match text.split_once('?') {
            // Whether a document is compressed shows in the end of its name.
            Some((before, query)) => write!(formatter, "{before}?…{}", if query.ends_with(".gz") { ".gz" } else { "" }),
            None => formatter.write_str(&text),
        }
    }
}

/// Where a Mimir answers: without secrets and without parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MimirUrl(Uri);

impl MimirUrl {
    const EXAMPLE: &str = "http://mimir-distributor:8080";

    /// Reads an address; one without a path gets `default_path`.
    ///
    /// # Errors
    /// It is no http or https URL with a host, or it has credentials, a query or a fragment.
    pub fn parse(text: &str, default_path: &'static str) -> Result<Self, UrlError> {
        let mut parts = parse_http(text.split('?').next().unwrap_or_default(), Self::EXAMPLE)?.into_parts();
        if text.contains(['?', '#']) {
            return Err(UrlError::Parameters);
        }
        if parts.path_and_query.as_ref().is_none_or(|path| path.path() == "/") {
            parts.path_and_query = Some(PathAndQuery::from_static(default_path));
        }
        Uri::from_parts(parts).map(Self).map_err(|_| UrlError::NoHttpUrl(Self::EXAMPLE))
    }

    /// The address of a page below this one, such as `/config` with its parameters.
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

/// Where Mimir's HA tracker answers. Parsed from a URL; one without a path gets Mimir's own, `/distributor/ha_tracker`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HaTrackerUrl(MimirUrl);

impl HaTrackerUrl {
    pub(crate) fn uri(&self) -> &Uri {
        self.0.uri()
    }
}

impl FromStr for HaTrackerUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        MimirUrl::parse(text, HA_TRACKER_PATH).map(Self)
    }
}

impl fmt::Display for HaTrackerUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The most servers that are named; behind each name there can be several.
const MOST_URLS: usize = 16;
/// The longest text that is looked at.
const MOST_BYTES: usize = 4096;

/// The servers of one feed: `http://HOST:PORT[,http://HOST:PORT...]`. Each host stands for all of its addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedUrls {
    servers: Vec<Authority>,
}

/// Why a text names no feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FeedUrlsError {
    /// One of them is no URL, of another scheme, or without a host.
    #[error("each URL must begin with http:// and name a host and a port, for example http://overrides-sync:8083")]
    NoHttpUrl,
    /// One of them is https.
    #[error("the feed speaks plain http; write http:// instead of https://")]
    Https,
    /// One of them has no port.
    #[error("each URL needs the port of the feed, for example http://overrides-sync:8083")]
    NoPort,
    /// One of them has a user or a password in it.
    #[error("credentials do not belong into the URL, which logs show; remove everything up to the @")]
    Credentials,
    /// One of them goes on after the port.
    #[error("each URL ends with its port; remove the path, query or fragment behind it")]
    Path,
    /// There are too many.
    #[error(
        "there are more than {MOST_URLS} URLs or {MOST_BYTES} bytes; name a host that stands for several servers instead"
    )]
    TooMany,
}

impl FeedUrls {
    /// Host and port of each server, as they were written.
    pub(crate) fn servers(&self) -> &[Authority] {
        &self.servers
    }
}

impl FromStr for FeedUrls {
    type Err = FeedUrlsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > MOST_BYTES || text.split(',').count() > MOST_URLS {
            return Err(FeedUrlsError::TooMany);
        }
        let servers = text.split(',').map(|url| server(url.trim())).collect::<Result<_, _>>()?;
        Ok(Self { servers })
    }
}

fn server(url: &str) -> Result<Authority, FeedUrlsError> {
    if url.contains('@') {
        return Err(FeedUrlsError::Credentials);
    }
    // `Uri` drops a fragment without an error.
    let has_parameters = url.contains(['?', '#']);
    let Parts { scheme, authority: Some(authority), path_and_query, .. } =
        url.parse::<Uri>().map(Uri::into_parts).map_err(|_| FeedUrlsError::NoHttpUrl)?
    else {
        return Err(FeedUrlsError::NoHttpUrl);
    };
    if scheme == Some(Scheme::HTTPS) {
        return Err(FeedUrlsError::Https);
    }
    if scheme != Some(Scheme::HTTP) || authority.host().is_empty() {
        return Err(FeedUrlsError::NoHttpUrl);
    }
    if has_parameters || path_and_query.is_some_and(|path| path.as_str() != "/") {
        return Err(FeedUrlsError::Path);
    }
    if authority.port_u16().is_none_or(|port| port == 0) {
        return Err(FeedUrlsError::NoPort);
    }
    Ok(authority)
}

impl fmt::Display for FeedUrls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let urls: Vec<_> = self.servers.iter().map(|server| format!("http://{server}")).collect();
        formatter.write_str(&urls.join(","))
    }
}

#[cfg(test)]
mod tests;
