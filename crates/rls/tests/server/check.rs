//! How the server responds to Envoy's requests, over gRPC.

use crate::support::{Answer, Server, check_request, samples};
use remote_write::Protocol;
use remote_write::encode::{Histogram, Series, encode_push};

const LIMITS: &str = "
overrides:
  small: { ingestion_rate: 0.01, ingestion_burst_size: 5 }
  slow: { request_rate: 0.01, request_burst_size: 2 }
  classic: { native_histograms_ingestion_enabled: false, ingestion_rate: 0.01, ingestion_burst_size: 1 }
  unlimited: { ingestion_rate: 1.7976931348623157e308 }
";
const V2: (&str, &str) = ("content-type", "application/x-protobuf;proto=io.prometheus.write.v2.Request");

#[tokio::test]
async fn a_push_over_the_ingestion_rate_gets_mimirs_answer() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &[]).await?;
    assert_eq!(server.push("small", samples(Protocol::V1, 5)).await?.status, 200);
    let denied = server.push("small", samples(Protocol::V1, 1)).await?;
    assert_eq!(denied.status, 429);
    assert_eq!(
        denied.body,
        "the request has been rejected because the tenant exceeded the ingestion rate limit, set to 0.01 items/s with a maximum allowed burst \
         of 5. This limit is applied on the total number of samples, exemplars and metadata received across all distributors \
         (err-mimir-tenant-max-ingestion-rate). To adjust the related per-tenant limits, configure -distributor.ingestion-rate-limit and \
         -distributor.ingestion-burst-size, or contact your service administrator.\n"
    );
    assert_eq!(denied.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(denied.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(denied.header("x-mimir-edge-reason"), Some("ingestion_rate"));
    let retry_after: u64 = denied.header("retry-after").unwrap().parse()?;
    assert!((6..=9).contains(&retry_after), "{retry_after}");
    assert_eq!(denied.header("x-prometheus-remote-write-samples-written"), None);
    assert_eq!(server.push("other", samples(Protocol::V1, 1)).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_denied_remote_write_2_push_carries_the_counters() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &[]).await?;
    let over_burst = Answer::of(server.ask(&[("x-scope-orgid", "small"), V2], samples(Protocol::V2, 6)).await?);
    assert_eq!((over_burst.status, over_burst.header("x-mimir-edge-reason")), (429, Some("ingestion_burst")));
    assert_eq!(over_burst.header("x-prometheus-remote-write-samples-written"), Some("6"));
    assert_eq!(over_burst.header("x-prometheus-remote-write-histograms-written"), Some("0"));
    assert_eq!(over_burst.header("x-prometheus-remote-write-exemplars-written"), Some("0"));

    let unread = Answer::of(server.ask(&[("x-scope-orgid", "small"), V2], b"junk".to_vec()).await?);
    assert_eq!(unread.status, 400);
    assert_eq!(unread.header("x-prometheus-remote-write-samples-written"), Some("0"));
    assert_eq!(unread.header("retry-after"), None);
    Ok(())
}

#[tokio::test]
async fn a_push_over_the_request_rate_is_not_decoded() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &[]).await?;
    for _ in 0..2 {
        assert_eq!(server.push("slow", b"junk".to_vec()).await?.status, 400, "an unreadable push costs a request");
    }
    let denied = server.push("slow", b"junk".to_vec()).await?;
    assert_eq!((denied.status, denied.header("x-mimir-edge-reason")), (429, Some("request_rate")));
    Ok(())
}

#[tokio::test]
async fn the_tenant_is_checked_before_anything_else() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &[]).await?;
    type Headers = &'static [(&'static str, &'static str)];
    let cases: [(Headers, i32, &str, &str); 6] = [
        (&[], 401, "tenant_missing", "no org id\n"),
        (&[("x-scope-orgid", "")], 401, "tenant_missing", "no org id\n"),
        (&[("x-scope-orgid", "a,b")], 401, "tenant_invalid", "tenant ID 'a,b' contains unsupported character ','\n"),
        (&[("x-scope-orgid", "..")], 401, "tenant_invalid", "tenant ID is '.' or '..'\n"),
        (
            &[("x-scope-orgid", "a|b")],
            422,
            "too_many_tenants",
            "too many tenant IDs present in the request. max: 1 actual: 2\n",
        ),
        (
            &[("x-scope-orgid", "a"), ("x-scope-orgid", "b")],
            400,
            "tenant_header_repeated",
            "the X-Scope-OrgID header was sent more than once, with different values; send it once (err-edge-tenant-header-repeated)\n",
        ),
    ];
    for (headers, status, reason, body) in cases {
        let answer = Answer::of(server.ask(headers, samples(Protocol::V1, 1)).await?);
        assert_eq!((answer.status, answer.body.as_str()), (status, body), "{headers:?}");
        assert_eq!(answer.header("x-mimir-edge-reason"), Some(reason));
        assert_eq!(answer.header("retry-after"), None);
    }
    Ok(())
}

