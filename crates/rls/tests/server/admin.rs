//! The admin API.

use http::Request;
use remote_write::Protocol;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::support::{Server, samples, until};

const LIMITS: &str = "
overrides:
  t: { ingestion_rate: 2, ingestion_burst_size: 10, request_rate: 0.001, request_burst_size: 3 }
  t:k=v: { ingestion_rate: 0.001, ingestion_burst_size: 5 }
  free: { max_label_names_per_series: 40 }
";

async fn explain(
    server: &Server,
    headers: &[(&str, &str)],
    query: &str,
    body: Vec<u8>,
) -> anyhow::Result<(u16, Value)> {
    let mut request = Request::post(format!("{}/api/v1/explain{query}", server.http));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (status, answer) = runtime::testing::send(request, body).await?;
    Ok((status, serde_json::from_slice(&answer)?))
}

#[tokio::test]
async fn tenants_come_in_pages_and_in_order() -> anyhow::Result<()> {
    let server = Server::start_with(LIMITS, "{ mode: enforce, tenants: { quiet: { mode: off } } }", &[]).await?;
    assert_eq!(server.push("pushing", samples(Protocol::V1, 1)).await?.status, 200);
    let mut seen = Vec::new();
    let mut path = "/api/v1/tenants?limit=2".to_owned();
    loop {
        let page = server.json(&path).await?;
        let rows = page["tenants"].as_array().cloned().unwrap_or_default();
        assert!((1..=2).contains(&rows.len()), "{page}");
        seen.extend(rows);
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/api/v1/tenants?limit=2&after={next}");
    }
    let names: Vec<_> = seen.iter().filter_map(|row| row["tenant"].as_str()).collect();
    assert_eq!(names, ["free", "pushing", "quiet", "t", "t:k=v"]);
    assert_eq!(seen[0]["limits"], json!({ "max_label_names_per_series": 40 }));
    assert_eq!(seen[1]["overridden"], json!(false));
    assert_eq!(seen[2]["mode"], "off");
    let here: Vec<_> = seen.iter().filter(|row| row["has_buckets"] == true).map(|row| &row["tenant"]).collect();
    assert_eq!(here, ["pushing"]);
    let first = server.json("/api/v1/tenants?limit=1").await?;
    assert_eq!(first["default_limits"]["ingestion_rate"], json!(10_000), "{first}");
    for bad in ["limit=0", "limit=1001", "limit=x", "limits=1"] {
        assert_eq!(server.page(&format!("/api/v1/tenants?{bad}")).await?.0, 400, "{bad}");
    }
    Ok(())
}

#[tokio::test]
async fn a_tenant_shows_its_limits_and_buckets() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &[]).await?;
    assert_eq!(server.push("t", samples(Protocol::V1, 4)).await?.status, 200);
    let tenant = server.json("/api/v1/tenants/t").await?;
    assert_eq!((&tenant["mode"], &tenant["overridden"]), (&json!("enforce"), &json!(true)));
    assert_eq!((&tenant["limits"]["ingestion_rate"], &tenant["limits"]["request_burst_size"]), (&json!(2), &json!(3)));
    assert_eq!(tenant["limits"]["max_label_names_per_series"], json!(30), "defaults are shown too");
    assert_eq!(tenant["ingestion"]["limit"], json!({ "rate": 2.0, "burst": 10 }));
    assert_eq!((&tenant["ingestion"]["capacity"], &tenant["has_buckets"]), (&json!(10), &json!(true)));
    let tokens = tenant["ingestion"]["tokens"].as_f64().unwrap_or(-1.0);
    assert!((6.0..10.0).contains(&tokens), "{tenant}");
    let spelled = server.json("/api/v1/tenants/t:k=v").await?;
    assert_eq!((&spelled["limits_key"], &spelled["ingestion"]["tokens"]), (&json!("t:k=v"), &json!(5.0)));
    let unknown = server.json("/api/v1/tenants/unknown").await?;
    assert_eq!(unknown["has_buckets"], json!(false), "it never pushed here");
    assert_eq!((&unknown["overridden"], &unknown["limits"]["ingestion_rate"]), (&json!(false), &json!(10_000)));
    assert_eq!(server.page("/api/v1/tenants/a%2Fb").await?.0, 400);
    Ok(())
}

