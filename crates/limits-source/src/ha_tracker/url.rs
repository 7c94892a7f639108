//! The address of Mimir's HA tracker, checked before anything is asked of it.

use std::fmt;
use std::str::FromStr;

use http::Uri;
use http::uri::{Parts, PathAndQuery, Scheme};
use thiserror::Error;

/// Where a distributor serves its elections (Mimir `pkg/api/api.go`).
const PATH: PathAndQuery = PathAndQuery::from_static("/distributor/ha_tracker");

/// Where Mimir's HA tracker answers: `http` or `https`, with a host, without secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HaTrackerUrl {
    uri: Uri,
}

/// Why an address cannot be that of an HA tracker. No text repeats the address, which may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HaTrackerUrlError {
    /// It is no URL, or one of another scheme or without a host.
    #[error("it must begin with http:// or https:// and name a host, for example http://mimir-distributor:8080")]
    NoHttpUrl,
    /// It has a user or a password in it.
    #[error("credentials do not belong into the URL, which logs show; remove everything up to the @")]
    Credentials,
    /// It has a query or a fragment.
    #[error("Mimir's HA tracker takes no parameters; remove the ? or # and what follows it")]
    Parameters,
}

impl HaTrackerUrl {
    pub(super) fn uri(&self) -> &Uri {
        &self.uri
    }

    pub(super) fn is_https(&self) -> bool {
        self.uri.scheme() == Some(&Scheme::HTTPS)
    }
}

impl FromStr for HaTrackerUrl {
    type Err = HaTrackerUrlError;

    /// A URL without a path gets Mimir's own, `/distributor/ha_tracker`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // `Uri` drops a fragment without a word.
        let (before, parameters) = match text.find(['?', '#']) {
            Some(end) => (text.get(..end).unwrap_or_default(), true),
            None => (text, false),
        };
        let mut parts = before.parse::<Uri>().map(Uri::into_parts).map_err(|_| HaTrackerUrlError::NoHttpUrl)?;
        let Parts { scheme: Some(scheme), authority: Some(authority), path_and_query, .. } = &mut parts else {
            return Err(HaTrackerUrlError::NoHttpUrl);
        };
        if authority.as_str().contains('@') {
            return Err(HaTrackerUrlError::Credentials);
        }
        let port_is_good = authority.as_str().ends_with(authority.host()) || authority.port_u16().is_some();
        let is_http = *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS;
        if !is_http || authority.host().is_empty() || !port_is_good {
            return Err(HaTrackerUrlError::NoHttpUrl);
        }
        if parameters {
            return Err(HaTrackerUrlError::Parameters);
        }
        if path_and_query.as_ref().is_none_or(|path| path.path() == "/") {
            *path_and_query = Some(PATH);
        }
        Ok(Self { uri: Uri::from_parts(parts).map_err(|_| HaTrackerUrlError::NoHttpUrl)? })
    }
}

impl fmt::Display for HaTrackerUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.uri.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, HaTrackerUrlError>) {
        let read = text.parse::<HaTrackerUrl>().map(|url| url.to_string());
        assert_eq!(read.as_deref(), expected.as_ref().map(|url| *url), "{text}");
    }

    #[test]
    fn a_url_without_a_path_gets_mimirs() {
        check("http://mimir:8080", Ok("http://mimir:8080/distributor/ha_tracker"));
        check("http://mimir:8080/", Ok("http://mimir:8080/distributor/ha_tracker"));
        check("https://[::1]:443", Ok("https://[::1]:443/distributor/ha_tracker"));
        check("HTTP://mimir", Ok("http://mimir/distributor/ha_tracker"));
        check("https://gateway/mimir/ha", Ok("https://gateway/mimir/ha"));
    }

    #[test]
    fn what_is_no_http_url_with_a_host_is_refused() {
        let bad = ["", "mimir", "mimir:8080", "/distributor", "ftp://mimir", "http://", "http:///x", "http://:80", "é"];
        for text in bad.into_iter().chain(["http://mimir:99999", "http://mimir:", "http://mi mir", "http//mimir"]) {
            check(text, Err(HaTrackerUrlError::NoHttpUrl));
        }
    }

    #[test]
    fn secrets_and_parameters_are_refused_and_not_repeated() {
        for text in ["http://me:secret@mimir", "https://secret@mimir/x", "http://me:secret@mimir?x", "http://@mimir"] {
            check(text, Err(HaTrackerUrlError::Credentials));
        }
        for text in ["http://mimir?token=secret", "http://mimir/x?", "http://mimir/x#secret", "http://mimir#a?b"] {
            check(text, Err(HaTrackerUrlError::Parameters));
        }
    }
}
