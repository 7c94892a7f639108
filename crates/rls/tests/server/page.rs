//! The page, and what it reads: usage as a table of all tenants, where limits are written, and the status.

use std::fmt::Write;

use http::Request;
use remote_write::Protocol;
use serde_json::{Value, json};

use crate::feed::Feed;
use crate::support::{Server, samples, until};

const LIMITS: &str = "
overrides:
  alpha:
    ingestion_rate: 0.01
    ingestion_burst_size: 10
  beta: { ingestion_rate: 300, ingestion_burst_size: 1000 }
  Beta-2: { ingestion_rate: 200 }
  alpha:k=v: { ingestion_rate: 5 }
";

fn names(list: &Value) -> Vec<&str> {
    let rows = list["tenants"].as_array().map(Vec::as_slice).unwrap_or_default();
    rows.iter().filter_map(|row| row["tenant"].as_str()).filter(|name| *name != "<other>").collect()
}

/// A server to which alpha sent two pushes, one of which was refused, and beta one.
async fn used() -> anyhow::Result<Server> {
    let server = Server::start_with(LIMITS, "{ mode: enforce, tenants: { calm: { mode: shadow } } }", &[]).await?;
    for (tenant, items, status) in [("alpha", 11, 429), ("alpha", 5, 200), ("beta", 50, 200)] {
        assert_eq!(server.push(tenant, samples(Protocol::V1, items)).await?.status, status);
    }
    until("the second is over", async || {
        let list = server.json("/api/v1/usage").await?;
        let items = |row: u8| list.pointer(&format!("/tenants/{row}/minute/items")).and_then(Value::as_u64);
        Ok((items(0), items(1)) == (Some(50), Some(16)))
    })
    .await?;
    Ok(server)
}

#[tokio::test]
async fn usage_is_sorted_searched_and_paged_by_the_server() -> anyhow::Result<()> {
    let server = used().await?;
    for (query, expected) in [
        ("", vec!["beta", "alpha"]),
        ("?sort=denied", vec!["alpha", "beta"]),
        ("?sort=items&order=asc", vec!["alpha", "beta"]),
        ("?sort=tenant&all=true", vec!["Beta-2", "alpha", "alpha:k=v", "beta", "calm"]),
        ("?sort=tenant&order=desc&all=true&limit=2&offset=1", vec!["beta", "alpha:k=v"]),
        ("?sort=limit&all=true", vec!["calm", "beta", "Beta-2", "alpha:k=v", "alpha"]),
        ("?sort=mode&order=desc&all=true&limit=1", vec!["calm"]),
        ("?sort=tokens&all=true&limit=1", vec!["alpha"]),
        ("?search=BETA&all=true&sort=tenant", vec!["Beta-2", "beta"]),
        ("?search=nobody&all=true", vec![]),
        ("?all=true&offset=99", vec![]),
    ] {
        let list = server.json(&format!("/api/v1/usage{query}")).await?;
        assert_eq!(names(&list), expected, "{query}");
    }
    let list = server.json("/api/v1/usage?all=true&search=beta&limit=1").await?;
    assert_eq!((&list["total"], &list["sums"]["tenants"]), (&json!(2), &json!(5)), "{list}");
    assert_eq!((&list["sums"]["refused"], &list["sums"]["would_be_refused"]), (&json!(1), &json!(0)));
    for bad in ["sort=name", "order=up", "limit=0", "offset=x", "other=1"] {
        assert_eq!(server.page(&format!("/api/v1/usage?{bad}")).await?.0, 400, "{bad}");
    }
    Ok(())
}

#[tokio::test]
async fn usage_says_since_when_and_by_which_limit() -> anyhow::Result<()> {
    let server = used().await?;
    let alpha = server.json("/api/v1/usage/alpha").await?;
    assert_eq!(
        (&alpha["minute"]["over_ingestion_burst"], &alpha["minute"]["over_request_rate"]),
        (&json!(1), &json!(0))
    );
    assert!(alpha["denied_since"].is_string() && alpha["refused_since"].is_null(), "{alpha}");
    assert!(alpha["suggested"]["ingestion"]["burst"].as_u64() >= Some(11), "{alpha}");
    let beta = server.json("/api/v1/usage/beta").await?;
    assert_eq!(beta["denied_since"], Value::Null);
    let idle = server.json("/api/v1/usage?all=true&search=calm").await?;
    assert_eq!((&idle["tenants"][0]["minute"], &idle["tenants"][0]["mode"]), (&Value::Null, &json!("shadow")));
    Ok(())
}

#[tokio::test]
async fn ten_thousand_tenants_are_listed_in_pages() -> anyhow::Result<()> {
    let mut limits = String::from("overrides:\n");
    for number in 0..10_000 {
        writeln!(limits, "  tenant-{number}: {{ ingestion_rate: {} }}", 1 + number % 997)?;
    }
    let server = Server::start_with(&limits, "{ mode: enforce }", &[]).await?;
    for number in 0..100 {
        server.push(&format!("tenant-{number}"), samples(Protocol::V1, 1)).await?;
    }
    for query in ["sort=denied", "sort=tenant&search=99", "sort=limit&offset=9000"] {
        let list = server.json(&format!("/api/v1/usage?all=true&limit=50&{query}")).await?;
        assert_eq!((names(&list).len(), &list["sums"]["tenants"]), (50, &json!(10_000)), "{query}");
    }
    Ok(())
}

