//! Charges that come back: what a Check leaves in Envoy's metadata, and what the rate limit service makes of it.

use proto::envoy::extensions::common::ratelimit::v3::RateLimitDescriptor;
use proto::envoy::extensions::common::ratelimit::v3::rate_limit_descriptor::Entry;
use proto::envoy::service::auth::v3::CheckResponse;
use proto::envoy::service::ratelimit::v3::RateLimitRequest;
use proto::envoy::service::ratelimit::v3::rate_limit_response::Code;
use proto::well_known::Struct;
use proto::well_known::value::Kind;
use remote_write::Protocol;
use serde_json::Value;

use crate::support::{Server, samples};

const LIMITS: &str = "
overrides:
  t: { ingestion_rate: 0.001, ingestion_burst_size: 100, request_rate: 0.001, request_burst_size: 10 }
  other: { ingestion_rate: 0.001, ingestion_burst_size: 100, request_rate: 0.001, request_burst_size: 10 }
";

/// The receipt in the metadata that Envoy keeps for a push.
fn receipt(metadata: Option<Struct>) -> Option<String> {
    match metadata?.fields.remove("charge")?.kind? {
        Kind::StringValue(text) => Some(text),
        _ => None,
    }
}

fn negative(entries: &[(&str, &str)]) -> RateLimitRequest {
    let entries =
        entries.iter().map(|(key, value)| Entry { key: (*key).to_owned(), value: (*value).to_owned().into() });
    let descriptor = RateLimitDescriptor { entries: entries.collect(), hits_addend: Some(1), is_negative_hits: true };
    RateLimitRequest { domain: "mimir".to_owned(), descriptors: vec![descriptor], hits_addend: 0 }
}

struct Charged {
    server: Server,
}

impl Charged {
    async fn start(flags: &[&str]) -> anyhow::Result<Self> {
        Ok(Self { server: Server::start(LIMITS, flags).await? })
    }

    async fn push(&self, tenant: &str, series: usize) -> anyhow::Result<CheckResponse> {
        Ok(self.server.ask(&[("x-scope-orgid", tenant)], samples(Protocol::V1, series)).await?)
    }

    async fn refund(&self, receipt: &str, cause: &str) -> anyhow::Result<()> {
        let answer = self.server.rate_limit(negative(&[("refund", receipt), ("cause", cause)])).await?;
        assert_eq!((answer.overall_code(), answer.dynamic_metadata), (Code::Ok, None));
        Ok(())
    }

    /// Whole tokens of a tenant's two buckets.
    async fn left(&self, tenant: &str) -> anyhow::Result<(i64, i64)> {
        let page = self.server.json(&format!("/api/v1/tenants/{tenant}")).await?;
        let tokens = |bucket: &str| page.pointer(bucket).and_then(Value::as_f64).unwrap_or(-1.0) as i64;
        Ok((tokens("/request/tokens"), tokens("/ingestion/tokens")))
    }

