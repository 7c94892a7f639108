//! Each binary runs with exactly the arguments that its chart renders, becomes ready by the chart's probes, and drains in the chart's time.

use e2e::{ADMIN, Cluster, KubeApiServer, Kubectl, Token, helm_at};

use super::container::Container;
use super::objects::Objects;
use super::{MIMIR_RLS, NAMESPACE, OVERRIDES_SYNC, Set, chart};

/// A drain that tests wait for, instead of 15 s.
const SOON: Set<'_> = ("drain.delaySeconds", "1");

const OVERRIDES: &str = "overrides:\n  team-a: { ingestion_rate: 5 }\n";

fn cluster() -> (Cluster, Kubectl) {
    let cluster = Cluster::start(OVERRIDES);
    cluster.server.namespace(NAMESPACE);
    let kubectl = cluster.kubectl();
    (cluster, kubectl)
}

/// As many as start at once without waiting long for a core.
const AT_ONCE: usize = 6;

/// Runs the container of a chart once for each set of values, some at once.
fn run_each(cluster: &Cluster, kubectl: &Kubectl, name: &str, cases: &[Vec<Set<'_>>]) {
    let releases: Vec<_> = cases.iter().map(|values| (name, values.as_slice())).collect();
    let objects: Vec<_> = Objects::of_each(kubectl, &releases).into_iter().enumerate().collect();
    for some in objects.chunks(AT_ONCE) {
        std::thread::scope(|scope| {
            for (number, objects) in some {
                let folder = cluster.server.folder().join(format!("container-{number}"));
                let container = Container::start(&cluster.server, ADMIN, &folder, name, objects);
                scope.spawn(move || container.serves_and_drains());
            }
        });
    }
}

#[test]
fn mimir_rls_runs_as_its_chart_says() {
    let (cluster, kubectl) = cluster();
    let sync = cluster.sync("sync", &[]);
    let feed = sync.feed();
    let feed = ("limits.source", feed.as_str());
    let kube = ("limits.source", "kube:mimir/mimir-runtime");
    let everything = vec![
        kube,
        ("limits.cache", "false"),
        ("limits.allowEmptyOverrides", "true"),
        ("limits.enforceBodyParsing", "false"),
        ("limits.unreadableBody", "forward"),
        ("limits.maxRequestBytes", "1000000"),
        ("limits.maxDecodedBytes", "2000000"),
        ("limits.maxInFlightBytes", "2000000000"),
        ("chargeSamplesIn", "rate-limit"),
        ("mimir.distributors", "3"),
        ("mimir.haTrackerUrl", "http://127.0.0.1:1"),
        ("mimir.limits.ingestion_rate", "50000000"),
        // Text for helm, and a number for Mimir.
        ("mimir.limits.request_rate", "0.5"),
        ("auditLog", "-"),
        ("listeners.address", "::"),
        ("extraArgs", "{--decode-threads=1}"),
        ("edgeConfig.mode", "shadow"),
        ("edgeConfig.edge_limits.max_series_per_request", "50000"),
        ("edgeConfig.tenants.team-a.mode", "off"),
        // What `off` is in a file with values.
        ("edgeConfig.tenants.team-b.mode", "false"),
        ("log.level", "debug"),
        ("log.format", "text"),
        ("drain.timeoutSeconds", "1"),
        SOON,
    ];
    let mut cases =
        vec![vec![feed], vec![feed, ("hpa.enabled", "true"), ("drain.delaySeconds", "0")], vec![kube, SOON]];
    cases.extend(everything.iter().filter(|(name, _)| *name != kube.0).map(|value| vec![feed, *value, SOON]));
    cases.push(vec![feed, ("mimir.haTracker", "false"), SOON]);
    // Every character that a tenant may have.
    cases.push(vec![feed, ("mimir.defaultTenant", "aZ09!-_.*'()"), SOON]);
    cases.push(everything);
    run_each(&cluster, &kubectl, MIMIR_RLS, &cases);
}

#[test]
fn overrides_sync_runs_as_its_chart_says() {
    let (cluster, kubectl) = cluster();
    let everything = vec![
        ("mimir.haTrackerUrl", "http://127.0.0.1:1"),
        ("mimir.distributorService", "mimir-distributor-headless"),
        ("mimir.limits.ingestion_rate", "5"),
        ("mimir.limits.request_rate", "0.5"),
        ("listeners.address", "::"),
        ("allowEmptyOverrides", "true"),
        ("events.enabled", "false"),
        ("log.level", "debug"),
        ("log.format", "text"),
        ("drain.timeoutSeconds", "1"),
        SOON,
    ];
    let mut cases = vec![vec![], vec![("webhook.enabled", "true"), ("webhook.caBundle", "pem"), SOON]];
    cases.extend(everything.iter().map(|value| vec![*value, SOON]));
    cases.push([everything, vec![("webhook.enabled", "true"), ("webhook.caBundle", "pem")]].concat());
    run_each(&cluster, &kubectl, OVERRIDES_SYNC, &cases);
}

#[test]
fn mimir_rls_may_read_only_its_own_configmap() {
    const SERVICE_ACCOUNT: &str = "service-account-token";
    let token = Token::service_account(SERVICE_ACCOUNT, NAMESPACE, MIMIR_RLS);
    let cluster = Cluster::of(KubeApiServer::start(&[token]), OVERRIDES);
    cluster.server.namespace(NAMESPACE);
    let values = [("limits.source", "kube:mimir/mimir-runtime"), SOON];
    let objects = Objects::of(&cluster.kubectl(), MIMIR_RLS, &values);
    let chart = chart(MIMIR_RLS);
    let install = ["install", MIMIR_RLS, chart.to_str().expect("a path is text"), "--namespace", NAMESPACE];
    drop(
        helm_at(&cluster.server, ADMIN, &[&install[..], &["--set=limits.source=kube:mimir/mimir-runtime"]].concat())
            .ok(),
    );

    let service_account = Kubectl::new(&cluster.server, SERVICE_ACCOUNT);
    let may = |arguments: &[&str]| service_account.may(arguments);
    for verb in ["get", "list", "watch", "create", "update", "patch", "delete"] {
        let reads = ["get", "list", "watch"].contains(&verb);
        assert_eq!(may(&[verb, "configmaps/mimir-runtime", "--namespace=mimir"]), reads, "{verb} the ConfigMap");
        assert!(!may(&[verb, "configmaps/mimir-config", "--namespace=mimir"]), "{verb} another ConfigMap");
        assert!(!may(&[verb, "configmaps/mimir-runtime", "--namespace", NAMESPACE]), "{verb} elsewhere");
        assert!(!may(&[verb, "secrets", "--namespace=mimir"]), "{verb} Secrets");
        assert!(!may(&[verb, "pods", "--namespace", NAMESPACE]), "{verb} pods");
    }
    let folder = cluster.server.folder().join("container");
    Container::start(&cluster.server, SERVICE_ACCOUNT, &folder, MIMIR_RLS, &objects).serves_and_drains();
}
