//! Values that a chart rejects, and the messages.

use e2e::helm;

use super::{CHARTS, ENVOY, MIMIR_RLS, OVERRIDES_SYNC, chart, rendered};

/// A value that a chart rejects.
struct Wrong<'a> {
    chart: &'a str,
    set: &'a str,
    /// What helm's message is about, which differs in the values of one call.
    place: &'a str,
    /// helm prints one of these: its text changed in 3.18.
    said: [String; 2],
}

impl<'a> Wrong<'a> {
    fn names(&self) -> impl Iterator<Item = &'a str> {
        self.set.split(',').filter_map(|set| Some(set.split_once('=')?.0))
    }

    /// Whether helm names both when they are set at once.
    fn goes_with(&self, other: &Self) -> bool {
        self.chart == other.chart
            && self.place != other.place
            && self.names().all(|name| other.names().all(|other| name != other))
    }
}

/// Checks that helm names each of these, in few calls: it names all that the schema rejects.
#[track_caller]
fn each_is_named<'a>(all: impl Iterator<Item = Wrong<'a>>) {
    let mut calls: Vec<Vec<Wrong<'_>>> = Vec::new();
    for wrong in all {
        match calls.iter_mut().find(|call| call.iter().all(|other| wrong.goes_with(other))) {
            Some(call) => call.push(wrong),
            None => calls.push(vec![wrong]),
        }
    }
    for call in calls {
        let sets: Vec<_> = call.iter().map(|wrong| format!("--set={}", wrong.set)).collect();
        let chart = chart(call[0].chart);
        let mut arguments = vec!["template", call[0].chart, chart.to_str().expect("a path is text")];
        arguments.extend(sets.iter().map(String::as_str));
        let rendered = helm(&arguments);
        assert_eq!(rendered.status, Some(1), "{sets:?} were taken");
        for Wrong { set, said, .. } in &call {
            assert!(said.iter().any(|said| rendered.stderr.contains(said)), "{set}: {}", rendered.stderr);
        }
    }
}

/// Checks that the chart does not render with this, and that helm prints all of these.
#[track_caller]
fn check(name: &str, set: &str, said: &[&str]) {
    rejected(name, &[&format!("--set={set}")], said);
}

#[track_caller]
fn rejected(name: &str, arguments: &[&str], said: &[&str]) {
    let chart = chart(name);
    let rendered = helm(&[&["template", name, chart.to_str().expect("a path is text")], arguments].concat());
    assert_eq!(rendered.status, Some(1), "{arguments:?} was taken");
    for part in said {
        assert!(rendered.stderr.contains(part), "{arguments:?}: {}", rendered.stderr);
    }
}

