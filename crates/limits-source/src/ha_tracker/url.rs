//! The address of Mimir's HA tracker, checked before anything is asked of it.

use std::fmt;
use std::str::FromStr;

use http::Uri;

use crate::mimir_url::{MimirUrl, MimirUrlError};

/// Where a distributor serves its elections (Mimir `pkg/api/api.go`).
const PATH: &str = "/distributor/ha_tracker";

/// Where Mimir's HA tracker answers: `http` or `https`, with a host, without secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HaTrackerUrl(MimirUrl);

impl HaTrackerUrl {
    pub(super) fn uri(&self) -> &Uri {
        self.0.uri()
    }

    pub(super) fn is_https(&self) -> bool {
        self.0.is_https()
    }
}

impl FromStr for HaTrackerUrl {
    type Err = MimirUrlError;

    /// A URL without a path gets Mimir's own, `/distributor/ha_tracker`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        MimirUrl::parse(text, PATH).map(Self)
    }
}

impl fmt::Display for HaTrackerUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, MimirUrlError>) {
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
            check(text, Err(MimirUrlError::NoHttpUrl));
        }
    }

    #[test]
    fn secrets_and_parameters_are_refused_and_not_repeated() {
        for text in ["http://me:secret@mimir", "https://secret@mimir/x", "http://me:secret@mimir?x", "http://@mimir"] {
            check(text, Err(MimirUrlError::Credentials));
        }
        for text in ["http://mimir?token=secret", "http://mimir/x?", "http://mimir/x#secret", "http://mimir#a?b"] {
            check(text, Err(MimirUrlError::Parameters));
        }
    }
}
