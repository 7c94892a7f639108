//! Every metric and label in a page, a runbook, an alert or a dashboard exists in a program.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use e2e::{
    Edge, Mimir, Prometheus, RemoteWrite, Request, Target, WatchedFile, push_request, repository, samples, send, until,
};

const PREFIXES: [&str; 5] = ["rls_", "overrides_sync_", "envoy_", "cortex_", "prometheus_"];

fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let folder = repository().join(folder);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| unreachable!("{}: {error}", folder.display()));
    entries.flatten().map(|entry| entry.path()).filter(|path| path.to_string_lossy().ends_with(ending)).collect()
}

/// The names of metrics in a text.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|character: char| !(character.is_ascii_alphanumeric() || character == '_'));
    words.filter(|word| PREFIXES.iter().any(|prefix| word.starts_with(prefix))).map(str::to_owned).collect()
}

/// What a page of metrics has: names, also those of a histogram's series, and labels.
fn exported(page: &str, names: &mut BTreeSet<String>) {
    for line in page.lines() {
        names.extend(line.split("=\"").filter_map(|part| part.rsplit(['{', ',']).next()).map(str::to_owned));
        let described = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '));
        if let Some((name, kind)) = described {
            names.insert(name.to_owned());
            if kind == "histogram" {
                names.extend(["bucket", "sum", "count"].map(|part| format!("{name}_{part}")));
            }
        }
    }
}

#[test]
fn every_named_metric_exists() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let limits = WatchedFile::of(
        "overrides: { small: { ingestion_rate: 0.001, ingestion_burst_size: 1 }, seldom: { request_rate: 0.001, request_burst_size: 1 } }",
    );
    let mimir = Mimir::start(&folder.path().join("mimir"), Path::new(&limits.path()));
    let edge = Edge::builder()
        .upstream(mimir.port())
        .rls_arguments(&["--ha-tracker-url=http://127.0.0.1:1"])
        .start_with(limits);
    let over = push_request("small", &samples(2).bytes);
    // Mimir makes a series of what it has rejected only once it has.
    assert_eq!(send(mimir.port(), &over).status, 429);
    let seldom = push_request("seldom", &samples(1).bytes);
    assert_eq!([(); 2].map(|()| send(mimir.port(), &seldom).status), [200, 429]);
    assert_eq!((edge.send(&over).status, edge.push("team", &samples(1).bytes).status), (429, 200));

    let mut there = BTreeSet::new();
    exported(&edge.rls.get("/metrics").text(), &mut there);
    exported(&send(mimir.port(), &Request::new("GET", "/metrics")).text(), &mut there);
    let write = RemoteWrite::new("team", "prometheus.WriteRequest", edge.port());
    let prometheus = Prometheus::start(&folder.path().join("prometheus"), &Target::start(1), &[write]);
    until("Prometheus has a queue", || {
        exported(&send(prometheus.port(), &Request::new("GET", "/metrics")).text(), &mut there);
        there.contains("prometheus_remote_storage_samples_total")
    });
    until("Envoy has counted", || {
        let page = send(edge.envoy.metrics_port(), &Request::new("GET", "/stats/prometheus"));
        exported(&page.text(), &mut there);
        there.contains("envoy_http_downstream_rq_xx") && there.contains("envoy_http_ext_authz_denied")
    });
    // Those of overrides-sync, and what mimir-rls has with a feed alone, are in the tables that the contract tests hold against the binaries.
    for page in ["docs/overrides-sync.md", "docs/metrics.md"] {
        there.extend(named(&fs::read_to_string(repository().join(page)).expect("the page is there")));
    }

    // A reason of Envoy's own answers can begin as its metrics do.
    let configuration = fs::read_to_string(repository().join("ops/envoy/enforce.yaml")).expect("it can be read");
    there.extend(configuration.lines().filter(|line| line.contains("x-mimir-edge-reason")).flat_map(named));

    // Envoy makes two of these when a rate limit call fails for the first time; the third is of overrides-sync's histogram.
    there.extend(["error", "failure_mode_allowed"].map(|what| format!("envoy_cluster_ratelimit_{what}")));
    there.insert("overrides_sync_propagation_seconds_bucket".to_owned());

    let mut texts = files("ops/runbooks", ".md");
    texts.extend(files("docs", ".md"));
    // Their names of test files look like metrics.
    texts.retain(|path| !path.ends_with("architecture.md") && !path.ends_with("invariants.md"));
    texts.push(repository().join("README.md"));
    texts.extend(files("ops/grafana/dashboards", ".json"));
    for chart in ["mimir-rls", "envoy"] {
        texts.extend(files(&format!("charts/{chart}/files"), "alerts.yaml"));
    }
    let mut missing = Vec::new();
    for path in &texts {
        let text = fs::read_to_string(path).expect("it can be read");
        missing.extend(named(&text).difference(&there).map(|name| format!("{}: {name}", path.display())));
    }
    assert_eq!(missing, [""; 0]);
    assert!(texts.len() >= 20);
}
