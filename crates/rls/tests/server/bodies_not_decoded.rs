//! Bodies that are not decoded: Envoy does not send them, mimir-rls does not decode them, or both. Only requests and sizes are limited then.

use http::Request;
use proto::envoy::service::auth::v3::CheckResponse;
use proto::well_known::value::Kind;
use remote_write::Protocol;
use remote_write::encode::{Series, encode_push};
use serde_json::{Value, json};

use crate::support::{Answer, Server, check_request, samples};

/// Every bucket of samples has room for one push at most, so that a call that charges samples denies.
const LIMITS: &str = "
overrides:
  plain: { ingestion_rate: 0.001, ingestion_burst_size: 2 }
  pairs: { ingestion_rate: 0.001, ingestion_burst_size: 2, accept_ha_samples: true }
  rewriting: { ingestion_rate: 0.001, ingestion_burst_size: 2, drop_labels: [pod] }
  slow: { request_rate: 0.001, request_burst_size: 2 }
";
const V2: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Envoy {
    Sends,
    DoesNotSend,
}

/// Who sends and who decodes bodies, and whether samples are charged.
const COMBINATIONS: [(Envoy, &str, bool); 4] = [
    (Envoy::Sends, "on", true),
    (Envoy::Sends, "off", false),
    (Envoy::DoesNotSend, "on", false),
    (Envoy::DoesNotSend, "off", false),
];

/// The pushes of a tenant that Mimir takes: both protocols, a pair, rewritten labels, a spelling of its own, a partly invalid one and one that
/// holds nothing.
fn legal_pushes() -> Vec<(&'static str, Option<&'static str>, Vec<u8>)> {
    let of_pair = [("__name__", "m"), ("__replica__", "a"), ("cluster", "c")];
    let invalid = [("__name__", "m"), ("pod", "x"), ("pod", "x")];
    let push =
        |series: &[Series]| encode_push(Protocol::V1, series, &[]).unwrap_or_else(|error| unreachable!("{error}"));
    vec![
        ("plain", None, samples(Protocol::V1, 2)),
        ("plain:k=v", None, samples(Protocol::V1, 1)),
        ("other", Some(V2), samples(Protocol::V2, 2)),
        ("pairs", None, push(&[Series::sample(&of_pair, 1.0, 1_700_000_000_000)])),
        ("rewriting", None, samples(Protocol::V1, 2)),
        ("other", None, push(&[Series::sample(&invalid, 1.0, 1_700_000_000_000)])),
        ("other", None, push(&[])),
    ]
}

async fn ask(
    server: &Server,
    envoy: Envoy,
    (tenant, content_type, body): (&str, Option<&str>, Vec<u8>),
) -> anyhow::Result<CheckResponse> {
    let length = body.len().to_string();
    let headers = [
        ("x-scope-orgid", tenant),
        ("content-type", content_type.unwrap_or("application/x-protobuf")),
        ("content-length", length.as_str()),
    ];
    let mut request = check_request(&headers, if envoy == Envoy::Sends { body } else { Vec::new() });
    if envoy == Envoy::DoesNotSend
        && let Some(attributes) = &mut request.attributes
    {
        attributes.context_extensions.insert("body".to_owned(), "withheld".to_owned());
    }
    Ok(server.check(request).await?)
}

/// What the response leaves to Envoy's ratelimit filter to charge.
fn left_to_charge(response: &CheckResponse) -> Option<&str> {
    match response.dynamic_metadata.as_ref()?.fields.get("samples_str")?.kind.as_ref()? {
        Kind::StringValue(hits) => Some(hits),
        _ => None,
    }
}

fn not_decoded() -> &'static str {
    r#"rls_decisions_total{decision="allow",mode="enforce",reason="body_not_decoded"}"#
}

