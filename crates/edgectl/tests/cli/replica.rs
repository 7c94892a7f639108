//! A replica of mimir-rls in this process, which answers what a test says. `tests/e2e` asks the real one.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::serve::Listener;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// A request that came in.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Serves until it is dropped.
pub(crate) struct Replica {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    _runtime: Runtime,
}

impl Replica {
    /// A replica whose `answer` gets each request, as `METHOD TARGET`.
    pub(crate) fn start(answer: impl Fn(&Asked) -> Response + Send + Sync + 'static) -> Self {
        let runtime = runtime();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        Self::serve("http", runtime, listener, answer)
    }

    /// One on what `listener` accepts.
    pub(crate) fn serve<L: Listener<Addr = SocketAddr>>(
        scheme: &str,
        runtime: Runtime,
        listener: L,
        answer: impl Fn(&Asked) -> Response + Send + Sync + 'static,
    ) -> Self {
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (seen, answer) = (Arc::clone(&asked), Arc::new(answer));
        let handler = move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
            let asked = Asked { method, target: uri.to_string(), headers, body };
            let response = answer(&asked);
            seen.lock().unwrap().push(asked);
            async move { response }
        };
        runtime.spawn(async move { axum::serve(listener, Router::new().fallback(handler)).await });
        Self { url, asked, _runtime: runtime }
    }

    /// One that answers each of these targets, with its method, with a JSON value.
    pub(crate) fn of(pages: &[(&'static str, Value)]) -> Self {
        let pages = pages.to_vec();
        Self::start(move |asked| {
            let name = format!("{} {}", asked.method, asked.target);
            match pages.iter().find(|(page, _)| *page == name) {
                Some((_, value)) => value.to_string().into_response(),
                None => fault(404, &format!("no {name}")),
            }
        })
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// An error response of mimir-rls.
pub(crate) fn fault(status: u16, error: &str) -> Response {
    (StatusCode::from_u16(status).unwrap(), json!({ "error": error }).to_string()).into_response()
}

/// An address where nothing listens: the listener is gone.
pub(crate) fn nowhere() -> String {
    format!("http://{}", std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap())
}

/// A bucket of the ingestion rate with 1000/s and a burst of 2000.
pub(crate) fn bucket(tokens: f64, cost: u64) -> Value {
    let waits = (cost as f64 - tokens).max(0.0) / 1000.0;
    json!({
        "limit": { "rate": 1000.0, "burst": 2000 }, "capacity": 2000, "tokens": tokens, "cost": cost,
        "passes": waits == 0.0, "passes_in_seconds": waits,
    })
}

/// A bucket without a limit.
pub(crate) fn unlimited() -> Value {
    json!({
        "limit": { "rate": null, "burst": null }, "capacity": null, "tokens": null, "cost": 1,
        "passes": true, "passes_in_seconds": 0.0,
    })
}

/// `GET /api/v1/tenants/team-a` of a replica.
pub(crate) fn details(has_buckets: bool, tokens: f64) -> Value {
    json!({
        "tenant": "team-a", "limits_key": "team-a", "mode": "enforce", "overridden": true, "has_buckets": has_buckets,
        "limits": { "ingestion_burst_size": 2000, "ingestion_rate": 1000, "request_rate": 0 },
        "edge_limits": { "max_body_bytes": null, "max_series_per_request": 500 },
        "request": unlimited(), "ingestion": bucket(tokens, 1),
    })
}

/// `POST /api/v1/explain` of a replica for 300 samples of team-a.
pub(crate) fn explanation(has_buckets: bool, tokens: f64) -> Value {
    let passes = tokens >= 300.0;
    json!({
        "tenant": "team-a", "limits_key": "team-a", "mode": "enforce",
        "decision": if passes { "allow" } else { "deny" },
        "reason": if passes { "within_limits" } else { "ingestion_rate" },
        "unmetered": null,
        "limit": if passes { Value::Null } else { json!("ingestion_rate 1000/s, burst 2000") },
        "status": if passes { 200 } else { 429 },
        "message": if passes { Value::Null } else { json!("the request has been rejected") },
        "passes_in_seconds": (300.0 - tokens).max(0.0) / 1000.0,
        "counts": { "series": 0, "samples": 300, "histograms": 0, "exemplars": 0, "metadata": 0, "items": 300 },
        "has_buckets": has_buckets, "request": unlimited(), "ingestion": bucket(tokens, 300),
    })
}

/// A row of `GET /api/v1/usage`: ten pushes a second for five minutes, with so many items each.
pub(crate) fn usage(tenant: &str, items: u32, rate: f64, denied: u32) -> Value {
    let window = |seconds: u32| {
        let pushes = 10 * seconds;
        json!({
            "requests_per_second": 10.0, "items_per_second": 10.0 * f64::from(items), "seconds": seconds,
            "requests": pushes, "counted": pushes, "items": pushes * items, "largest": items, "denied": denied * seconds,
            "refused": denied * seconds, "retries": 0, "peak_requests": 10, "peak_items": 10 * items,
        })
    };
    json!({
        "tenant": tenant, "mode": "enforce", "overridden": true, "minute": window(60), "quarter_hour": window(300),
        "usage_ratio": { "ingestion_rate": 10.0 * f64::from(items) / rate },
        "refused_in_a_row": denied * 2, "refused_since": null, "never_retries": denied > 0,
        "request": unlimited(), "ingestion": bucket(if denied > 0 { 150.0 } else { 1700.0 }, 1),
    })
}

/// `GET /api/v1/usage/{id}` for such a tenant.
pub(crate) fn history(row: &Value, items: u32) -> Value {
    let second = json!({
        "seconds": 1, "requests": 10, "counted": 10, "items": 10 * items, "largest": items, "denied": 0, "refused": 0,
        "retries": 0, "peak_requests": 10, "peak_items": 10 * items,
    });
    let mut details = row.as_object().cloned().unwrap_or_default();
    details.insert("distributors".to_owned(), json!(1));
    details.insert("history".to_owned(), Value::Array(vec![second; 300]));
    Value::Object(details)
}