#[tokio::test]
async fn bodies_up_to_the_limit_decode_and_larger_are_denied() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &["--max-request-bytes=6MiB"]).await?;
    let (five_mib, six_mib) = (5 << 20, 6 << 20);
    for size in [five_mib, six_mib] {
        let answer = server.push("any", vec![0xff; size]).await?;
        assert_eq!(answer.status, 400, "it is read, and is no snappy: {answer:?}");
    }
    let answer = server.push("any", vec![0xff; six_mib + 1]).await?;
    assert_eq!((answer.status, answer.header("x-mimir-edge-reason")), (413, Some("body_too_large")));
    assert!(answer.body.contains("6291457 bytes") && answer.body.contains("--max-request-bytes"), "{}", answer.body);

    let partial = server
        .ask(&[("x-scope-orgid", "any"), ("x-envoy-auth-partial-body", "true")], samples(Protocol::V1, 1))
        .await?;
    assert_eq!(Answer::of(partial).status, 413);
    Ok(())
}

#[tokio::test]
async fn a_body_over_the_limit_costs_no_request() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &[]).await?;
    let cut = [("x-scope-orgid", "slow"), ("x-envoy-auth-partial-body", "true")];
    for _ in 0..3 {
        assert_eq!(Answer::of(server.ask(&cut, samples(Protocol::V1, 1)).await?).status, 413);
    }
    for expected in [200, 200, 429] {
        assert_eq!(server.push("slow", samples(Protocol::V1, 1)).await?.status, expected);
    }
    Ok(())
}

#[tokio::test]
async fn the_content_type_alone_tells_the_protocol() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &[]).await?;
    let others = [("x-prometheus-remote-write-version", "2.0.0"), ("content-encoding", "gzip")];
    let headers = [&[("x-scope-orgid", "small")], others.as_slice()].concat();
    let denied = Answer::of(server.ask(&headers, samples(Protocol::V1, 6)).await?);
    assert_eq!((denied.status, denied.header("x-mimir-edge-reason")), (429, Some("ingestion_burst")));
    assert_eq!(denied.header("x-prometheus-remote-write-samples-written"), None);

    let headers = [("x-scope-orgid", "small"), ("x-prometheus-remote-write-version", "0.1.0"), V2];
    let denied = Answer::of(server.ask(&headers, samples(Protocol::V2, 7)).await?);
    assert_eq!((denied.status, denied.header("x-prometheus-remote-write-samples-written")), (429, Some("7")));
    Ok(())
}

#[tokio::test]
async fn unknown_content_types_are_charged_as_v1_and_forwarded() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &[]).await?;
    for content_type in ["application/x-protobuf;proto=other.Thing", "application/x-protobuf;proto"] {
        let headers = [("x-scope-orgid", "small"), ("content-type", content_type)];
        assert_eq!(Answer::of(server.ask(&headers, samples(Protocol::V1, 2)).await?).status, 200, "{content_type}");
    }
    assert_eq!(server.push("small", samples(Protocol::V1, 2)).await?.status, 429, "both were charged");
    Ok(())
}

#[tokio::test]
async fn items_of_a_tenant_with_a_malformed_suffix_are_free() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &[]).await?;
    assert_eq!(server.push("small:x", samples(Protocol::V1, 6)).await?.status, 200, "Mimir answers 500");
    assert_eq!(server.push("small", samples(Protocol::V1, 5)).await?.status, 200, "the bucket is full");
    for expected in [200, 200, 429] {
        assert_eq!(server.push("slow:x", samples(Protocol::V1, 1)).await?.status, expected, "requests are charged");
    }
    Ok(())
}

#[tokio::test]
async fn histograms_cost_as_much_where_mimir_ingests_none() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &[]).await?;
    let labels = vec![("__name__".to_owned(), "m".to_owned())];
    let histograms = (1..3).map(|timestamp_ms| Histogram { timestamp_ms, ..Histogram::default() }).collect();
    let series = Series { labels, histograms, ..Series::default() };
    let denied = server.push("classic", encode_push(Protocol::V1, &[series], &[])?).await?;
    assert_eq!((denied.status, denied.header("x-mimir-edge-reason")), (429, Some("ingestion_burst")));
    assert!(denied.body.contains("set to 1, with 2 items"), "{}", denied.body);
    Ok(())
}

#[tokio::test]
async fn tenants_without_an_override_get_the_default_limits() -> anyhow::Result<()> {
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(&file, "target: all\nlimits: { ingestion_burst_size: 3, ingestion_rate: 0.5 }\n")?;
    let path = file.path().display().to_string();
    let server = Server::start(LIMITS, &["--default-limits", &path]).await?;
    assert_eq!(server.push("other", samples(Protocol::V1, 3)).await?.status, 200);
    let denied = server.push("other", samples(Protocol::V1, 1)).await?;
    assert!(denied.body.contains("set to 0.5 items/s with a maximum allowed burst of 3"), "{}", denied.body);
    let small = server.push("small", samples(Protocol::V1, 5)).await?;
    assert_eq!(small.status, 200, "an override is laid over the defaults");
    assert_eq!(server.metric("rls_default_limits_given").await?, Some(1.0));
    Ok(())
}

