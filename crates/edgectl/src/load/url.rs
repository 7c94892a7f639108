//! The URL of a push endpoint, parsed before anything is sent.

use std::fmt;

use http::uri::{InvalidUri, PathAndQuery};
use http::{HeaderValue, Uri};
use limits_source::{HttpUrlError, parse_http_url};

/// An http or https URL with a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url {
    text: String,
    pub(crate) uri: Uri,
    /// What the `Host` header says.
    pub(crate) authority: HeaderValue,
    /// Path and query: the request target.
    pub(crate) path: Uri,
}

impl Url {
    /// Parses a URL, without a DNS lookup.
    ///
    /// # Errors
    /// A message for the user.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let uri = parse_http_url(text).map_err(|error| match error {
            // With a slash in a password, what is before it looks like a host and a port.
            HttpUrlError::Credentials | HttpUrlError::Port(_) if text.contains('@') => {
                "must not hold a password: use --header 'Authorization: Basic …'".to_owned()
            }
            error => error.to_string(),
        })?;
        let authority = uri.authority().ok_or("has no host")?;
        let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let path = path.parse().map_err(|error: InvalidUri| error.to_string())?;
        let authority = HeaderValue::from_str(authority.as_str()).map_err(|error| error.to_string())?;
        Ok(Self { text: text.to_owned(), authority, path, uri })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use http::uri::Scheme;

    use super::Url;

    #[track_caller]
    fn check(text: &str, https: bool, host: &str, port: u16, authority: &str, path: &str) {
        let url = Url::parse(text).expect(text);
        let uri_host = url.uri.host().expect("a host").trim_matches(['[', ']']);
        let uri_port = url.uri.port_u16().unwrap_or(if https { 443 } else { 80 });
        let is_https = url.uri.scheme() == Some(&Scheme::HTTPS);
        assert_eq!((is_https, uri_host, uri_port), (https, host, port));
        assert_eq!((url.authority.to_str().unwrap(), url.path.to_string().as_str()), (authority, path));
        assert_eq!(url.to_string(), text);
    }

    #[track_caller]
    fn reject(text: &str, part_of_message: &str) {
        let message = Url::parse(text).expect_err(text);
        assert!(message.contains(part_of_message), "{text}: {message}");
    }

    #[test]
    fn takes_urls_apart() {
        check("http://127.0.0.1:8080/api/v1/push", false, "127.0.0.1", 8080, "127.0.0.1:8080", "/api/v1/push");
        check("https://mimir.example/push?a=b", true, "mimir.example", 443, "mimir.example", "/push?a=b");
        check("http://mimir.example", false, "mimir.example", 80, "mimir.example", "/");
        check("http://[::1]:9/x", false, "::1", 9, "[::1]:9", "/x");
        check("http://[::1]", false, "::1", 80, "[::1]", "/");
    }

    #[test]
    fn says_what_is_wrong() {
        reject("", "must begin with http://");
        reject("http://", "empty");
        reject("http:///x", "");
        reject("http://x y/", "invalid");
        reject("localhost:8080", "must begin with http://");
        reject("/api/v1/push", "must begin with http://");
        reject("ftp://x/y", "must begin with http://");
        reject("http://user:secret@x/y", "--header");
        reject("http://user:sec/ret@x/y", "--header");
        reject("http://x:99999/y", "\"99999\" is no port");
        reject("http://[::1]:/y", "is no port");
    }
}
