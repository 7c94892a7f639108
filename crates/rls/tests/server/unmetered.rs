//! Pushes whose charge in Mimir is not known: none is free, no limit of Mimir's denies one, and each tenant has a bound for them.

use std::time::{SystemTime, UNIX_EPOCH};

use remote_write::Protocol;
use remote_write::encode::{Series, encode_push};

use crate::support::{Answer, Server, of_replica, samples};

/// The bucket of each tenant holds so many samples and hardly fills again, and its bound ten times as many; that one fills by 100 a second.
const BURST: usize = 1_000;
const BOUND: usize = 10 * BURST;
/// Samples of a push: half of the bucket.
const HALF: usize = BURST / 2;

fn limits() -> String {
    let limit = format!("ingestion_rate: 0.001, ingestion_burst_size: {BURST}");
    let rule = "metric_relabel_configs: [{ source_labels: [__name__], regex: none, action: drop }]";
    format!(
        "overrides:
  plain: {{ {limit} }}
  dividing: {{ {limit}, metric_relabel_configs: [{{ source_labels: [pod], target_label: shard, action: hashmod }}] }}
  ruled: {{ {limit}, max_label_value_length: 10000000, {rule} }}
  cutting: {{ {limit}, max_label_name_length: 80, max_label_value_length: 71, label_value_length_over_limit_strategy: truncate }}
  pair: {{ {limit}, accept_ha_samples: true }}
  few-pairs: {{ {limit}, accept_ha_samples: true, ha_max_clusters: 1 }}
"
    )
}

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or_default()
}

fn encoded(protocol: Protocol, series: &[Series]) -> Vec<u8> {
    encode_push(protocol, series, &[]).unwrap_or_else(|error| unreachable!("{error}"))
}

/// So many series, one for each pod.
fn half_of(series: impl Fn(&str) -> Series) -> Vec<Series> {
    (0..HALF).map(|pod| series(&pod.to_string())).collect()
}

struct Case<'s> {
    server: &'s Server,
    tenant: &'static str,
    kind: &'static str,
}

impl Case<'_> {
    async fn outcomes(&self) -> anyhow::Result<[f64; 3]> {
        let mut found = [0.0; 3];
        for (outcome, found) in ["charged", "not_metered", "denied"].into_iter().zip(&mut found) {
            let series = format!(r#"rls_unmetered_total{{kind="{}",outcome="{outcome}"}}"#, self.kind);
            *found = self.server.metric(&series).await?.unwrap_or(f64::NAN);
        }
        Ok(found)
    }

    async fn push(&self, protocol: Protocol, body: Vec<u8>) -> anyhow::Result<Answer> {
        let content_type = match protocol {
            Protocol::V1 => "application/x-protobuf",
            Protocol::V2 => "application/x-protobuf;proto=io.prometheus.write.v2.Request",
        };
        let headers = [("x-scope-orgid", self.tenant), ("content-type", content_type)];
        Ok(Answer::of(self.server.ask(&headers, body).await?))
    }

    /// Pushes of half the burst: two find the bucket full enough, twenty are within the bound, then each gets a 503.
    async fn is_charged_and_bounded(
        &self,
        protocol: Protocol,
        mut half: impl FnMut() -> Vec<u8>,
    ) -> anyhow::Result<()> {
        self.passes_to_the_bound(protocol, &mut half, 2).await?;
        // A tenant whose rules cannot be run has no other pushes.
        if self.kind != "relabel_rule" {
            let plain = self.push(Protocol::V1, samples(Protocol::V1, 1)).await?;
            assert_eq!(plain.status, 429, "the bucket has paid");
        }
        Ok(())
    }

    /// The same where the tenant's bucket is not to pay.
    async fn has_a_bound_alone(&self, protocol: Protocol, mut half: impl FnMut() -> Vec<u8>) -> anyhow::Result<()> {
        self.passes_to_the_bound(protocol, &mut half, 0).await?;
        let plain = self.push(Protocol::V1, samples(Protocol::V1, BURST)).await?;
        assert_eq!(plain.status, 200, "the bucket is untouched: {}", plain.body);
        Ok(())
    }

    async fn passes_to_the_bound(
        &self,
        protocol: Protocol,
        half: &mut impl FnMut() -> Vec<u8>,
        charged: usize,
    ) -> anyhow::Result<()> {
        let Self { kind, .. } = self;
        let passing = charged + BOUND / HALF;
        for number in 0..passing {
            let answer = self.push(protocol, half()).await?;
            assert_eq!(answer.status, 200, "{kind}, push {number}: {}", answer.body);
        }
        let denied = self.push(protocol, half()).await?;
        assert_eq!((denied.status, denied.header("x-mimir-edge-reason")), (503, Some("edge_unmetered")), "{kind}");
        assert!(denied.header("retry-after").is_some() && denied.body.contains("err-edge-unmetered"), "{denied:?}");
        assert_eq!(self.outcomes().await?, [charged as f64, (BOUND / HALF) as f64, 1.0], "{kind}");
        Ok(())
    }
}

#[tokio::test]
async fn samples_at_the_end_of_the_grace_period_are_charged() -> anyhow::Result<()> {
    let server = Server::start(&limits(), &[]).await?;
    let case = Case { server: &server, tenant: "plain", kind: "clock_margin" };
    // 10 minutes of grace, and some seconds.
    let at_the_end = || {
        let time = now_ms() + 600_000 + 4_000;
        encoded(Protocol::V1, &half_of(|pod| Series::sample(&[("__name__", "m"), ("pod", pod)], 1.0, time)))
    };
    case.is_charged_and_bounded(Protocol::V1, at_the_end).await
}

