//! The Envoy chart: the real Envoy accepts everything that it renders.

#![expect(clippy::expect_used, reason = "a test that cannot do its part fails")]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

use e2e::{envoy_bootstrap, helm, repository, tool};

/// Values that change what the configuration consists of: all of their combinations are rendered.
const PARTS: [(&str, [&str; 2]); 4] = [
    ("mode", ["enforce", "mirror"]),
    ("limits.enforceBodyParsing", ["true", "false"]),
    ("mimir.tls.enabled", ["false", "true"]),
    ("mimir.rewriteHost", ["false", "true"]),
];

/// Values that only stand in it: all of them are rendered with either value.
const SWITCHES: [&str; 3] = ["extAuthz.failureModeAllow", "rateLimit.enabled", "rateLimit.failureModeDeny"];

/// Fails with Envoy's message if it rejects a configuration.
#[track_caller]
fn validate(folder: &Path, name: &str, bootstrap: &str) {
    let file = folder.join(format!("{name}.yaml"));
    fs::write(&file, bootstrap).expect("a file can be written");
    let output = Command::new(tool("envoy"))
        .args(["--mode", "validate", "--log-level", "error", "--config-path"])
        .arg(&file)
        .output()
        .expect("Envoy can be started");
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The values of one of all combinations, counted through.
fn combination(number: usize) -> Vec<(&'static str, &'static str)> {
    let bit = |place: usize| number >> place & 1;
    let parts = PARTS.iter().enumerate().map(|(place, (name, [first, second]))| {
        let value = if bit(place) == 0 { first } else { second };
        (*name, *value)
    });
    let switches =
        SWITCHES.iter().enumerate().map(|(place, name)| (*name, if bit(place) == 0 { "false" } else { "true" }));
    parts.chain(switches).collect()
}

#[test]
fn envoy_accepts_every_combination_of_values() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    thread::scope(|scope| {
        for first in 0..2 {
            let folder = folder.path();
            scope.spawn(move || {
                for number in (first..1 << PARTS.len()).step_by(2) {
                    let (values, refunds) = (combination(number), "apply_on_stream_done: true");
                    let bootstrap = envoy_bootstrap(&values);
                    validate(folder, &format!("{number} {values:?}"), &bootstrap);
                    // Of what Check charged, and of what the rate limit call did.
                    assert_eq!(bootstrap.matches(refunds).count(), 2, "{values:?}");
                }
            });
        }
    });
}

#[test]
fn envoy_accepts_the_charts_cluster_addresses_and_extreme_sizes() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let cases: [&[(&str, &str)]; 8] = [
        &[
            ("paths[0].path", "/"),
            ("paths[0].match", "prefix"),
            ("paths[0].action", "pass"),
            ("paths[1].path", "/a.b/~:@-_/push"),
            ("paths[1].action", "decide"),
            ("limits.enforceBodyParsing", "false"),
            ("mimir.rewriteHost", "true"),
        ],
        &[("sidecar.enabled", "true"), ("replicaCount", "1"), ("tls.enabled", "true")],
        &[("listeners.probePort", "9903"), ("mimir.readyPath", "/ready"), ("mimir.tls.enabled", "true")],
        &[("listeners.address", "::"), ("dnsLookupFamily", "ALL"), ("mimir.tls.enabled", "true")],
        &[("mimir.host", ""), ("mimirRls.host", ""), ("listeners.address", "0.0.0.0")],
        &[("limits.maxRequestBytes", "1"), ("limits.maxHeapBytes", "67108864")],
        &[("limits.maxRequestBytes", "104857600"), ("limits.maxLargePushes", "3"), ("limits.maxPushes", "1")],
        &[
            ("limits.maxHeapBytes", "274877906944"),
            ("limits.maxConnections", "1000000"),
            ("extAuthz.timeoutSeconds", "60"),
            ("mimir.timeoutSeconds", "300"),
        ],
    ];
    for (number, values) in cases.iter().enumerate() {
        validate(folder.path(), &number.to_string(), &envoy_bootstrap(values));
    }
}

