//! The addresses of the servers of the feed, checked before anything is asked of them.

use std::fmt;
use std::str::FromStr;

use http::uri::{Authority, Scheme};
use http::{Uri, uri};
use thiserror::Error;

/// The most servers that are named; behind each name there can be several.
const MOST_URLS: usize = 16;
/// The longest text that is looked at.
const MOST_BYTES: usize = 4096;

/// The servers of one feed: `http://HOST:PORT[,http://HOST:PORT...]`. Each host stands for all of its addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedUrls {
    servers: Vec<Authority>,
}

/// Why a text names no feed. No text repeats the URL, which may hold a password.
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
    pub(super) fn servers(&self) -> &[Authority] {
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
    // `Uri` drops a fragment without a word.
    let has_parameters = url.contains(['?', '#']);
    let uri::Parts { scheme, authority: Some(authority), path_and_query, .. } =
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
        for (place, server) in self.servers.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(formatter, "{comma}http://{server}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, FeedUrlsError>) {
        let read = text.parse::<FeedUrls>().map(|urls| urls.to_string());
        assert_eq!(read.as_deref(), expected.as_ref().map(|urls| *urls), "{text}");
    }

    #[test]
    fn one_or_several_servers_are_named() {
        check("http://overrides-sync:8083", Ok("http://overrides-sync:8083"));
        check("http://a:1/,http://b.ns.svc:2", Ok("http://a:1,http://b.ns.svc:2"));
        check("http://127.0.0.1:1, HTTP://[::1]:2", Ok("http://127.0.0.1:1,http://[::1]:2"));
    }

    #[test]
    fn what_names_no_server_is_refused() {
        let bad = ["", "a", "a:1", "ftp://a:1", "http://", "http://:1", "http:///x", "http://a:1,", ",http://a:1", "é"];
        for text in bad.into_iter().chain(["http://a b:1", "http//a:1", "http://a:1,b:2"]) {
            check(text, Err(FeedUrlsError::NoHttpUrl));
        }
        check("https://a:1", Err(FeedUrlsError::Https));
        check("http://a:1,https://a:1", Err(FeedUrlsError::Https));
    }

    #[test]
    fn a_port_and_nothing_behind_it_is_needed() {
        for text in ["http://a", "http://a:", "http://a:0", "http://a/", "http://[::1]"] {
            check(text, Err(FeedUrlsError::NoPort));
        }
        check("http://a:70000", Err(FeedUrlsError::NoPort));
        for text in ["http://a:1/x", "http://a:1?x", "http://a:1/?", "http://a:1#x", "http://a:1/,http://b:1//"] {
            check(text, Err(FeedUrlsError::Path));
        }
    }

    #[test]
    fn secrets_are_refused_and_not_repeated() {
        for text in ["http://me:secret@a:1", "http://@a:1", "http://a:1,http://secret@b:1"] {
            check(text, Err(FeedUrlsError::Credentials));
        }
    }

    #[test]
    fn only_so_many_are_named() {
        check(&vec!["http://a:1"; MOST_URLS + 1].join(","), Err(FeedUrlsError::TooMany));
        check(&format!("http://{}:1", "a".repeat(MOST_BYTES)), Err(FeedUrlsError::TooMany));
        assert!(vec!["http://a:1"; MOST_URLS].join(",").parse::<FeedUrls>().is_ok());
    }
}