#[tokio::test]
async fn unsupported_rules_charge_samples_as_sent() -> anyhow::Result<()> {
    let server = Server::start(&limits(), &[]).await?;
    let case = Case { server: &server, tenant: "dividing", kind: "relabel_rule" };
    let body = samples(Protocol::V1, HALF);
    case.is_charged_and_bounded(Protocol::V1, || body.clone()).await
}

#[tokio::test]
async fn samples_too_large_to_relabel_are_charged_as_sent() -> anyhow::Result<()> {
    let server = Server::start(&limits(), &[]).await?;
    let case = Case { server: &server, tenant: "ruled", kind: "buffers" };
    // A megabyte that snappy makes some ten kilobytes of; a rule could drop the label, or the series.
    let long = "x".repeat(1_100_000);
    let half = half_of(|pod| {
        let long = if pod == "0" { long.as_str() } else { "short" };
        Series::sample(&[("__name__", "m"), ("long", long), ("pod", pod)], 1.0, 1_700_000_000_000)
    });
    let body = encoded(Protocol::V1, &half);
    case.is_charged_and_bounded(Protocol::V1, || body.clone()).await
}

#[tokio::test]
async fn samples_whose_cut_value_is_also_a_name_are_bounded() -> anyhow::Result<()> {
    let server = Server::start(&limits(), &[]).await?;
    let case = Case { server: &server, tenant: "cutting", kind: "truncated_values" };
    let long = "x".repeat(100);
    let labels = |pod: &str| Series::sample(&[("__name__", "m"), ("pod", pod), (&long, &long)], 1.0, 1_700_000_000_000);
    let body = encoded(Protocol::V2, &half_of(labels));
    // As sent they are invalid, so the bucket does not pay for them.
    case.has_a_bound_alone(Protocol::V2, || body.clone()).await
}

#[tokio::test]
async fn series_that_mimir_is_asked_not_to_validate_are_charged() -> anyhow::Result<()> {
    let server = Server::start(&limits(), &[]).await?;
    let half = half_of(|pod| {
        Series::sample(&[("__name__", "m"), ("0", "no label name"), ("pod", pod)], 1.0, 1_700_000_000_000)
    });
    let body = encoded(Protocol::V1, &half);
    // Without one of these headers they are invalid, and free.
    for header in ["x-unknown", "x-mimir-skiplabelnamevalidation", "x-mimir-skiplabelcountvalidation"] {
        let headers = [("x-scope-orgid", "plain"), (header, "true")];
        assert_eq!(Answer::of(server.ask(&headers, body.clone()).await?).status, 200, "{header}");
    }
    assert_eq!(server.push("plain", samples(Protocol::V1, 1)).await?.status, 429, "the bucket has paid for both");
    let case = Case { server: &server, tenant: "plain", kind: "validation_skipped" };
    assert_eq!(case.outcomes().await?, [2.0, 0.0, 0.0]);
    Ok(())
}

#[tokio::test]
async fn items_of_a_malformed_suffix_have_a_bound() -> anyhow::Result<()> {
    let server = Server::start(&limits(), &[]).await?;
    let case = Case { server: &server, tenant: "plain:x", kind: "tenant_suffix" };
    case.passes_to_the_bound(Protocol::V1, &mut || samples(Protocol::V1, HALF), 0).await?;
    let plain = Case { tenant: "plain", ..case };
    assert_eq!(plain.push(Protocol::V1, samples(Protocol::V1, BURST)).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_cluster_beyond_the_most_has_a_bound() -> anyhow::Result<()> {
    let server = Server::start(&limits(), &[]).await?;
    let case = Case { server: &server, tenant: "few-pairs", kind: "ha_too_many_clusters" };
    assert_eq!(case.push(Protocol::V1, of_replica("first", "a", 0)).await?.status, 200);
    assert_eq!(case.push(Protocol::V1, of_replica("first", "a", BURST)).await?.status, 200);
    case.passes_to_the_bound(Protocol::V1, &mut || of_replica("second", "a", HALF), 0).await
}

#[tokio::test]
async fn names_without_an_election_are_bounded() -> anyhow::Result<()> {
    let server = Server::start(&limits(), &[]).await?;
    let case = Case { server: &server, tenant: "pair", kind: "ha_untracked" };
    let long = "x".repeat(1_025);
    case.has_a_bound_alone(Protocol::V1, || of_replica(&long, "a", HALF)).await
}

#[tokio::test]
async fn without_a_list_of_the_tracker_pairs_have_a_bound() -> anyhow::Result<()> {
    // No tracker listens there.
    let server = Server::start(&limits(), &["--ha-tracker-url=http://127.0.0.1:9"]).await?;
    let case = Case { server: &server, tenant: "pair", kind: "ha_no_list" };
    let mut number = 0;
    case.has_a_bound_alone(Protocol::V1, || {
        number += 1;
        of_replica(&format!("cluster-{number}"), "a", HALF)
    })
    .await
}

#[tokio::test]
async fn without_a_tracker_the_other_replica_pays_after_a_denial() -> anyhow::Result<()> {
    let server = Server::start(&limits(), &[]).await?;
    let push = |cluster, replica, series| server.push("pair", of_replica(cluster, replica, series));
    assert_eq!(push("c", "a", BURST + 1).await?.status, 429, "over its burst");
    assert_eq!(push("c", "b", BURST).await?.status, 200, "Mimir elects b");
    assert_eq!(push("c", "b", 1).await?.status, 429, "b has paid");
    assert_eq!(push("c", "a", 1_000).await?.status, 200, "Mimir drops it");
    // Nor does a cluster of its own for each push help.
    for cluster in ["new-1", "new-2", "new-3"] {
        assert_eq!(push(cluster, "a", 1).await?.status, 429, "{cluster}");
    }
    Ok(())
}