/// Limits that neither sets are shown as Mimir's own defaults.
#[tokio::test]
async fn mimirs_flags_win_over_its_file() -> anyhow::Result<()> {
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(&file, "limits: { ingestion_burst_size: 3, ingestion_rate: 7 }\n")?;
    let path = format!("--default-limits={}", file.path().display());
    let flags = "--default-limits-flags=-target=all -distributor.ingestion-rate-limit 0.5";
    let server = Server::start(LIMITS, &[&path, flags]).await?;
    let denied = server.push("other", samples(Protocol::V1, 4)).await?;
    assert!(denied.body.contains("burst size limit, set to 3, with 4 items"), "{}", denied.body);
    assert_eq!(server.json("/api/v1/tenants/other").await?["limits"]["ingestion_rate"], 0.5);
    let silent = Server::start(LIMITS, &[]).await?;
    assert_eq!(silent.metric("rls_default_limits_given").await?, Some(0.0));
    assert_eq!(silent.metric("rls_limits_problems").await?, Some(0.0));
    let built_in = Server::start(LIMITS, &["--default-limits-flags="]).await?;
    assert_eq!(built_in.metric("rls_default_limits_given").await?, Some(1.0));
    Ok(())
}

#[tokio::test]
async fn a_bomb_is_denied_by_its_claim() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &["--max-decoded-bytes=1MiB"]).await?;
    let answer = server.push("any", vec![0x80, 0x80, 0x80, 0x64, 0, 0, 0, 0]).await?;
    assert_eq!(answer.status, 400);
    assert!(
        answer.body.contains(
            "its message size of 209715200 bytes (uncompressed) is larger than the allowed limit of 1048576 bytes"
        ),
        "{}",
        answer.body
    );
    Ok(())
}

#[tokio::test]
async fn a_tenant_whose_entry_was_never_good_is_only_counted() -> anyhow::Result<()> {
    let server =
        Server::start("t.ingestion_rate: lots\nt.ingestion_burst_size: 1\nu.ingestion_burst_size: 1\n", &[]).await?;
    for body in [samples(Protocol::V1, 5), b"junk".to_vec()] {
        assert_eq!(server.push("t", body).await?.status, 200, "shadow originates no answer");
    }
    assert_eq!(server.push("u", samples(Protocol::V1, 5)).await?.status, 429, "its neighbour is enforced");
    let metrics = server.page("/metrics").await?.1;
    for reason in ["ingestion_burst", "unreadable_body"] {
        let line = format!(r#"rls_decisions_total{{decision="deny",mode="shadow",reason="{reason}"}} 1"#);
        assert!(metrics.contains(&line), "{metrics}");
    }
    Ok(())
}

#[tokio::test]
async fn unreadable_bodies_are_forwarded_when_the_operator_says_so() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &["--unreadable-body=forward"]).await?;
    assert_eq!(server.push("any", b"junk".to_vec()).await?.status, 200);
    let metrics = server.page("/metrics").await?.1;
    assert!(metrics.contains(r#"rls_body_parse_errors_total{kind="snappy"} 1"#), "{metrics}");
    assert!(
        metrics.contains(r#"rls_decisions_total{decision="allow",mode="enforce",reason="unreadable_forwarded"} 1"#),
        "{metrics}"
    );
    Ok(())
}

#[tokio::test]
async fn a_body_not_sent_is_charged_as_a_request_only() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &[]).await?;
    for expected in [200, 200, 429] {
        let mut request = check_request(&[("x-scope-orgid", "slow")], Vec::new());
        let extensions = &mut request.attributes.as_mut().unwrap().context_extensions;
        extensions.insert("body".to_owned(), "withheld".to_owned());
        assert_eq!(Answer::of(server.check(request).await?).status, expected);
    }
    Ok(())
}

#[tokio::test]
async fn an_unknown_content_type_always_answers_400() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &[]).await?;
    let headers = [("x-scope-orgid", "slow"), ("content-type", "application/x-protobuf;proto=x")];
    for expected in [200, 200, 400] {
        let answer = Answer::of(server.ask(&headers, samples(Protocol::V1, 1)).await?);
        assert_eq!((answer.status, answer.header("retry-after")), (expected, None));
        let texts = answer.body.lines().map(|line| line.split(' ').take(5).collect::<Vec<_>>().join(" "));
        let expected: &[&str] = if expected == 200 {
            &[]
        } else {
            &["got application/x-protobuf;proto=x content type; expected", "the request has been rejected"]
        };
        assert_eq!(texts.collect::<Vec<_>>(), expected);
    }
    Ok(())
}

#[tokio::test]
async fn a_malformed_tenant_suffix_charges_only_a_request() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &[]).await?;
    for tenant in ["small|small:k=v", "small:k", "small"] {
        assert_eq!(server.push(tenant, samples(Protocol::V1, 5)).await?.status, 200, "{tenant}");
    }
    for tenant in ["slow:k", "slow|slow:k=v"] {
        assert_eq!(server.push(tenant, samples(Protocol::V1, 1)).await?.status, 200, "{tenant}");
    }
    assert_eq!(server.push("slow", samples(Protocol::V1, 1)).await?.status, 429);
    Ok(())
}