#[tokio::test]
async fn explain_names_the_limit_that_decides_and_charges_nothing() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &[]).await?;
    let headers = [("x-scope-orgid", "t:k=v"), ("content-type", "application/x-protobuf")];
    for _ in 0..5 {
        let (status, fits) = explain(&server, &headers, "", samples(Protocol::V1, 5)).await?;
        assert_eq!((status, &fits["decision"], &fits["reason"]), (200, &json!("allow"), &json!("within_limits")));
        assert_eq!((&fits["counts"]["items"], &fits["passes_in_seconds"]), (&json!(5), &json!(0.0)));
        assert_eq!(fits["has_buckets"], json!(false), "an explanation makes no buckets");
    }
    assert_eq!(server.push("t:k=v", samples(Protocol::V1, 5)).await?.status, 200);

    let (_, denied) = explain(&server, &headers, "", samples(Protocol::V1, 1)).await?;
    assert_eq!((&denied["decision"], &denied["reason"]), (&json!("deny"), &json!("ingestion_rate")));
    assert_eq!(denied["has_buckets"], json!(true));
    assert_eq!((&denied["status"], &denied["limit"]), (&json!(429), &json!("ingestion_rate 0.001/s, burst 5")));
    let seconds = denied["passes_in_seconds"].as_f64().unwrap_or(-1.0);
    assert!((900.0..=1000.0).contains(&seconds), "one token takes 1,000 s: {denied}");
    assert_eq!(
        denied["message"].as_str().map(|text| format!("{text}\n")),
        Some(server.push("t:k=v", samples(Protocol::V1, 1)).await?.body)
    );

    let (_, too_large) = explain(&server, &headers, "?items=6", vec![]).await?;
    assert_eq!((&too_large["reason"], &too_large["passes_in_seconds"]), (&json!("ingestion_burst"), &Value::Null));
    Ok(())
}

#[tokio::test]
async fn explain_reports_faults_of_the_push_or_request() -> anyhow::Result<()> {
    let server = Server::start_with(LIMITS, "{ mode: enforce, tenants: { t: { mode: shadow } } }", &[]).await?;
    let (_, anonymous) = explain(&server, &[], "", vec![]).await?;
    assert_eq!(
        (&anonymous["decision"], &anonymous["reason"], &anonymous["tenant"]),
        (&json!("deny"), &json!("tenant_missing"), &Value::Null)
    );
    let (_, garbage) = explain(&server, &[("x-scope-orgid", "free")], "", b"garbage".to_vec()).await?;
    assert_eq!((&garbage["status"], &garbage["reason"]), (&json!(400), &json!("unreadable_body")));
    let (_, shadowed) = explain(&server, &[("x-scope-orgid", "t")], "?items=11", vec![]).await?;
    assert_eq!((&shadowed["decision"], &shadowed["mode"]), (&json!("would_deny"), &json!("shadow")));
    let (status, both) = explain(&server, &[("x-scope-orgid", "t")], "?items=1", samples(Protocol::V1, 1)).await?;
    assert!(status == 400 && both["error"].is_string(), "{both}");
    assert_eq!(server.page("/api/v1/explain").await?.0, 405);
    Ok(())
}

#[tokio::test]
async fn denials_are_listed_newest_first_and_by_tenant() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &[]).await?;
    for series in [11, 12, 13] {
        assert_eq!(server.push("t", samples(Protocol::V1, series)).await?.status, 429);
    }
    assert_eq!(server.push("free", b"garbage".to_vec()).await?.status, 400);
    let all = server.json("/api/v1/denials").await?;
    let samples: Vec<_> = all["denials"].as_array().into_iter().flatten().map(|denial| &denial["samples"]).collect();
    assert_eq!(samples, [&json!(0), &json!(13), &json!(12), &json!(11)]);
    let newest = server.json("/api/v1/denials?tenant=t&limit=1").await?;
    assert_eq!(newest["denials"][0]["reason"], "ingestion_burst");
    let rest = server.json(&format!("/api/v1/denials?tenant=t&after={}", newest["next"])).await?;
    assert_eq!((rest["denials"].as_array().map(Vec::len), &rest["next"]), (Some(2), &Value::Null));
    Ok(())
}

#[tokio::test]
async fn problems_are_listed_with_their_source() -> anyhow::Result<()> {
    let server = Server::start_with("overrides: { t: { ingestion_rte: 1 } }", "mode: shadow\nmodes: {}", &[]).await?;
    let problems = server.json("/api/v1/problems?limit=1").await?;
    assert_eq!(problems["problems"][0]["source"], "limits");
    assert_eq!((&problems["problems"][0]["tenant"], &problems["next"]), (&json!("t"), &json!(1)));
    let rest = server.json("/api/v1/problems?after=1").await?;
    assert_eq!((&rest["problems"][0]["source"], &rest["next"]), (&json!("edge_config"), &Value::Null));
    assert_eq!(rest["problems"][0]["line"], json!(2));
    Ok(())
}

