//! mimir-rls, which decides.

use super::finding::{Advice, Finding, Hop, Link};
use super::server::Found;
use super::{Seen, words};

const DEFAULTS: &str = "it has Mimir's default limits";

pub(super) fn findings(seen: &Seen<'_>) -> Vec<Finding> {
    let mut findings = seen.rls.lives(Hop::MimirRls, &seen.place, Link::RlsDown, Link::NotReady);
    let certificates = "rls_certificate_not_after_timestamp_seconds";
    findings.extend(seen.rls.certificates(Hop::MimirRls, &seen.place, certificates));
    findings.push(seen.envoy.reaches(Hop::MimirRls, "mimir_rls", || {
        let hint =
            "let a ready mimir-rls run, let Envoy reach its port 8081, and let their certificates be of the same CA";
        Advice::new(
            hint,
            seen.place.kubectl("get endpointslices --selector kubernetes.io/service-name=mimir-rls"),
            Link::RlsUnreachable,
        )
    }));
    findings.extend(default_limits(seen));
    findings
}

fn default_limits(seen: &Seen<'_>) -> Option<Finding> {
    let Found::At(_) = &seen.rls.found else { return None };
    let given = seen
        .rls
        .metrics()
        .filter_map(|(name, metrics)| metrics.value("rls_default_limits_given").map(|given| (name, given > 0.0)));
    let given: Vec<_> = given.collect();
    let without: Vec<_> = given.iter().filter(|(_, given)| !given).map(|(name, _)| *name).collect();
    match (&given[..], &without[..]) {
        ([], _) => None,
        (_, []) => Some(Finding::ok(Hop::MimirRls, DEFAULTS, "")),
        (_, without) => {
            let detail = format!(
                "{}: a tenant without an override has Mimir's built-in limits, whatever yours has",
                words::named(without)
            );
            let hint = "give Mimir's default limits, from Mimir itself: --default-limits-url URL (mimir.configUrl of charts/mimir-rls)";
            let command = seen
                .place
                .helm("upgrade mimir-rls charts/mimir-rls/ --reset-then-reuse-values --set mimir.configUrl=URL");
            let advice = Advice::new(hint, command, Link::DefaultLimits);
            Some(Finding::warning(Hop::MimirRls, DEFAULTS, detail, advice))
        }
    }
}
