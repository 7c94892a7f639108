//! The HTTP client of the servers' own tests.

use anyhow::Context;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::Request;
use axum::http::request::Builder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

/// Status and body of a page.
///
/// # Errors
/// There is no whole answer.
pub async fn get(url: impl AsRef<str>) -> anyhow::Result<(u16, Bytes)> {
    send(Request::get(url.as_ref()), "").await
}

/// Status and body of the answer to a request, sent on a connection of its own.
///
/// # Errors
/// The request is malformed, or there is no whole answer.
pub async fn send(request: Builder, body: impl Into<Body>) -> anyhow::Result<(u16, Bytes)> {
    let request = request.body(body.into()).context("no request")?;
    let answer = Client::builder(TokioExecutor::new()).build_http().request(request).await?;
    Ok((answer.status().as_u16(), to_bytes(Body::new(answer.into_body()), usize::MAX).await?))
}
