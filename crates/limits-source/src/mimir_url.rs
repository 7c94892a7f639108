//! An address of Mimir, checked before anything is asked of it.

use std::fmt;

use http::Uri;
use http::uri::{Parts, PathAndQuery, Scheme};
use thiserror::Error;

/// Where a Mimir answers: `http` or `https`, with a host, without secrets and without parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MimirUrl(Uri);

/// Why an address cannot be one of Mimir. No text repeats the address, which may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MimirUrlError {
    /// It is no URL, or one of another scheme or without a host.
    #[error("it must begin with http:// or https:// and name a host, for example http://mimir-distributor:8080")]
    NoHttpUrl,
    /// It has a user or a password in it.
    #[error("credentials do not belong into the URL, which logs show; remove everything up to the @")]
    Credentials,
    /// It has a query or a fragment.
    #[error("the address takes no parameters; remove the ? or # and what follows it")]
    Parameters,
}

impl MimirUrl {
    /// Reads an address; one without a path gets `default_path`.
    ///
    /// # Errors
    /// It is no http or https URL with a host, or it has credentials, a query or a fragment.
    pub fn parse(text: &str, default_path: &'static str) -> Result<Self, MimirUrlError> {
        // `Uri` drops a fragment without a word.
        let (before, parameters) = match text.find(['?', '#']) {
            Some(end) => (text.get(..end).unwrap_or_default(), true),
            None => (text, false),
        };
        let mut parts = before.parse::<Uri>().map(Uri::into_parts).map_err(|_| MimirUrlError::NoHttpUrl)?;
        let Parts { scheme: Some(scheme), authority: Some(authority), path_and_query, .. } = &mut parts else {
            return Err(MimirUrlError::NoHttpUrl);
        };
        if authority.as_str().contains('@') {
            return Err(MimirUrlError::Credentials);
        }
        let port_is_good = authority.as_str().ends_with(authority.host()) || authority.port_u16().is_some();
        let is_http = *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS;
        if !is_http || authority.host().is_empty() || !port_is_good {
            return Err(MimirUrlError::NoHttpUrl);
        }
        if parameters {
            return Err(MimirUrlError::Parameters);
        }
        if path_and_query.as_ref().is_none_or(|path| path.path() == "/") {
            *path_and_query = Some(PathAndQuery::from_static(default_path));
        }
        Uri::from_parts(parts).map(Self).map_err(|_| MimirUrlError::NoHttpUrl)
    }

    /// The address of a page below this one, such as `/config` with its parameters.
    ///
    /// # Errors
    /// The page is no path.
    pub fn page(&self, page: &str) -> Result<Self, MimirUrlError> {
        let base = self.0.to_string();
        format!("{}{page}", base.trim_end_matches('/')).parse().map(Self).map_err(|_| MimirUrlError::NoHttpUrl)
    }

    pub(crate) fn uri(&self) -> &Uri {
        &self.0
    }

    pub(crate) fn is_https(&self) -> bool {
        self.0.scheme() == Some(&Scheme::HTTPS)
    }
}

impl fmt::Display for MimirUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_below_the_path_of_the_address() {
        for (base, page) in [
            ("http://mimir:8080", "http://mimir:8080/config?mode=diff"),
            ("http://mimir:8080/", "http://mimir:8080/config?mode=diff"),
            ("https://gateway/mimir/", "https://gateway/mimir/config?mode=diff"),
            ("https://[::1]/mimir", "https://[::1]/mimir/config?mode=diff"),
        ] {
            let base = MimirUrl::parse(base, "/").unwrap();
            assert_eq!(base.page("/config?mode=diff").map(|url| url.to_string()), Ok(page.to_owned()));
        }
    }
}
