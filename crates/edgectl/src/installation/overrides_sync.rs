//! overrides-sync, and the limits on their way to mimir-rls.

use super::finding::{Advice, Finding, Hop, Link};
use super::scrape::Metrics;
use super::server::Found;
use super::{Seen, words};

const FOLLOWED: &str = "mimir-rls follows it";
const FRESH: &str = "the limits are fresh";

pub(super) fn findings(seen: &Seen<'_>) -> Vec<Finding> {
    let hop = Hop::OverridesSync;
    let mut findings = match &seen.sync.found {
        Found::NotGiven(_) | Found::Missing(_) if reads_itself(seen) => {
            vec![Finding::skipped(hop, FOLLOWED, "mimir-rls reads its limits itself")]
        }
        _ => seen.sync.lives(hop, &seen.place, Link::OverridesSyncDown, Link::OverridesSyncDown),
    };
    let certificates = "overrides_sync_certificate_not_after_timestamp_seconds";
    findings.extend(seen.sync.certificates(hop, &seen.place, certificates));
    findings.extend(followed(seen));
    findings.extend(fresh(seen));
    findings
}

/// Whether some mimir-rls answers and none has a feed.
fn reads_itself(seen: &Seen<'_>) -> bool {
    let mut metrics = seen.rls.metrics().peekable();
    metrics.peek().is_some() && metrics.all(|(_, metrics)| metrics.value("rls_limits_feed_connected").is_none())
}

fn followed(seen: &Seen<'_>) -> Option<Finding> {
    let connected =
        seen.rls.metrics().filter_map(|(name, metrics)| Some((name, metrics.value("rls_limits_feed_connected")?)));
    let connected: Vec<_> = connected.collect();
    let lost: Vec<_> = connected
        .iter()
        .filter(|(_, connected)| *connected <= 0.0)
        .map(|(name, _)| format!("{name} has no stream of limits"))
        .collect();
    match (&connected[..], &lost[..]) {
        ([], _) => None,
        (_, []) => Some(Finding::ok(Hop::OverridesSync, FOLLOWED, "")),
        (_, lost) => {
            let hint = "let overrides-sync run, and mimir-rls reach its port 8083; the last good limits stay in force";
            let command = seen.place.kubectl("logs deployment/overrides-sync");
            Some(Finding::failure(
                Hop::OverridesSync,
                FOLLOWED,
                words::list(lost),
                Advice::new(hint, command, Link::OverridesSyncDown),
            ))
        }
    }
}

/// The age of the limits, first where they are read. A mimir-rls that reads its limits itself is to blame for their age.
fn fresh(seen: &Seen<'_>) -> Vec<Finding> {
    let of_sync = ages(seen.sync.metrics(), "overrides_sync_limits_stale_seconds");
    let of_rls = ages(seen.rls.metrics(), "rls_limits_stale_seconds");
    let watch = || {
        let hint = "let the API server answer, and let overrides-sync watch the ConfigMap; changes of limits do not arrive until then";
        Advice::new(hint, seen.place.kubectl("logs deployment/overrides-sync"), Link::LimitsStale)
    };
    let read = || {
        let hint = "let mimir-rls read what its --limits names; changes of limits do not arrive until then";
        Advice::new(hint, seen.place.kubectl("logs deployment/mimir-rls"), Link::LimitsStale)
    };
    let limit = seen.args.stale_after.as_secs_f64();
    if !reads_itself(seen) {
        return vec![judged(Hop::OverridesSync, &[of_sync, of_rls].concat(), limit, watch)];
    }
    let mut findings = vec![judged(Hop::MimirRls, &of_rls, limit, read)];
    if !of_sync.is_empty() {
        findings.push(judged(Hop::OverridesSync, &of_sync, limit, watch));
    }
    findings
}

/// Each age, and how it is said.
fn ages<'m>(all: impl Iterator<Item = (&'m str, &'m Metrics)>, metric: &str) -> Vec<(f64, String)> {
    let of = |(name, metrics): (&str, &Metrics)| {
        let age = metrics.value(metric)?;
        Some((age, format!("the limits of {name} were last confirmed {} ago", words::time(age))))
    };
    all.filter_map(of).collect()
}

fn judged(hop: Hop, ages: &[(f64, String)], limit: f64, advice: impl FnOnce() -> Advice) -> Finding {
    let old: Vec<_> = ages.iter().filter(|(age, _)| *age > limit).map(|(_, line)| line.clone()).collect();
    match (ages, &old[..]) {
        ([], _) => Finding::skipped(hop, FRESH, "no program says how old its limits are"),
        (ages, []) => {
            let oldest = ages.iter().map(|(age, _)| *age).fold(0.0, f64::max);
            Finding::ok(hop, FRESH, format!("confirmed {} ago", words::time(oldest)))
        }
        (_, old) => Finding::failure(hop, FRESH, words::list(old), advice()),
    }
}
