//! The life of the server: loading limits, changing them, and ending.

use crate::feed::Feed;
use crate::support::{Server, check_request, samples, until};
use remote_write::Protocol;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

const ONE: &str = "overrides: { t: { ingestion_rate: 0, ingestion_burst_size: 1 } }";
const THREE: &str = "overrides: { t: { ingestion_rate: 0, ingestion_burst_size: 3 } }";

async fn health(server: &Server, service: &str) -> anyhow::Result<ServingStatus> {
    let request = HealthCheckRequest { service: service.to_owned() };
    let answer = HealthClient::new(server.channel.clone()).check(request).await?.into_inner();
    Ok(answer.status())
}

/// Whether a push of three samples fits the burst; a denial costs nothing.
async fn three_fit(server: &Server) -> anyhow::Result<bool> {
    let answer = server.push("t", samples(Protocol::V1, 3)).await?;
    Ok(answer.status == 200)
}

#[tokio::test]
async fn it_is_ready_only_after_the_first_good_limits() -> anyhow::Result<()> {
    let server = Server::start("overrides: [this, is, no, map]", &[]).await?;
    assert_eq!(server.page("/live").await?.0, 200);
    assert_eq!(server.page("/ready").await?.0, 503);
    assert_eq!(health(&server, "").await?, ServingStatus::NotServing);
    let rejected = server.check(check_request(&[("x-scope-orgid", "t")], samples(Protocol::V1, 1))).await;
    assert_eq!(rejected.err().map(|status| status.code()), Some(tonic::Code::Unavailable));
    assert!(server.page("/metrics").await?.1.contains("rls_limits_problems 1"));

    std::fs::write(&server.limits, ONE)?;
    until("readiness", || async { Ok(server.page("/ready").await?.0 == 200) }).await?;
    for service in ["", "envoy.service.auth.v3.Authorization"] {
        until("health", || async { Ok(health(&server, service).await? == ServingStatus::Serving) }).await?;
    }
    assert!(server.page("/metrics").await?.1.contains("rls_limits_problems 0"));
    Ok(())
}