/// Charts, misspelt values, and the part that no schema has.
const MISSPELT: &[(&str, &str, &str)] = &[
    (MIMIR_RLS, "imge.tag=v1", "imge"),
    (MIMIR_RLS, "image.tags=v1", "tags"),
    (MIMIR_RLS, "hpa.maxReplica=3", "maxReplica"),
    (MIMIR_RLS, "pdb.enable=true", "enable"),
    (MIMIR_RLS, "limits.enforceBodyParsin=true", "enforceBodyParsin"),
    (MIMIR_RLS, "mimir.distributor=3", "distributor"),
    (MIMIR_RLS, "edgeConfig.modes=shadow", "modes"),
    (MIMIR_RLS, "edgeConfig.tenants.a.limits=1", "limits"),
    (MIMIR_RLS, "edgeConfig.edge_limits.max_series=1", "max_series"),
    (MIMIR_RLS, "networkPolicy.from=1", "from"),
    (MIMIR_RLS, "tls.certmanager.enabled=true", "certmanager"),
    (OVERRIDES_SYNC, "tls.secret=a", "secret"),
    (ENVOY, "tls.certManager.issuer=a", "issuer"),
    (ENVOY, "sidecar.limits.maxRequestBytes=1", "maxRequestBytes"),
    (OVERRIDES_SYNC, "http.token=a", "token"),
    (ENVOY, "networkPolicy.egress.dns=53", "dns"),
    (MIMIR_RLS, "prometheusRule.enable=true", "enable"),
    (MIMIR_RLS, "resources.limit.cpu=1", "limit"),
    (MIMIR_RLS, "drain.delay=1", "delay"),
    (OVERRIDES_SYNC, "mimir.overrideConfigMap=a", "overrideConfigMap"),
    (OVERRIDES_SYNC, "mimir.nameSpace=a", "nameSpace"),
    (OVERRIDES_SYNC, "hpa.enabled=true", "hpa"),
    (OVERRIDES_SYNC, "webhook.certmanager.issuerName=a", "certmanager"),
    (OVERRIDES_SYNC, "webhook.certManager.issuer=a", "issuer"),
    (OVERRIDES_SYNC, "events.on=true", "on"),
    (OVERRIDES_SYNC, "serviceMonitor.period=1s", "period"),
    (ENVOY, "extAuth.failureModeAllow=true", "extAuth"),
    (ENVOY, "extAuthz.failureModeAlow=true", "failureModeAlow"),
    (ENVOY, "rateLimit.failureModeAllow=true", "failureModeAllow"),
    (ENVOY, "limits.enforceBodyparsing=true", "enforceBodyparsing"),
    (ENVOY, "mimir.hosts=a", "hosts"),
    (ENVOY, "mimir.timeout=25s", "timeout"),
    (ENVOY, "mimir.tls.ca=/a", "ca"),
    (ENVOY, "resources.limit.memory=1Gi", "limit"),
    (ENVOY, "listeners.port=1", "port"),
    (ENVOY, "paths[0].path=/a,paths[0].action=pass,paths[0].type=prefix", "type"),
    (ENVOY, "sidecar.sticky=true", "sticky"),
    (ENVOY, "prometheusRule.enable=true", "enable"),
];

#[test]
fn a_misspelt_value_fails_with_its_name() {
    each_is_named(MISSPELT.iter().map(|&(chart, set, misspelt)| {
        let (before, _) = set.rsplit_once(misspelt).expect("it is a part of the name");
        let said = [
            format!("additional properties '{misspelt}' not allowed"),
            format!("Additional property {misspelt} is not allowed"),
        ];
        // helm puts those of one object into one message.
        Wrong { chart, set, place: before, said }
    }));
}