#[tokio::test]
async fn the_log_level_is_shown_and_changed() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let token = folder.path().join("token");
    std::fs::write(&token, "s3cret-of-the-api")?;
    let server = Server::start(LIMITS, &[&format!("--http-token-file={}", token.display())]).await?;
    let send = async |method: &str, level: &'static str| -> anyhow::Result<(u16, String)> {
        let request = Request::builder().method(method).uri(format!("{}/api/v1/log-level", server.http));
        let (status, body) =
            runtime::testing::send(request.header("authorization", "Bearer s3cret-of-the-api"), level).await?;
        Ok((status, String::from_utf8(body.to_vec())?))
    };
    assert_eq!(send("GET", "").await?, (200, "warn\n".to_owned()));
    assert_eq!(send("PUT", "warn,rls::admin=error\n").await?.0, 200);
    assert_eq!(send("PUT", "loud").await?.0, 400);
    until("it changed", || async { Ok(send("GET", "").await?.1 == "warn,rls::admin=error\n") }).await
}

#[tokio::test]
async fn explain_says_when_waiting_does_not_help() -> anyhow::Result<()> {
    let config = "{ mode: enforce, tenants: { free: { edge_limits: { max_body_bytes: 5 } } } }";
    let server = Server::start_with(LIMITS, config, &["--max-request-bytes=1KiB"]).await?;
    for _ in 0..3 {
        assert_eq!(server.push("t", samples(Protocol::V1, 1)).await?.status, 200);
    }
    // Over its request rate, and over the burst for ever.
    let (_, never) = explain(&server, &[("x-scope-orgid", "t")], "", samples(Protocol::V1, 11)).await?;
    assert_eq!((&never["reason"], &never["counts"]["samples"]), (&json!("request_rate"), &json!(11)));
    assert_eq!(never["passes_in_seconds"], Value::Null);
    let (_, later) = explain(&server, &[("x-scope-orgid", "t")], "", samples(Protocol::V1, 1)).await?;
    assert!(later["passes_in_seconds"].as_f64().is_some_and(|seconds| seconds > 900.0), "{later}");
    let (_, too_large) = explain(&server, &[("x-scope-orgid", "free")], "", samples(Protocol::V1, 1)).await?;
    assert_eq!((&too_large["reason"], &too_large["passes_in_seconds"]), (&json!("edge_max_body_bytes"), &Value::Null));
    let (status, larger) = explain(&server, &[("x-scope-orgid", "t")], "", vec![0; 2_000]).await?;
    assert_eq!((status, &larger["status"], &larger["reason"]), (200, &json!(413), &json!("body_too_large")));
    Ok(())
}

#[tokio::test]
async fn bodies_that_never_come_do_not_keep_others_from_asking() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &[]).await?;
    let address = server.http.trim_start_matches("http://").to_owned();
    let mut stalled = Vec::new();
    for _ in 0..10 {
        let mut stream = tokio::net::TcpStream::connect(&address).await?;
        let head = "POST /api/v1/explain HTTP/1.1\r\nHost: edge\r\nX-Scope-OrgID: t\r\nContent-Length: 1000\r\n\r\n";
        stream.write_all(head.as_bytes()).await?;
        stalled.push(stream);
    }
    let (status, answer) = explain(&server, &[("x-scope-orgid", "t")], "?items=1", vec![]).await?;
    assert_eq!((status, &answer["decision"]), (200, &json!("allow")));
    Ok(())
}

#[tokio::test]
async fn usage_shows_what_tenants_sent_beside_their_limits() -> anyhow::Result<()> {
    let server = Server::start_with(LIMITS, "{ mode: enforce }", &[]).await?;
    for (items, status) in [(4, 200), (4, 200), (4, 429)] {
        assert_eq!(server.push("t", samples(Protocol::V1, items)).await?.status, status);
    }
    let first = async || anyhow::Ok(server.json("/api/v1/usage").await?["tenants"][0].clone());
    until("the second is over", async || Ok(first().await?["minute"]["requests"] == 3)).await?;
    let row = first().await?;
    assert_eq!((&row["tenant"], &row["overridden"], &row["mode"]), (&json!("t"), &json!(true), &json!("enforce")));
    let minute = &row["minute"];
    assert_eq!((&minute["items"], &minute["denied"], &minute["refused"]), (&json!(12), &json!(1), &json!(1)), "{row}");
    assert_eq!((&row["refused_in_a_row"], &row["never_retries"]), (&json!(1), &json!(false)));
    assert!(row["refused_since"].is_string() && row["ingestion"]["tokens"].as_f64() < Some(10.0), "{row}");
    // Twelve items in the first seconds count as those of 15 seconds, at a limit of two a second.
    assert_eq!(row["usage_ratio"]["ingestion_rate"], json!(0.4), "{row}");
    let details = server.json("/api/v1/usage/t").await?;
    let history = details["history"].as_array().cloned().unwrap_or_default();
    assert_eq!(history.iter().filter_map(|second| second["items"].as_u64()).sum::<u64>(), 12, "{details}");
    assert_eq!(server.page("/api/v1/usage/absent").await?.0, 404);
    assert_eq!(server.json("/api/v1/usage/%3Cother%3E").await?["tenant"], "<other>");
    assert_eq!(server.page("/api/v1/usage?limit=0").await?.0, 400);
    Ok(())
}