#[tokio::test]
async fn each_limit_names_its_document_and_line() -> anyhow::Result<()> {
    let server = Server::start(LIMITS, &[]).await?;
    let alpha = server.json("/api/v1/tenants/alpha").await?;
    let document = "runtime.yaml";
    let expected = json!({
        "ingestion_rate": { "document": document, "line": 4 }, "ingestion_burst_size": { "document": document, "line": 5 }
    });
    assert_eq!((&alpha["set_in"], &alpha["configmap"]), (&expected, &Value::Null), "{alpha}");
    let spelled = server.json("/api/v1/tenants/alpha:k=v").await?;
    assert_eq!(spelled["set_in"], json!({ "ingestion_rate": { "document": document, "line": 8 } }));
    assert_eq!(server.json("/api/v1/tenants/other").await?["set_in"], json!({}));
    Ok(())
}

#[tokio::test]
async fn a_feed_says_where_limits_are_written() -> anyhow::Result<()> {
    let feed = Feed::start("request_rate: 5, ingestion_rate: 7").await?;
    let server = Server::start_from(&feed.url, &[]).await?;
    let tenant = server.json("/api/v1/tenants/t").await?;
    // A field that this build does not know is no field of the entry here.
    let expected = json!({ "request_rate": { "document": "runtime.yaml", "line": 7 }, "ingestion_rate": null });
    assert_eq!(tenant["set_in"], expected, "{tenant}");
    assert_eq!(tenant["configmap"], json!({ "namespace": "mimir", "name": "mimir-runtime" }));
    let status = server.json("/api/v1/status").await?;
    assert_eq!((&status["feed"]["connected"], &status["limits"]["source"]), (&json!(true), &json!(feed.url)));
    drop(feed);
    until("the server is away", async || Ok(server.json("/api/v1/tenants/t").await?["configmap"].is_null())).await?;
    Ok(())
}

#[tokio::test]
async fn any_replica_finds_the_usage_of_all() -> anyhow::Result<()> {
    let home = used().await?;
    let peers = format!("--peers={},http://127.0.0.1:1", home.http);
    let lookout = Server::start(LIMITS, &[&peers]).await?;
    let all = lookout.json("/api/v1/replicas/usage?sort=denied&limit=1").await?;
    let [away, answer] = [&all["replicas"][0], &all["replicas"][1]];
    assert_eq!((&away["replica"], &away["status"]), (&json!("127.0.0.1:1"), &Value::Null), "{all}");
    assert!(away["error"].as_str().is_some_and(|error| error.contains("cannot be reached")), "{all}");
    assert_eq!((&answer["status"], names(&answer["body"])), (&json!(200), vec!["alpha"]), "{all}");
    assert_eq!(answer["replica"], home.http.trim_start_matches("http://"));
    let unknown = lookout.json("/api/v1/replicas/usage/calm").await?;
    assert_eq!(unknown["replicas"][1]["status"], 404);
    let request = Request::post(format!("{}/api/v1/replicas/explain?items=11", lookout.http));
    let (status, answer) = runtime::testing::send(request.header("x-scope-orgid", "alpha"), "").await?;
    let answer: Value = serde_json::from_slice(&answer)?;
    let body = &answer["replicas"][1]["body"];
    assert_eq!((status, &body["reason"], &body["has_buckets"]), (200, &json!("ingestion_burst"), &json!(true)));
    assert_eq!(lookout.page("/api/v1/replicas/log-level").await?.0, 404);
    assert_eq!(home.page("/api/v1/replicas/usage").await?.0, 404);
    assert_eq!(lookout.json("/api/v1/status").await?["asks_replicas"], json!(true));
    Ok(())
}

#[tokio::test]
async fn status_says_how_old_the_limits_are() -> anyhow::Result<()> {
    let server = used().await?;
    let status = server.json("/api/v1/status").await?;
    assert_eq!((&status["program"], &status["phase"]), (&json!("mimir-rls"), &json!("ready")));
    let limits = &status["limits"];
    assert_eq!((&limits["overrides"], &limits["version"], &limits["problems"]), (&json!(4), &json!(1), &json!(0)));
    assert!(limits["stale_seconds"].as_f64() < Some(60.0), "{status}");
    assert_eq!((&status["edge_config"]["mode"], &status["edge_config"]["tenants"]), (&json!("enforce"), &json!(1)));
    assert_eq!((&status["feed"], &status["ha_tracker"]), (&Value::Null, &Value::Null));
    assert_eq!((&status["distributors"], &status["tenants_with_buckets"]), (&json!(1), &json!(2)));
    Ok(())
}

#[tokio::test]
async fn the_page_needs_no_token_and_its_data_do() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let token = folder.path().join("token");
    std::fs::write(&token, "a-token-of-the-page")?;
    let server = Server::start(LIMITS, &[&format!("--http-token-file={}", token.display())]).await?;
    let (status, page) = server.page("/").await?;
    assert!(status == 200 && page.contains("/assets/app.js"), "{status} {page}");
    assert_eq!(server.page("/assets/app.js").await?.0, 200);
    assert_eq!(server.page("/assets/absent.js").await?.0, 404);
    for path in ["/api/v1/usage?all=true", "/api/v1/status"] {
        assert_eq!(server.page(path).await?.0, 401, "{path}");
        let request =
            Request::get(format!("{}{path}", server.http)).header("authorization", "Bearer a-token-of-the-page");
        assert_eq!(runtime::testing::send(request, "").await?.0, 200, "{path}");
    }
    Ok(())
}
