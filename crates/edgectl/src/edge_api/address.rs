//! The address of a replica, and paths below it.

use std::fmt::{self, Write};

use http::Uri;
use http::uri::PathAndQuery;
use limits_source::{HttpUrlError, parse_http_url};

/// An http or https URL of a host and a port, without a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address(Uri);

impl Address {
    /// Parses a URL, without a DNS lookup.
    ///
    /// # Errors
    /// A message for the user.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let uri = parse_http_url(text).map_err(|error| match error {
            // With a slash in a password, what is before it looks like a host and a port.
            HttpUrlError::Credentials | HttpUrlError::Port(_) if text.contains('@') => {
                "must not contain a password: use --token-file".to_owned()
            }
            error => format!("{error}, as in http://127.0.0.1:9090"),
        })?;
        let has_path = uri.path_and_query().is_some_and(|path| path.as_str() != "/");
        if has_path || text.contains('#') {
            return Err("must end with the port, as in http://127.0.0.1:9090".to_owned());
        }
        Ok(Self(uri))
    }

    /// The whole of it.
    pub(crate) fn uri(&self) -> &Uri {
        &self.0
    }

    /// The URL of a path, which may have a query.
    ///
    /// # Errors
    /// It is no path.
    pub(crate) fn at(&self, path: &str) -> Result<Uri, http::Error> {
        let mut parts = self.0.clone().into_parts();
        parts.path_and_query = Some(path.parse::<PathAndQuery>()?);
        Ok(Uri::from_parts(parts)?)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0.to_string().trim_end_matches('/'))
    }
}

/// A name as a part of a path or of a query.
pub(crate) fn encoded(name: &str) -> String {
    let mut text = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => text.push(char::from(byte)),
            // Also a dot: a tenant `..` is not to be a step up.
            _ => _ = write!(text, "%{byte:02X}"),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, shown: &str, page: &str) {
        let address = Address::parse(text).expect(text);
        assert_eq!(address.to_string(), shown);
        assert_eq!(address.at("/api/v1/denials?limit=1").unwrap(), page);
    }

    #[track_caller]
    fn reject(text: &str, part_of_message: &str) {
        let message = Address::parse(text).expect_err(text);
        assert!(message.contains(part_of_message), "{text}: {message}");
    }

    #[test]
    fn an_address_is_a_url_without_a_path() {
        check("http://127.0.0.1:9090", "http://127.0.0.1:9090", "http://127.0.0.1:9090/api/v1/denials?limit=1");
        check("https://edge:9090/", "https://edge:9090", "https://edge:9090/api/v1/denials?limit=1");
        check("http://[::1]:9090", "http://[::1]:9090", "http://[::1]:9090/api/v1/denials?limit=1");
        reject("127.0.0.1:9090", "http://");
        reject("http://edge:9090/api/v1/tenants", "must end with the port");
        reject("http://edge:9090?a=b", "must end with the port");
        reject("http://edge:9090#a", "must end with the port");
        reject("http://user:secret@edge:9090", "--token-file");
        reject("", "http://127.0.0.1:9090");
    }

    #[test]
    fn names_of_tenants_are_encoded() {
        for (name, expected) in [
            ("team-a_1", "team-a_1"),
            ("a:k=v", "a%3Ak%3Dv"),
            ("..", "%2E%2E"),
            ("a/b?c#d e", "a%2Fb%3Fc%23d%20e"),
            ("é", "%C3%A9"),
            ("", ""),
        ] {
            assert_eq!(encoded(name), expected);
        }
    }
}