    async fn counted(&self, cause: &str) -> anyhow::Result<Option<f64>> {
        self.server.metric(&format!(r#"rls_refunds_total{{cause="{cause}"}}"#)).await
    }
}

#[tokio::test]
async fn what_a_push_was_charged_comes_back_whatever_the_cause() -> anyhow::Result<()> {
    let charged = Charged::start(&[]).await?;
    for (number, cause) in ["no_answer", "mimir_error", "mimir_denied"].into_iter().enumerate() {
        assert_eq!(charged.counted(cause).await?, Some(0.0), "{cause}");
        let receipt = receipt(charged.push("t|t", 60).await?.dynamic_metadata).unwrap_or_default();
        assert_eq!(charged.left("t").await?, (9, 40));
        charged.refund(&receipt, cause).await?;
        assert_eq!(charged.left("t").await?, (10, 100), "{cause}");
        assert_eq!(charged.counted(cause).await?, Some(1.0), "{cause}");
        let decisions =
            charged.server.metric(r#"rls_decisions_total{decision="allow",mode="enforce",reason="within_limits"}"#);
        assert_eq!(decisions.await?, Some(number as f64 + 1.0), "a refund is no decision");
    }
    let descriptors = charged.server.metric(r#"rls_rate_limit_descriptors_total{code="ok",descriptor="refund"}"#);
    assert_eq!(descriptors.await?, Some(3.0));
    Ok(())
}

#[tokio::test]
async fn only_charged_and_forwarded_pushes_carry_a_receipt() -> anyhow::Result<()> {
    let config = "{ tenants: { off: { mode: off }, seen: { mode: shadow } } }";
    let limits = format!(
        "{LIMITS}  seen: {{ ingestion_rate: 0.001, ingestion_burst_size: 5, request_rate: 0.001, request_burst_size: 2 }}\n"
    );
    let server = Server::start_with(&limits, config, &[]).await?;
    let charged = Charged { server };
    assert_eq!(receipt(charged.push("t", 101).await?.dynamic_metadata), None, "a denial");
    assert_eq!(charged.left("t").await?, (9, 100));
    assert_eq!(receipt(charged.push("off", 1).await?.dynamic_metadata), None, "nothing is charged in mode off");
    let seen = receipt(charged.push("seen", 6).await?.dynamic_metadata).unwrap_or_default();
    assert_eq!(charged.left("seen").await?, (1, 5), "of a push that is only counted the request was charged");
    charged.refund(&seen, "no_answer").await?;
    assert_eq!(charged.left("seen").await?, (2, 5));
    assert!(receipt(charged.push("seen", 6).await?.dynamic_metadata).is_some());
    assert!(receipt(charged.push("seen", 6).await?.dynamic_metadata).is_some());
    assert_eq!(receipt(charged.push("seen", 6).await?.dynamic_metadata), None, "not even the request was");
    Ok(())
}

#[tokio::test]
async fn the_call_that_charged_says_what_it_charged() -> anyhow::Result<()> {
    let charged = Charged::start(&["--charge-samples-in=rate-limit"]).await?;
    let of_check = receipt(charged.push("t", 60).await?.dynamic_metadata).unwrap_or_default();
    let answer = charged.server.should_rate_limit("tenant", "t", 60).await?;
    let of_rate_limit = receipt(answer.dynamic_metadata).unwrap_or_default();
    assert_eq!(charged.left("t").await?, (9, 40));
    charged.refund(&of_check, "no_answer").await?;
    assert_eq!(charged.left("t").await?, (10, 40));
    charged.refund(&of_rate_limit, "no_answer").await?;
    assert_eq!(charged.left("t").await?, (10, 100));
    let denied = charged.server.should_rate_limit("tenant", "t", 101).await?;
    assert_eq!((denied.overall_code(), denied.dynamic_metadata), (Code::OverLimit, None));
    Ok(())
}

#[tokio::test]
async fn what_this_process_did_not_write_gives_nothing_back() -> anyhow::Result<()> {
    let (charged, before) = (Charged::start(&[]).await?, Charged::start(&[]).await?);
    let foreign = receipt(before.push("t", 60).await?.dynamic_metadata).unwrap_or_default();
    let own = receipt(charged.push("t", 60).await?.dynamic_metadata).unwrap_or_default();
    charged.refund(&foreign, "no_answer").await?;
    assert_eq!((charged.left("t").await?, charged.counted("other_process").await?), ((9, 40), Some(1.0)));
    for (receipt, cause) in [(own.as_str(), "because"), ("60", "no_answer"), ("", ""), ("t", "mimir_error")] {
        charged.refund(receipt, cause).await?;
    }
    for entries in [
        &[("tenant", "t")][..],
        &[("tenant_requests", "t")],
        &[],
        &[("refund", own.as_str())],
        &[("cause", "no_answer")],
    ] {
        assert_eq!(charged.server.rate_limit(negative(entries)).await?.overall_code(), Code::Ok, "{entries:?}");
    }
    assert_eq!((charged.left("t").await?, charged.counted("unknown").await?), ((9, 40), Some(9.0)), "nor charges it");
    let mut elsewhere = negative(&[("refund", &own), ("cause", "no_answer")]);
    elsewhere.domain = "other".to_owned();
    charged.server.rate_limit(elsewhere).await?;
    assert_eq!(charged.left("t").await?, (9, 40));
    Ok(())
}

#[tokio::test]
async fn a_receipt_fills_no_bucket_beyond_its_capacity() -> anyhow::Result<()> {
    let charged = Charged::start(&[]).await?;
    let receipt = receipt(charged.push("t", 60).await?.dynamic_metadata).unwrap_or_default();
    for _ in 0..5 {
        charged.refund(&receipt, "mimir_error").await?;
    }
    assert_eq!((charged.left("t").await?, charged.left("other").await?), ((10, 100), (10, 100)));
    Ok(())
}

#[tokio::test]
async fn a_refund_is_audited_and_is_no_denial() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("audit.log");
    let charged = Charged::start(&[&format!("--audit-log={}", path.display())]).await?;
    let receipt = receipt(charged.push("t", 60).await?.dynamic_metadata).unwrap_or_default();
    charged.refund(&receipt, "no_answer").await?;
    crate::support::until("the line is written", async || {
        Ok(std::fs::read_to_string(&path).is_ok_and(|lines| !lines.is_empty()))
    })
    .await?;
    let line: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path)?)?;
    let logged = ["tenant", "decision", "reason", "requests", "items"].map(|field| line[field].to_string());
    assert_eq!(logged, [r#""t""#, r#""refund""#, r#""no_answer""#, "1", "60"]);
    assert_eq!(charged.server.json("/api/v1/denials").await?["denials"], serde_json::json!([]));
    Ok(())
}