/// helm reads the numbers of a values file as floats, and those of `--set` as integers.
#[test]
fn large_numbers_of_a_values_file_stay_integers() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let chart = repository().join("charts/envoy");
    let chart = chart.to_str().expect("a chart's path is text");
    let rendered = |values: &str| {
        let file = folder.path().join("values.yaml");
        fs::write(&file, values).expect("a file can be written");
        let file = format!("--values={}", file.display());
        helm(&["template", "mimir-envoy", chart, &file]).ok()
    };
    let large = rendered(
        "
drain: { delaySeconds: 1000000, timeoutSeconds: 2000000, maxConnectionSeconds: 604800, maxConnectionRequests: 3000000 }
limits: { maxConnections: 4000000, maxUploads: 5000000, maxPushes: 6000000, maxLargePushes: 7000000 }
",
    );
    for line in [
        "sleep 1000000\n",
        "left=2000000\n",
        "max_connection_duration: 604800s\n",
        "max_requests_per_connection: 3000000\n",
        "max_active_downstream_connections: 4000000\n",
    ] {
        assert!(large.contains(line), "no {line}: {large}");
    }
    assert!(!large.contains("e+0"), "{large}");
    for never in ["0", "null"] {
        let rendered = rendered(&format!("drain: {{ maxConnectionSeconds: {never} }}"));
        assert!(!rendered.contains(" max_connection_duration"), "{rendered}");
    }
}

/// A line of the configuration with these values.
#[track_caller]
fn renders(values: &[(&str, &str)], line: &str) {
    let bootstrap = envoy_bootstrap(values);
    assert!(bootstrap.contains(line), "{values:?} renders no {line}");
}

#[test]
fn sizes_follow_from_the_mode_and_the_heap() {
    renders(&[], "max_request_bytes: 16777216\n");
    renders(&[("mode", "mirror")], "max_request_bytes: 104857600\n");
    renders(&[("limits.maxRequestBytes", "5000000")], "max_request_bytes: 5000000\n");
    // 2 GiB x 3/4 / (4 x 16 MiB), also where larger ones are allowed, which have fewer places of their own.
    renders(&[], "max_concurrency_limit: 24,");
    renders(&[("mode", "mirror")], "max_concurrency_limit: 24,");
    renders(&[("mode", "mirror")], "max_concurrency_limit: 3,");
    renders(&[("limits.maxRequestBytes", "104857600")], "max_concurrency_limit: 3,");
    renders(&[("mode", "mirror"), ("limits.maxHeapBytes", "8589934592")], "max_concurrency_limit: 15,");
    renders(&[("limits.maxHeapBytes", "67108864")], "max_concurrency_limit: 1,");
    renders(&[("limits.maxLargePushes", "7")], "max_concurrency_limit: 7,");
}

#[test]
fn clients_with_ipv6_are_networks_of_the_prefix_given() {
    renders(&[], "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(64)%");
    renders(&[("limits.clientIpv6Prefix", "128")], "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(128)%");
}

#[test]
fn a_silent_stream_outlasts_check_and_mimir() {
    renders(&[], "stream_idle_timeout: 60s\n");
    renders(&[("mimir.timeoutSeconds", "300"), ("extAuthz.timeoutSeconds", "60")], "stream_idle_timeout: 365s\n");
}

#[test]
fn calls_of_mimir_rls_are_retried_once_and_refunds_never() {
    let bootstrap = envoy_bootstrap(&[]);
    let filter =
        bootstrap.split("- name: ").find(|filter| filter.starts_with("edge.refunds\n")).expect("there are refunds");
    assert!(filter.contains("- { key: x-envoy-max-retries, value: \"0\" }"), "{filter}");
    let cluster =
        bootstrap.split("- name: ").find(|cluster| cluster.starts_with("mimir_rls\n")).expect("it has a cluster");
    assert!(cluster.contains("num_retries: 1\n"), "{cluster}");
    assert_eq!(bootstrap.matches("x-envoy-max-retries").count(), 1);
}

#[test]
fn the_default_values_fail_closed_and_count_samples() {
    let chart = repository().join("charts/envoy");
    let chart = chart.to_str().expect("a chart's path is text");
    let rendered = helm(&["template", "mimir-envoy", chart, "--namespace", "edge"]).ok();
    for line in [
        "failure_mode_allow: false\n",
        "failure_mode_deny: true\n",
        "pack_as_bytes: true\n",
        "address: mimir-rls.edge.svc.cluster.local, port_value: 8081 ",
        "address: mimir-distributor-headless.mimir.svc.cluster.local, port_value: 8080 ",
        "cluster: mimir\n",
    ] {
        assert!(rendered.contains(line), "no {line}: {rendered}");
    }
    assert!(!rendered.contains("withheld"), "{rendered}");
}