#[tokio::test]
async fn no_combination_denies_a_legal_push() -> anyhow::Result<()> {
    for (envoy, state, decodes) in COMBINATIONS {
        for charging in ["check", "rate-limit"] {
            let flags = [format!("--decode-bodies={state}"), format!("--charge-samples-in={charging}")];
            let server = Server::start(LIMITS, &flags.each_ref().map(String::as_str)).await?;
            let pushes = legal_pushes();
            let count = pushes.len() as f64;
            for push in pushes {
                let tenant = push.0;
                let response = ask(&server, envoy, push).await?;
                assert!(decodes || left_to_charge(&response).is_none(), "{envoy:?} {flags:?} {tenant}");
                assert_eq!(Answer::of(response).status, 200, "{envoy:?} {flags:?} {tenant}");
            }
            let expected = if decodes { 0.0 } else { count };
            assert_eq!(server.metric(not_decoded()).await?, Some(expected), "{envoy:?} {flags:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn only_a_body_that_is_sent_and_decoded_costs_samples() -> anyhow::Result<()> {
    for (envoy, state, decodes) in COMBINATIONS {
        let flag = format!("--decode-bodies={state}");
        let server = Server::start(LIMITS, &[&flag]).await?;
        let mut denied = 0;
        for body in [samples(Protocol::V1, 2), samples(Protocol::V1, 1), samples(Protocol::V1, 3), b"junk".to_vec()] {
            denied += i32::from(Answer::of(ask(&server, envoy, ("plain", None, body)).await?).status != 200);
        }
        assert_eq!(denied, if decodes { 3 } else { 0 }, "{envoy:?} {flag}");
        let left = server.json("/api/v1/tenants/plain").await?["ingestion"]["tokens"].as_f64().unwrap_or(-1.0);
        assert!(if decodes { left < 1.0 } else { left > 1.999 }, "{envoy:?} {flag}: {left} tokens");
        for counted in [r#"rls_samples_total{decision="allow"}"#, r#"rls_samples_total{decision="deny"}"#] {
            assert!(decodes || server.metric(counted).await? == Some(0.0), "{envoy:?} {flag}: {counted}");
        }
        assert!(decodes || server.metric(r#"rls_body_parse_errors_total{kind="snappy"}"#).await? == Some(0.0));
    }
    Ok(())
}

#[tokio::test]
async fn hits_carry_samples_only_where_bodies_are_decoded() -> anyhow::Result<()> {
    for (envoy, state, decodes) in COMBINATIONS {
        let flag = format!("--decode-bodies={state}");
        let server = Server::start(LIMITS, &[&flag, "--charge-samples-in=rate-limit"]).await?;
        let response = ask(&server, envoy, ("plain", None, samples(Protocol::V1, 2))).await?;
        assert_eq!(left_to_charge(&response), decodes.then_some("2"), "{envoy:?} {flag}");
    }
    Ok(())
}

#[tokio::test]
async fn requests_tenants_and_sizes_are_limited_in_every_combination() -> anyhow::Result<()> {
    let edge = "{ mode: enforce, tenants: { brief: { edge_limits: { max_body_bytes: 20 } } } }";
    for (envoy, state, _) in COMBINATIONS {
        let flag = format!("--decode-bodies={state}");
        let server = Server::start_with(LIMITS, edge, &[&flag, "--max-request-bytes=1000"]).await?;
        let status = async |tenant: &str, body: Vec<u8>| -> anyhow::Result<i32> {
            Ok(Answer::of(ask(&server, envoy, (tenant, None, body)).await?).status)
        };
        for expected in [200, 200, 429] {
            assert_eq!(status("slow", samples(Protocol::V1, 1)).await?, expected, "{envoy:?} {flag}");
        }
        assert_eq!(status("a/b", samples(Protocol::V1, 1)).await?, 401, "{envoy:?} {flag}");
        assert_eq!(status("brief", samples(Protocol::V1, 1)).await?, 413, "{envoy:?} {flag}");
        // The server's own limit is on what it takes in.
        let over = if envoy == Envoy::Sends { 413 } else { 200 };
        assert_eq!(status("other", vec![0; 1001]).await?, over, "{envoy:?} {flag}");
    }
    Ok(())
}

#[tokio::test]
async fn a_body_that_is_not_decoded_need_not_be_whole() -> anyhow::Result<()> {
    let partial = [("x-scope-orgid", "plain"), ("x-envoy-auth-partial-body", "true")];
    for (flag, expected) in [("--decode-bodies=on", 413), ("--decode-bodies=off", 200)] {
        let server = Server::start(LIMITS, &[flag]).await?;
        let answer = Answer::of(server.ask(&partial, b"the beginning".to_vec()).await?);
        assert_eq!(answer.status, expected, "{flag}");
    }
    Ok(())
}

#[tokio::test]
async fn explain_says_that_bodies_are_not_decoded() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &["--decode-bodies=off"]).await?;
    let explain = async |tenant: &str, query: &str, body: Vec<u8>| -> anyhow::Result<Value> {
        let request = Request::post(format!("{}/api/v1/explain{query}", server.http)).header("x-scope-orgid", tenant);
        Ok(serde_json::from_slice(&runtime::testing::send(request, body).await?.1)?)
    };
    for (query, body) in [("", samples(Protocol::V1, 3)), ("", b"junk".to_vec()), ("?items=3", vec![])] {
        let explained = explain("plain", query, body).await?;
        assert_eq!(
            (&explained["decision"], &explained["reason"]),
            (&json!("allow"), &json!("body_not_decoded")),
            "{explained}"
        );
        assert_eq!((&explained["counts"]["items"], &explained["status"]), (&json!(0), &json!(200)), "{explained}");
    }
    for _ in 0..2 {
        assert_eq!(server.push("slow", vec![]).await?.status, 200);
    }
    let explained = explain("slow", "?items=3", vec![]).await?;
    assert_eq!(
        (&explained["reason"], &explained["limit"]),
        (&json!("request_rate"), &json!("request_rate 0.001/s, burst 2")),
        "{explained}"
    );
    assert!(explained["passes_in_seconds"].as_f64().is_some_and(|seconds| seconds > 900.0), "{explained}");
    Ok(())
}
