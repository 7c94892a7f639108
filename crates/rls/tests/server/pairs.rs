//! Tenants with Prometheus pairs or relabelling: what is charged, and what is left to Mimir.

use remote_write::Protocol;
use remote_write::encode::{Series, encode_push};

use crate::support::{Answer, Server, of_replica, samples};

const LIMITS: &str = "
overrides:
  pair: { ingestion_rate: 0.01, ingestion_burst_size: 5, accept_ha_samples: true }
  counted: { request_rate: 0.01, request_burst_size: 3, accept_ha_samples: true }
  dropping:
    ingestion_rate: 0.01
    ingestion_burst_size: 1
    metric_relabel_configs: [{ source_labels: [pod], regex: 'pod-[1-9].*', action: drop }]
  dividing:
    ingestion_rate: 0.01
    ingestion_burst_size: 1
    metric_relabel_configs: [{ source_labels: [pod], target_label: shard, action: hashmod }]
  cutting:
    ingestion_rate: 0.01
    ingestion_burst_size: 3
    max_label_value_length: 71
    label_value_length_over_limit_strategy: truncate
";

#[tokio::test]
async fn only_the_elected_replica_is_charged() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &[]).await?;
    for (cluster, replica, series, expected) in [
        ("one", "a", 3, 200),
        ("one", "b", 50, 200),
        ("two", "b", 1, 200),
        ("one", "a", 2, 429),
        ("one", "b", 2, 200),
        ("two", "a", 2, 200),
        ("one", "a", 1, 200),
        ("two", "b", 1, 429),
    ] {
        let status = server.push("pair", of_replica(cluster, replica, series)).await?.status;
        assert_eq!(status, expected, "{series} series of {cluster}/{replica}");
    }
    let metrics = server.page("/metrics").await?.1;
    for line in [
        r#"rls_decisions_total{decision="allow",mode="enforce",reason="ha_not_elected"} 3"#,
        r#"rls_decisions_total{decision="allow",mode="enforce",reason="within_limits"} 3"#,
        r"rls_ha_pairs 2",
    ] {
        assert!(metrics.contains(line), "{line} is missing in\n{metrics}");
    }
    Ok(())
}

#[tokio::test]
async fn each_replica_pays_for_its_requests() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &[]).await?;
    for (replica, expected) in [("a", 200), ("b", 200), ("b", 200), ("a", 429), ("b", 429)] {
        assert_eq!(server.push("counted", of_replica("one", replica, 1)).await?.status, expected, "{replica}");
    }
    Ok(())
}

#[tokio::test]
async fn a_mimir_without_a_tracker_charges_both_replicas() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &["--ha-tracker=off"]).await?;
    assert_eq!(server.push("pair", of_replica("one", "a", 5)).await?.status, 200);
    assert_eq!(server.push("pair", of_replica("one", "b", 1)).await?.status, 429);
    Ok(())
}

#[tokio::test]
async fn series_that_relabelling_drops_cost_nothing() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &[]).await?;
    assert_eq!(server.push("dropping", samples(Protocol::V1, 50)).await?.status, 200, "pod-0 is left");
    assert_eq!(server.push("dropping", samples(Protocol::V1, 1)).await?.status, 429);
    Ok(())
}

#[tokio::test]
async fn relabelling_that_the_edge_cannot_do_is_left_to_mimir() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &[]).await?;
    assert_eq!(server.push("dividing", samples(Protocol::V1, 50)).await?.status, 200);
    let metrics = server.page("/metrics").await?.1;
    let line = r#"rls_decisions_total{decision="allow",mode="enforce",reason="not_metered"} 1"#;
    assert!(metrics.contains(line), "{metrics}");
    Ok(())
}

#[tokio::test]
async fn a_likely_charge_is_charged_and_never_denied() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &[]).await?;
    let value = "x".repeat(72);
    let series =
        ["a", "b"].map(|name| Series::sample(&[("__name__", name), ("label", &value)], 1.0, 1_700_000_000_000));
    let body = encode_push(Protocol::V2, &series, &[]).unwrap_or_else(|error| unreachable!("{error}"));
    let content_type = ("content-type", "application/x-protobuf;proto=io.prometheus.write.v2.Request");
    for _ in 0..2 {
        let answer = Answer::of(server.ask(&[("x-scope-orgid", "cutting"), content_type], body.clone()).await?);
        assert_eq!(answer.status, 200, "two series share a value that Mimir writes over");
    }
    let metrics = server.page("/metrics").await?.1;
    let line = r#"rls_decisions_total{decision="allow",mode="enforce",reason="not_metered"} 1"#;
    assert!(metrics.contains(line), "the second finds one token only: {metrics}");
    assert_eq!(server.push("cutting", samples(Protocol::V1, 1)).await?.status, 200, "that token is still there");
    assert_eq!(server.push("cutting", samples(Protocol::V1, 1)).await?.status, 429, "the first was charged");
    Ok(())
}
