//! A server that polls Mimir's HA tracker, and never waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use remote_write::Protocol;
use tokio::net::TcpListener;

use crate::support::{Server, samples, until};

const LIMITS: &str = "overrides: { t: { ingestion_rate: 0, ingestion_burst_size: 1 } }";
const LIST: &str = r#"{"elected":[{"userID":"t","cluster":"c","replica":"r","lastElectionTime":"2026-11-21T12:44:16.054Z","electedLastSeenTime":"2026-11-21T12:44:16.054Z"}]}"#;
const ANSWERED: &str = r#"rls_ha_tracker_polls_total{result="ok"}"#;
const FAILED: &str = r#"rls_ha_tracker_polls_total{result="error"}"#;

/// A distributor that gives the list while `answers`; its URL, without a path.
async fn distributor(answers: Arc<AtomicBool>) -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let answer = move || async move {
        if answers.load(Ordering::Relaxed) { LIST.into_response() } else { StatusCode::NOT_FOUND.into_response() }
    };
    let routes = Router::new().route("/distributor/ha_tracker", get(answer));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok(url)
}

#[tokio::test]
async fn a_silent_tracker_delays_neither_readiness_nor_decisions() -> anyhow::Result<()> {
    let answers = Arc::new(AtomicBool::new(false));
    let url = distributor(Arc::clone(&answers)).await?;
    let server = Server::start(LIMITS, &["--ha-tracker-url", &url]).await?;
    assert_eq!(server.page("/ready").await?.0, 200);
    until("a failed poll", || async { Ok(server.metric(FAILED).await? > Some(0.0)) }).await?;
    assert_eq!(server.push("t", samples(Protocol::V1, 1)).await?.status, 200);
    assert_eq!(server.push("t", samples(Protocol::V1, 2)).await?.status, 429);
    assert_eq!(server.metric("rls_ha_tracker_elected").await?, Some(0.0));
    assert_eq!(server.metric(ANSWERED).await?, Some(0.0));

    answers.store(true, Ordering::Relaxed);
    until("a good poll", || async { Ok(server.metric(ANSWERED).await? > Some(0.0)) }).await?;
    assert_eq!(server.metric("rls_ha_tracker_elected").await?, Some(1.0));
    assert!(server.metric("rls_ha_tracker_stale_seconds").await? < Some(20.0));
    Ok(())
}

#[tokio::test]
async fn without_a_tracker_nothing_is_said_about_one() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &[]).await?;
    assert!(!server.page("/metrics").await?.1.contains("rls_ha_tracker"));
    Ok(())
}
