//! The token of the HTTP side: everything but metrics, probes and the files of the page asks for it, and a request that changes something is rejected
//! without one.

use std::fmt;
use std::path::PathBuf;

use anyhow::{bail, ensure};
use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use prometheus::IntCounter;
use subtle::ConstantTimeEq;
use tokio::sync::watch;

use crate::Fault;
use crate::reload::Reloaded;

/// What scrapers and probes read. Neither Prometheus nor the kubelet needs a secret for it.
const OPEN_PATHS: [&str; 3] = ["/live", "/ready", "/metrics"];
/// The files of the page, which hold no data: its scripts send the token.
const PAGE: &str = "/";
const PAGE_FOLDER: &str = "/assets/";
/// The shortest token: a shorter one can be guessed.
const MIN_TOKEN_BYTES: usize = 16;
/// The longest token.
const MAX_TOKEN_BYTES: usize = 4_096;

/// A secret that clients send as `Authorization: Bearer TOKEN`.
#[derive(Clone)]
pub(crate) struct Token(Vec<u8>);

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token(…)")
    }
}

impl Token {
    /// The token of a file, without the white space around it. No error repeats the content.
    fn parse(content: &[u8]) -> anyhow::Result<Self> {
        let token = content.trim_ascii();
        ensure!(
            !token.is_empty(),
            "the file is empty; write a token to it, such as the output of openssl rand -hex 32"
        );
        if token.len() > MAX_TOKEN_BYTES || !token.iter().all(u8::is_ascii_graphic) {
            bail!("the token must be at most {MAX_TOKEN_BYTES} ASCII characters without spaces");
        }
        ensure!(
            token.len() >= MIN_TOKEN_BYTES,
            "the token is shorter than {MIN_TOKEN_BYTES} bytes, and could be guessed; use one such as the output of openssl rand -hex 32"
        );
        Ok(Self(token.to_owned()))
    }

    /// Whether a client sent the token. Takes equally long for every wrong token of its length.
    fn is_sent_in(&self, authorization: Option<&HeaderValue>) -> bool {
        let Some((scheme, sent)) = authorization.and_then(|value| value.as_bytes().split_at_checked(7)) else {
            return false;
        };
        scheme.eq_ignore_ascii_case(b"bearer ") && bool::from(self.0.ct_eq(sent.trim_ascii()))
    }
}

/// The file with the token, reloaded when it changes.
#[derive(Debug)]
pub struct TokenFile(Reloaded<Token>);

impl TokenFile {
    /// Reads the file. `bad` counts changes that could not be loaded.
    ///
    /// # Errors
    /// The file cannot be read, or holds no token that is long enough.
    pub fn load(path: PathBuf, bad: IntCounter) -> anyhow::Result<Self> {
        let parse = |contents: &[Vec<u8>]| Token::parse(contents.first().map(Vec::as_slice).unwrap_or_default());
        Ok(Self(Reloaded::load("the token of --http-token-file", vec![path], bad, parse)?))
    }

    pub(crate) fn token(&self) -> watch::Receiver<Token> {
        self.0.value()
    }

    /// Follows the file. Never returns.
    pub(crate) async fn follow(self) {
        self.0.follow().await;
    }
}

/// Lets only requests with the token through, apart from metrics, probes and the files of the page. Without a token, requests that only read pass.
pub(crate) fn guarded(routes: Router, token: Option<watch::Receiver<Token>>) -> Router {
    routes.layer(from_fn(move |request: Request, next: Next| {
        let rejected = rejection(&request, token.as_ref().map(|token| token.borrow()).as_deref());
        async move {
            match rejected {
                Some(rejection) => rejection,
                None => next.run(request).await,
            }
        }
    }))
}

fn rejection(request: &Request, token: Option<&Token>) -> Option<Response> {
    let Some(token) = token else {
        let changes = [Method::PUT, Method::PATCH, Method::DELETE].contains(request.method());
        return changes.then(|| fault(StatusCode::FORBIDDEN, "off: set --http-token-file"));
    };
    if is_open(request.uri().path()) || token.is_sent_in(request.headers().get(header::AUTHORIZATION)) {
        return None;
    }
    let error = "send the token of --http-token-file: Authorization: Bearer TOKEN";
    let mut response = fault(StatusCode::UNAUTHORIZED, error);
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    Some(response)
}

fn is_open(path: &str) -> bool {
    OPEN_PATHS.contains(&path) || path == PAGE || path.starts_with(PAGE_FOLDER)
}

fn fault(status: StatusCode, error: &str) -> Response {
    Fault { status, error: error.to_owned() }.into_response()
}

#[cfg(test)]
mod tests;
