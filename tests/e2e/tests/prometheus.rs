//! A real Prometheus pushes through the edge.

use std::borrow::Cow;
use std::collections::BTreeSet;

use e2e::{Edge, Prometheus, RemoteWrite, Target, until};

const LIMITS: &str = "
overrides:
  first: { ingestion_rate: 1000000, ingestion_burst_size: 1000000 }
  second: { ingestion_rate: 1000000, ingestion_burst_size: 1000000 }
  first-over: { ingestion_rate: 0.001, ingestion_burst_size: 1 }
  second-over: { ingestion_rate: 0.001, ingestion_burst_size: 1 }
";
const SERIES: usize = 50;
/// Of five scrapes at least; a scrape also has some series of Prometheus' own.
const ENOUGH: u64 = 5 * SERIES as u64;

#[test]
fn samples_of_both_protocols_arrive_or_are_denied() {
    let edge = Edge::start(LIMITS);
    let write = |tenant, message| RemoteWrite::new(tenant, message, edge.port());
    let writes = [
        write("first", "prometheus.WriteRequest"),
        write("second", "io.prometheus.write.v2.Request"),
        write("first-over", "prometheus.WriteRequest"),
        write("second-over", "io.prometheus.write.v2.Request"),
    ];
    let target = Target::start(SERIES);
    let prometheus = Prometheus::start(edge.folder(), &target, &writes);
    let [first, second, first_over, second_over] = &writes;
    let counter =
        |name: &str, write| prometheus.remote_write_counter(&format!("prometheus_remote_storage_{name}"), write);

    let arrived =
        |tenant| edge.upstream.requests_of(tenant).iter().map(|arrival| arrival.counts().samples).sum::<u64>();
    until("samples of remote write 1.0 arrive", || arrived("first") >= ENOUGH);
    until("samples of remote write 2.0 arrive", || arrived("second") >= ENOUGH);
    until("Prometheus counts the samples that were denied", || {
        counter("samples_failed_total", first_over) >= ENOUGH as f64
    });
    // Mimir says of a denied 2.0 push that all its samples were written, and so does the edge: Prometheus counts them as sent.
    until("Prometheus has sent what is denied in 2.0 too", || counter("samples_total", second_over) >= ENOUGH as f64);
    let log = prometheus.process.log();
    assert!(log.contains("429 Too Many Requests: the request has been rejected because the tenant exceeded"), "{log}");

    for (write, version) in [(first, "0.1.0"), (second, "2.0.0")] {
        assert_eq!(
            (counter("samples_failed_total", write), counter("samples_retried_total", write)),
            (0.0, 0.0),
            "{write:?}"
        );
        let versions: BTreeSet<String> = edge
            .upstream
            .requests_of(write.tenant)
            .iter()
            .filter_map(|arrival| arrival.headers.get("x-prometheus-remote-write-version").map(Cow::into_owned))
            .collect();
        assert_eq!(versions, BTreeSet::from([version.to_owned()]));
    }
    assert_eq!(edge.upstream.requests_of("first-over").len() + edge.upstream.requests_of("second-over").len(), 0);
    assert!(
        edge.rls.metric(r#"rls_decisions_total{decision="deny",mode="enforce",reason="ingestion_burst"}"#) > Some(0.0)
    );
}
