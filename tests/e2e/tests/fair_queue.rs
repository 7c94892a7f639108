//! Tenants whose pushes take long to read: none of them is refused for it, and no other tenant waits for them.

use std::thread;

use remote_write::Protocol;
use remote_write::encode::{Series, encode_push};

use e2e::{Connection, Edge, Load, Request, push_request};

/// A default batch of Prometheus.
const SAMPLES: usize = 2_000;
const PUSHES: usize = 400;

/// Limits of a tenant with 20 ordinary rules, and of one without any.
fn limits() -> String {
    let rules: Vec<String> = (0..20)
        .map(|rule| format!("{{ source_labels: [__name__], regex: 'unwanted_{rule}_.*', action: drop }}"))
        .collect();
    let open = "ingestion_rate: 1e12, ingestion_burst_size: 1000000000000";
    format!(
        "overrides:\n  ruled: {{ {open}, metric_relabel_configs: [{}] }}\n  neighbour: {{ {open} }}\n",
        rules.join(", ")
    )
}

fn batch(tenant: &str) -> Request {
    let series: Vec<Series> = (0..SAMPLES)
        .map(|index| {
            let (pod, path) = (format!("api-7c9d8b6f5-{index:05}"), format!("/api/v1/things/{}", index % 40));
            let labels = [
                ("__name__", "http_requests_total"),
                ("code", "200"),
                ("instance", "10.0.0.1:9090"),
                ("job", "api"),
                ("path", &path),
                ("pod", &pod),
            ];
            Series::sample(&labels, index as f64, 1_750_000_000_000)
        })
        .collect();
    push_request(tenant, &encode_push(Protocol::V1, &series, &[]).unwrap_or_else(|error| unreachable!("{error}")))
}

#[test]
fn rules_of_a_tenant_refuse_none_of_its_pushes_however_many_connections_it_has() {
    let edge = Edge::builder().forgetting_bodies().start(&limits());
    let push = batch("ruled");
    for connections in [1, 2, 8, 16] {
        thread::scope(|scope| {
            for _ in 0..connections {
                scope.spawn(|| {
                    let mut open = Connection::open(edge.port()).unwrap_or_else(|error| unreachable!("{error}"));
                    for number in 0..PUSHES / 4 / connections {
                        let status = open.send(&push).map(|answer| answer.status);
                        assert!(matches!(status, Ok(200)), "push {number} over {connections} connections: {status:?}");
                    }
                });
            }
        });
    }
}

#[test]
fn a_neighbour_is_answered_while_a_tenant_with_rules_keeps_the_readers_busy() {
    let edge = Edge::builder().forgetting_bodies().start(&limits());
    let ruled = Load::start(edge.port(), vec![batch("ruled"); 16]);
    ruled.wait_for_more(16);
    let neighbour = batch("neighbour");
    for number in 0..50 {
        assert_eq!(edge.send(&neighbour).status, 200, "push {number}");
    }
    let ruled = ruled.stop();
    assert_eq!((ruled.of(200), ruled.errors.len()), (ruled.answers(), 0), "{:?}", ruled.statuses);
}