/// Charts, values of a wrong type or range, and where these are in `values.yaml`.
const OF_WRONG_TYPE_OR_RANGE: &[(&str, &str, &str)] = &[
    (MIMIR_RLS, "replicaCount=two", "/replicaCount"),
    (MIMIR_RLS, "serviceMonitor.enabled=never", "/serviceMonitor/enabled"),
    (MIMIR_RLS, "auditLog=relative/path", "/auditLog"),
    (OVERRIDES_SYNC, "listeners.address=localhost", "/listeners/address"),
    (ENVOY, "dnsLookupFamily=BOTH", "/dnsLookupFamily"),
    (ENVOY, "sidecar.limits.source=file:a", "/sidecar/limits/source"),
    (MIMIR_RLS, "replicaCount=0", "/replicaCount"),
    (MIMIR_RLS, "hpa.enabled=yes", "/hpa/enabled"),
    (MIMIR_RLS, "hpa.maxReplicas=0", "/hpa/maxReplicas"),
    (MIMIR_RLS, "image.pullPolicy=Sometimes", "/image/pullPolicy"),
    (MIMIR_RLS, "limits.source=http://overrides-sync:8083", "/limits/source"),
    (MIMIR_RLS, "limits.source=kube:mimir", "/limits/source"),
    (MIMIR_RLS, "limits.source=kube:mimir/runtime/a b", "/limits/source"),
    (MIMIR_RLS, "limits.source=", "/limits/source"),
    (MIMIR_RLS, "limits.enforceBodyParsing=on", "/limits/enforceBodyParsing"),
    (MIMIR_RLS, "limits.unreadableBody=allow", "/limits/unreadableBody"),
    (MIMIR_RLS, "limits.maxRequestBytes=100MiB", "/limits/maxRequestBytes"),
    (MIMIR_RLS, "limits.maxDecodedBytes=0", "/limits/maxDecodedBytes"),
    (MIMIR_RLS, "limits.maxRequestBytes=2147483649", "/limits/maxRequestBytes"),
    (MIMIR_RLS, "chargeSamplesIn=both", "/chargeSamplesIn"),
    (MIMIR_RLS, "mimir.distributors=0", "/mimir/distributors"),
    (MIMIR_RLS, "mimir.haTracker=off", "/mimir/haTracker"),
    (MIMIR_RLS, "mimir.haTrackerUrl=mimir-distributor:8080", "/mimir/haTrackerUrl"),
    (MIMIR_RLS, "edgeConfig.mode=enforced", "/edgeConfig/mode"),
    (MIMIR_RLS, "edgeConfig.tenants.a.mode=true", "/edgeConfig/tenants/a/mode"),
    (MIMIR_RLS, "edgeConfig.edge_limits.max_body_bytes=-1", "/edgeConfig/edge_limits/max_body_bytes"),
    (MIMIR_RLS, "drain.delaySeconds=15s", "/drain/delaySeconds"),
    (MIMIR_RLS, "log.format=xml", "/log/format"),
    (MIMIR_RLS, "serviceMonitor.interval=15", "/serviceMonitor/interval"),
    (MIMIR_RLS, "prometheusRule.disabled=RLSDown", "/prometheusRule/disabled"),
    (ENVOY, "prometheusRule.runbookUrl=a b", "/prometheusRule/runbookUrl"),
    (MIMIR_RLS, "nodeSelector.ssd=true", "/nodeSelector/ssd"),
    (OVERRIDES_SYNC, "mimir.overridesConfigMap=", "/mimir/overridesConfigMap"),
    (OVERRIDES_SYNC, "mimir.overridesLabel=runtime", "/mimir/overridesLabel"),
    (OVERRIDES_SYNC, "mimir.overridesKeys={a/b}", "/mimir/overridesKeys/0"),
    (OVERRIDES_SYNC, "mimir.namespace=Mimir", "/mimir/namespace"),
    (OVERRIDES_SYNC, "mimir.limits=5", "/mimir/limits"),
    (OVERRIDES_SYNC, "allowEmptyOverrides=1", "/allowEmptyOverrides"),
    (OVERRIDES_SYNC, "webhook.url=http://host/validate", "/webhook/url"),
    (OVERRIDES_SYNC, "webhook.certManager.issuerKind=Authority", "/webhook/certManager/issuerKind"),
    (OVERRIDES_SYNC, "tolerations.key=a", "/tolerations"),
    (ENVOY, "mode=shadow", "/mode"),
    (ENVOY, "drain.delaySeconds=null", "/drain"),
    (ENVOY, "drain.maxConnectionSeconds=604801", "/drain/maxConnectionSeconds"),
    (ENVOY, "drain.maxConnectionRequests=4294967296", "/drain/maxConnectionRequests"),
    (ENVOY, "listeners.trustedProxies=256", "/listeners/trustedProxies"),
    (MIMIR_RLS, "drain.delaySeconds=null", "/drain"),
    (OVERRIDES_SYNC, "drain.timeoutSeconds=null", "/drain"),
    (ENVOY, "extAuthz.failureModeAllow=yes", "/extAuthz/failureModeAllow"),
    (ENVOY, "extAuthz.timeoutSeconds=0", "/extAuthz/timeoutSeconds"),
    (ENVOY, "extAuthz.timeoutSeconds=null", "/extAuthz"),
    (ENVOY, "mimir.timeoutSeconds=null", "/mimir"),
    (ENVOY, "limits.maxPushes=null", "/limits"),
    (ENVOY, "limits.maxUploads=null", "/limits"),
    (ENVOY, "limits.clientIpv6Prefix=31", "/limits/clientIpv6Prefix"),
    (ENVOY, "limits.maxRequestBytes=16MiB", "/limits/maxRequestBytes"),
    (ENVOY, "limits.maxRequestBytes=104857601", "/limits/maxRequestBytes"),
    (ENVOY, "mimir.host=http://mimir:8080", "/mimir/host"),
    (ENVOY, "mimir.port=70000", "/mimir/port"),
    (ENVOY, "listeners.address=all", "/listeners/address"),
    (ENVOY, "log.level=warn", "/log/level"),
    (ENVOY, "service.type=ExternalName", "/service/type"),
    (ENVOY, "service.externalTrafficPolicy=local", "/service/externalTrafficPolicy"),
    (ENVOY, "paths[0].path=/a,paths[0].action=allow", "/paths/0/action"),
    (ENVOY, "paths[0].path=/a", "/paths/0"),
    (ENVOY, "paths[0].path=/a,paths[0].action=pass,paths[0].match=regex", "/paths/0/match"),
    (ENVOY, "paths[0].path=a,paths[0].action=pass", "/paths/0/path"),
    (ENVOY, "paths[0].path=/a/,paths[0].action=pass", "/paths/0/path"),
    (ENVOY, "paths[0].path=/a%2Fb,paths[0].action=pass", "/paths/0/path"),
    (MIMIR_RLS, "mimir.defaultTenant=a|b", "/mimir/defaultTenant"),
    (MIMIR_RLS, "mimir.defaultTenant=..", "/mimir/defaultTenant"),
    (ENVOY, "sidecar.mimir.defaultTenant=a/b", "/sidecar/mimir/defaultTenant"),
    (ENVOY, "mimir.singleTenant=a|b", "/mimir/singleTenant"),
    (ENVOY, "mimir.singleTenant=.", "/mimir/singleTenant"),
];

