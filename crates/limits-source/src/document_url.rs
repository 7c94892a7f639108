//! The address of a document, checked before anything is asked of it.

use std::fmt;
use std::str::FromStr;

use http::Uri;
use http::uri::{Parts, Scheme};
use thiserror::Error;

/// Where a document is served: `http` or `https`, with a host, without credentials. `Display` does not repeat a query, which may hold a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DocumentUrl {
    uri: Uri,
}

/// Why a text is no address of a document. No text repeats the address, which may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DocumentUrlError {
    /// It is no URL, or one of another scheme or without a host.
    #[error(
        "it must begin with http:// or https:// and name a host, for example http://config.mimir:8080/runtime.yaml"
    )]
    NoHttpUrl,
    /// It has a user or a password in it.
    #[error("credentials do not belong into the URL, which logs show; remove everything up to the @")]
    Credentials,
}

impl DocumentUrl {
    /// Whether an element of a list is an address and no path: by the letters that Mimir goes by.
    pub(crate) fn is_meant_by(text: &str) -> bool {
        text.starts_with("http://") || text.starts_with("https://")
    }

    pub(crate) fn uri(&self) -> &Uri {
        &self.uri
    }

    pub(crate) fn is_https(&self) -> bool {
        self.uri.scheme() == Some(&Scheme::HTTPS)
    }
}

impl FromStr for DocumentUrl {
    type Err = DocumentUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // `Uri` drops a fragment without a word; no server would see it.
        let before = text.split_once('#').map_or(text, |(before, _)| before);
        let uri: Uri = before.parse().map_err(|_| DocumentUrlError::NoHttpUrl)?;
        let Parts { scheme: Some(scheme), authority: Some(authority), .. } = uri.clone().into_parts() else {
            return Err(DocumentUrlError::NoHttpUrl);
        };
        if authority.as_str().contains('@') {
            return Err(DocumentUrlError::Credentials);
        }
        let port_is_good = authority.as_str().ends_with(authority.host()) || authority.port_u16().is_some();
        let is_http = scheme == Scheme::HTTP || scheme == Scheme::HTTPS;
        if !is_http || authority.host().is_empty() || !port_is_good {
            return Err(DocumentUrlError::NoHttpUrl);
        }
        Ok(Self { uri })
    }
}

impl fmt::Display for DocumentUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.uri.to_string();
        match text.split_once('?') {
            // Whether a document is compressed shows in the end of its name.
            Some((before, query)) => write!(formatter, "{before}?…{}", if query.ends_with(".gz") { ".gz" } else { "" }),
            None => formatter.write_str(&text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, DocumentUrlError>) {
        let read = text.parse::<DocumentUrl>().map(|url| url.to_string());
        assert_eq!(read.as_deref(), expected.as_ref().map(|url| *url), "{text}");
    }

    #[test]
    fn an_address_is_shown_without_its_query() {
        check("http://config:8080/runtime.yaml.gz", Ok("http://config:8080/runtime.yaml.gz"));
        check("https://[::1]/", Ok("https://[::1]/"));
        check("https://config/a?token=secret", Ok("https://config/a?…"));
        check("https://config/a?token=secret&file=b.gz", Ok("https://config/a?….gz"));
        check("http://config/a#b", Ok("http://config/a"));
        assert_eq!("http://c/a?b=c".parse::<DocumentUrl>().unwrap().uri().query(), Some("b=c"));
    }

    #[test]
    fn what_is_no_address_is_refused_and_not_repeated() {
        for text in ["http://", "http:///x", "http://:80", "http://a:99999/", "http://a:/x", "http://a b/", "ftp://a/x"]
        {
            check(text, Err(DocumentUrlError::NoHttpUrl));
        }
        for text in ["http://me:secret@config/x", "https://@config/x"] {
            check(text, Err(DocumentUrlError::Credentials));
        }
    }
}