#[tokio::test]
async fn limits_change_in_place_by_rename_and_by_symlink_swap() -> anyhow::Result<()> {
    let server = Server::start(ONE, &[]).await?;
    assert!(!three_fit(&server).await?);
    std::fs::write(&server.limits, THREE.replace("burst_size: 3", "burst_size: 0"))?;
    until("a write in place", || async {
        Ok(server.push("t", samples(Protocol::V1, 1)).await?.body.contains("set to 0,"))
    })
    .await?;

    let folder = server.limits.parent().unwrap();
    std::fs::write(folder.join("next"), THREE.replace("burst_size: 3", "burst_size: 2"))?;
    std::fs::rename(folder.join("next"), &server.limits)?;
    until("a rename", || async { Ok(server.push("t", samples(Protocol::V1, 3)).await?.body.contains("set to 2,")) })
        .await?;

    for (name, burst) in [("..one", 7), ("..two", 8)] {
        std::fs::create_dir(folder.join(name))?;
        std::fs::write(
            folder.join(name).join("runtime.yaml"),
            THREE.replace("burst_size: 3", &format!("burst_size: {burst}")),
        )?;
        std::os::unix::fs::symlink(name, folder.join("..data_tmp"))?;
        std::fs::rename(folder.join("..data_tmp"), folder.join("..data"))?;
        if !server.limits.is_symlink() {
            std::fs::remove_file(&server.limits)?;
            std::os::unix::fs::symlink("..data/runtime.yaml", &server.limits)?;
        }
        let text = format!("set to {burst},");
        until("a symlink swap", || async {
            Ok(server.push("t", samples(Protocol::V1, 9)).await?.body.contains(&text))
        })
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_broken_or_missing_file_keeps_the_last_good_limits() -> anyhow::Result<()> {
    let server = Server::start(ONE, &[]).await?;
    for broken in
        [Some("overrides: { t: { ingestion_burst_size: many } }"), Some("not: [yaml"), Some("overrides: {}"), None]
    {
        match broken {
            Some(text) => std::fs::write(&server.limits, text)?,
            None => std::fs::remove_file(&server.limits)?,
        }
        until("a problem", || async { Ok(!server.page("/metrics").await?.1.contains("rls_limits_problems 0")) })
            .await?;
        let denied = server.push("t", samples(Protocol::V1, 3)).await?;
        assert!(denied.body.contains("set to 1,"), "{broken:?}: {}", denied.body);
        assert_eq!(server.page("/ready").await?.0, 200);
        std::fs::write(&server.limits, ONE)?;
        until("no problem", || async { Ok(server.page("/metrics").await?.1.contains("rls_limits_problems 0")) })
            .await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_drain_turns_unhealthy_first_and_answers_to_the_end() -> anyhow::Result<()> {
    let server = Server::start(ONE, &["--drain-delay=60s"]).await?;
    assert_eq!(health(&server, "").await?, ServingStatus::Serving);
    server.shutdown.drain.cancel();
    until("unhealthy", || async { Ok(health(&server, "").await? == ServingStatus::NotServing) }).await?;
    assert_eq!(server.page("/ready").await?.0, 503);
    assert_eq!(server.push("t", samples(Protocol::V1, 1)).await?.status, 200, "still answers");
    server.shutdown.abort.cancel();
    assert!(server.running.await?.is_err(), "a second signal ends the drain at once");
    Ok(())
}

#[tokio::test]
async fn while_it_drains_it_follows_limits_and_edge_config() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let cache = folder.path().join("limits.cache");
    let flags = ["--drain-delay=60s", &format!("--limits-cache={}", cache.display())];
    let server = Server::start_with(ONE, "mode: enforce", &flags).await?;
    assert!(!three_fit(&server).await?);
    server.shutdown.drain.cancel();
    until("unhealthy", || async { Ok(health(&server, "").await? == ServingStatus::NotServing) }).await?;

    std::fs::write(&server.limits, THREE.replace("burst_size: 3", "burst_size: 2"))?;
    until("the new limits", || async {
        Ok(server.push("t", samples(Protocol::V1, 3)).await?.body.contains("set to 2,"))
    })
    .await?;
    let is_cached = || std::fs::read_to_string(&cache).is_ok_and(|limits| limits.contains("burst_size: 2"));
    until("the new limits in the cache", || async { Ok(is_cached()) }).await?;
    std::fs::write(&server.edge_config, "mode: shadow")?;
    until("an emergency switch to shadow", || three_fit(&server)).await?;
    std::fs::write(&server.edge_config, "mode: enforce")?;
    until("the way back", || async { Ok(!three_fit(&server).await?) }).await?;
    server.shutdown.abort.cancel();
    assert!(server.running.await?.is_err());
    Ok(())
}

#[tokio::test]
async fn while_it_drains_it_follows_the_feed() -> anyhow::Result<()> {
    let feed = Feed::start("ingestion_rate: 1000000, ingestion_burst_size: 1").await?;
    let server = Server::start_from(&feed.url, &["--drain-delay=60s"]).await?;
    assert!(!three_fit(&server).await?);
    server.shutdown.drain.cancel();
    until("unhealthy", || async { Ok(health(&server, "").await? == ServingStatus::NotServing) }).await?;
    feed.say("ingestion_rate: 1000000, ingestion_burst_size: 3", 4);
    until("the limits of the feed", || three_fit(&server)).await?;
    until("distributors", || async { Ok(server.metric("rls_distributors").await? == Some(4.0)) }).await?;
    server.shutdown.abort.cancel();
    assert!(server.running.await?.is_err());
    Ok(())
}

#[tokio::test]
async fn a_drain_without_calls_ends_at_once() -> anyhow::Result<()> {
    let server = Server::start(ONE, &[]).await?;
    assert_eq!(server.push("t", samples(Protocol::V1, 1)).await?.status, 200);
    server.shutdown.drain.cancel();
    server.running.await?
}