#[test]
fn a_value_of_wrong_type_or_range_is_named() {
    each_is_named(OF_WRONG_TYPE_OR_RANGE.iter().map(|&(chart, set, path)| {
        let said = [format!("at '{path}'"), format!("- {}: ", path.trim_start_matches('/').replace('/', "."))];
        Wrong { chart, set, place: path, said }
    }));
}

#[test]
fn selector_labels_cannot_be_set() {
    for (name, label) in [(MIMIR_RLS, "name"), (OVERRIDES_SYNC, "instance"), (ENVOY, "name")] {
        let set = format!("podLabels.app\\.kubernetes\\.io/{label}=edge");
        check(name, &set, &[&format!("invalid propertyName 'app.kubernetes.io/{label}'")]);
    }
}

#[test]
fn values_that_contradict_each_other_fail_with_both_names() {
    for name in [MIMIR_RLS, ENVOY] {
        check(name, "hpa.enabled=true,replicaCount=11", &["hpa.maxReplicas is 10", "replicaCount", "which is 11"]);
        check(name, "hpa.enabled=true,resources.requests.cpu=null", &["hpa.enabled needs resources.requests.cpu"]);
    }
    check(ENVOY, "listeners.metricsPort=8080", &["listeners.pushPort and listeners.metricsPort are both 8080"]);
    check(
        ENVOY,
        "service.externalTrafficPolicy=Local",
        &["service.externalTrafficPolicy needs service.type LoadBalancer or NodePort"],
    );
    check(
        ENVOY,
        "sidecar.enabled=true,replicaCount=1,sidecar.httpPort=9903",
        &["listeners.probePort and sidecar.httpPort are both 9903"],
    );
    check(ENVOY, "listeners.probePort=9902", &["listeners.drainPort and listeners.probePort are both 9902"]);
    check(
        MIMIR_RLS,
        "limits.maxInFlightBytes=423624703",
        &["limits.maxInFlightBytes is 423624703", "at least 423624704"],
    );
    check(
        MIMIR_RLS,
        "mimir.haTracker=false,mimir.haTrackerUrl=http://a:1",
        &["mimir.haTrackerUrl", "mimir.haTracker=false"],
    );
    check(
        MIMIR_RLS,
        "mimir.defaultTenant=anonymous,chargeSamplesIn=rate-limit",
        &["mimir.defaultTenant is anonymous", "chargeSamplesIn is rate-limit"],
    );
    check(
        ENVOY,
        "sidecar.enabled=true,sidecar.mimir.defaultTenant=anonymous,rateLimit.enabled=true",
        &["sidecar.mimir.defaultTenant is anonymous", "rateLimit.enabled is true"],
    );
    let several = ["replicaCount=2", "replicaCount=1,hpa.enabled=true"];
    for pods in several {
        let set = format!("sidecar.enabled=true,mimir.singleTenant=anonymous,{pods}");
        check(ENVOY, &set, &["mimir.singleTenant with sidecar.enabled", "replicaCount=1 and hpa.enabled=false"]);
    }
}

#[test]
fn several_pods_with_a_sidecar_need_a_sticky_front() {
    let alone = "sidecar.enabled gives each pod buckets of its own";
    for (pods, says) in [
        ("", "replicaCount is 2: the pods allow a tenant 2 times its limit"),
        (",replicaCount=3", "replicaCount is 3: the pods allow a tenant 3 times its limit"),
        (",replicaCount=1,hpa.enabled=true", "hpa.enabled is true"),
    ] {
        let set = format!("sidecar.enabled=true{pods}");
        check(ENVOY, &set, &[alone, says, "replicaCount=1", "sidecar.stickyFront=true if a front sends each tenant"]);
        let acknowledged = rendered(ENVOY, &[&format!("--set={set},sidecar.stickyFront=true")]);
        assert!(acknowledged.contains("--grpc-listen=unix:"), "{acknowledged}");
    }
    let one = rendered(ENVOY, &["--set=sidecar.enabled=true,replicaCount=1"]);
    assert!(one.contains("--grpc-listen=unix:"), "{one}");
}

#[test]
fn a_listed_path_that_contradicts_its_action_is_named() {
    let listed = |path: &str, more: &str| format!("paths[0].path={path},paths[0].action={more}");
    let only_remote_write = "action: decide, but mimir-rls decides remote write only, not OTLP or Influx";
    for path in ["/otlp/v1/metrics", "/otlp", "/api/v1/push/influx/write", "/otlp/push", "/mimir"] {
        check(ENVOY, &listed(path, "decide"), &[&format!("paths: {path} has {only_remote_write}")]);
    }
    let below = "match: prefix and action: decide, but not all paths below a prefix take remote write";
    check(ENVOY, &listed("/mimir", "decide,paths[0].match=prefix"), &[&format!("paths: /mimir has {below}")]);
    for path in ["/api/v1/push", "/healthz"] {
        check(ENVOY, &listed(path, "pass"), &[&format!("paths names {path}, which Envoy has a route for already")]);
    }
    check(ENVOY, &listed("/a/../b", "refuse"), &["paths: /a/../b has a dot segment"]);
    let twice = "pass,paths[1].path=/a,paths[1].match=exact,paths[1].action=refuse";
    check(ENVOY, &listed("/a", twice), &["paths names /a (exact) twice"]);
}

#[test]
fn values_without_what_they_need_fail_with_its_name() {
    let both = "caBundle.configMap=a,caBundle.secret=b";
    for name in CHARTS {
        check(name, both, &["caBundle.configMap and caBundle.secret are both set"]);
        let issuer = "tls.enabled=true,tls.certManager.enabled=true";
        check(name, issuer, &["tls.certManager.enabled needs tls.certManager.issuerRef.name"]);
    }
    for name in [MIMIR_RLS, OVERRIDES_SYNC] {
        check(name, "http.tls=true", &["http.tls needs tls.enabled"]);
    }
    let unknown = "prometheusRule.enabled=always,prometheusRule.disabled={OverridesSyncUp}";
    for name in [MIMIR_RLS, ENVOY] {
        check(name, unknown, &[&format!("the chart {name} has no alert OverridesSyncUp")]);
    }
    let old = ["--set=sidecar.enabled=true", "--kube-version=1.28.15"];
    rejected(ENVOY, &old, &["sidecar.enabled needs Kubernetes 1.29 (this is v1.28.15)"]);
}

#[test]
fn an_unsupported_webhook_fails_with_the_value_that_helps() {
    let webhook = |more: &str| format!("--set=webhook.enabled=true,{more}");
    let by_authority = webhook("webhook.caBundle=pem");
    rejected(
        OVERRIDES_SYNC,
        &[&by_authority, "--kube-version=1.27.16"],
        &[
            "webhook.objectSelector is needed below Kubernetes 1.28 (this is v1.27.16)",
            "label the ConfigMap mimir-runtime",
        ],
    );
    let by_cert_manager = webhook("webhook.certManager.issuerName=ca");
    let without = ["webhook.certManager.issuerName is set, and this cluster has no cert-manager.io/v1"];
    rejected(OVERRIDES_SYNC, &[&by_cert_manager], &without);
    rejected(OVERRIDES_SYNC, &[&by_cert_manager, "--api-versions=cert-manager.io/v1alpha2/Certificate"], &without);
    let template = |arguments: &[&str]| {
        let chart = chart(OVERRIDES_SYNC);
        let command = ["template", OVERRIDES_SYNC, chart.to_str().expect("a path is text")];
        helm(&[&command, arguments].concat()).ok()
    };
    let labelled = webhook("webhook.caBundle=pem,webhook.objectSelector.matchLabels.overrides=mimir");
    assert!(template(&[&labelled, "--kube-version=1.27.16"]).contains("objectSelector"));
    assert!(template(&[&by_authority, "--kube-version=1.28.0"]).contains("matchConditions"));
}

#[test]
fn the_certificate_names_the_host_that_the_api_server_calls() {
    for (url, expected) in [
        ("", ""),
        ("https://edge.example.com/validate", "    - \"edge.example.com\"\n  issuerRef"),
        ("https://edge.example.com:8443/validate", "    - \"edge.example.com\"\n  issuerRef"),
        ("https://10.1.2.3:8443/validate", "  ipAddresses:\n    - \"10.1.2.3\"\n  issuerRef"),
        ("https://[fd00::1]:8443/validate", "  ipAddresses:\n    - \"fd00::1\"\n  issuerRef"),
    ] {
        let chart = chart(OVERRIDES_SYNC);
        let set = format!("--set=webhook.enabled=true,webhook.certManager.issuerName=ca,webhook.url={url}");
        let path = chart.to_str().expect("a path is text");
        let rendered = helm(&["template", "a", path, &set, "--api-versions=cert-manager.io/v1/Certificate"]).ok();
        let names = "dnsNames:\n    - a-overrides-sync-webhook.default.svc\n    - a-overrides-sync-webhook.default.svc.cluster.local\n";
        assert!(rendered.contains(names) && rendered.contains(expected), "{url}: {rendered}");
        let elsewhere = helm(&[
            "template",
            "a",
            path,
            &set,
            "--set=clusterDomain=example.internal",
            "--api-versions=cert-manager.io/v1/Certificate",
        ]);
        let name = "    - a-overrides-sync-webhook.default.svc.example.internal\n";
        assert!(elsewhere.ok().contains(name), "{url}");
    }
}
