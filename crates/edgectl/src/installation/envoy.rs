//! Envoy: its listener for pushes, and its metrics port.

use futures_util::future::join_all;
use futures_util::join;

use super::finding::{Advice, Finding, Hop, Link, Status};
use super::scrape::Metrics;
use super::server::{CERTIFICATES, Found, lifetime, not_given, renew};
use super::{Seen as Installation, words};
use crate::edge_api::{ApiError, Replica};

const TAKES_PUSHES: &str = "it takes pushes";
const METRICS: &str = "it shows its metrics";
const BODIES: &str = "it takes no larger pushes than mimir-rls";

/// What Envoy says of an expiry where it has no certificate.
const NO_CERTIFICATE: f64 = 4_294_967_295.0;

/// What all Envoys say.
pub(super) struct Seen {
    pushes: Found,
    /// Of each listener for pushes, whether it answers.
    listeners: Vec<(String, Result<String, ApiError>)>,
    metrics: Found,
    admins: Vec<Admin>,
}

/// The metrics port of one Envoy.
struct Admin {
    name: String,
    metrics: Result<Metrics, String>,
    /// None of an Envoy whose configuration is not that of the chart.
    settings: Option<Settings>,
}

/// `GET /settings`.
#[derive(Clone, Debug, PartialEq)]
struct Settings {
    mode: String,
    max_request_bytes: f64,
}

impl Settings {
    /// Reads `NAME: VALUE` lines.
    fn read(page: &str) -> Option<Self> {
        let value = |name: &str| page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        Some(Self {
            mode: value("mode")?.trim().to_owned(),
            max_request_bytes: value("max_request_bytes")?.trim().parse().ok()?,
        })
    }
}

/// Asks both ports of all Envoys.
pub(super) async fn look(pushes: Found, metrics: Found) -> Seen {
    let listener = async |replica: &Replica| (replica.name().to_owned(), replica.text("/healthz").await);
    let (listeners, admins) =
        join!(join_all(pushes.replicas().iter().map(listener)), join_all(metrics.replicas().iter().map(Admin::visit)));
    Seen { pushes, listeners, metrics, admins }
}

impl Admin {
    async fn visit(replica: &Replica) -> Self {
        let (metrics, settings) = join!(replica.text("/stats/prometheus"), replica.text("/settings"));
        Self {
            name: replica.name().to_owned(),
            metrics: metrics.map(Metrics::new).map_err(|error| error.to_string()),
            settings: settings.ok().as_deref().and_then(Settings::read),
        }
    }
}

impl Seen {
    fn of_admins(&self) -> impl Iterator<Item = (&str, &Metrics)> {
        self.admins.iter().filter_map(|admin| Some((admin.name.as_str(), admin.metrics.as_ref().ok()?)))
    }

    fn settings(&self) -> impl Iterator<Item = &Settings> {
        self.admins.iter().filter_map(|admin| admin.settings.as_ref())
    }

    /// Whether an Envoy only decides copies, so that no push reaches Mimir through it.
    pub(super) fn only_mirrors(&self) -> bool {
        self.settings().any(|settings| settings.mode == "mirror")
    }

    /// Why it is not known that pushes reach Mimir through each Envoy; none if they do.
    pub(super) fn forwards_nothing(&self) -> Option<&'static str> {
        let members = |(_, metrics): (&str, &Metrics)| {
            metrics.labelled("envoy_cluster_membership_total", "envoy_cluster_name=\"mimir\"").unwrap_or_default()
        };
        if self.only_mirrors() {
            Some("Envoy only decides copies of pushes (mode mirror)")
        } else if self.admins.is_empty() {
            Some("give --envoy-admin URL, which says where Envoy sends it")
        } else if self.settings().count() < self.admins.len() {
            Some("Envoy does not say whether it forwards pushes (/settings)")
        } else if self.of_admins().map(members).any(|members| members <= 0.0) {
            Some("Envoy has no Mimir to forward it to")
        } else {
            None
        }
    }

    /// All of both ports that can be asked.
    pub(super) fn replicas(&self) -> &[Replica] {
        match self.pushes.replicas() {
            [] => self.metrics.replicas(),
            replicas => replicas,
        }
    }

    /// Whether pushes go around this hop: a front door that fails open sends them to Mimir while Envoy is down, and an Envoy while mimir-rls is.
    pub(super) fn is_passed_by(&self) -> bool {
        let is_down = !self.listeners.is_empty() && self.listeners.iter().all(|(_, answer)| answer.is_err());
        let healthy = |(_, metrics): (&str, &Metrics)| {
            metrics.labelled("envoy_cluster_membership_healthy", "envoy_cluster_name=\"mimir_rls\"")
        };
        is_down
            || matches!(self.pushes, Found::Missing(_))
            || self.of_admins().filter_map(healthy).any(|healthy| healthy <= 0.0)
    }

    /// Whether the members of a cluster pass the health checks of every Envoy.
    pub(super) fn reaches(&self, hop: Hop, cluster: &str, advice: impl FnOnce() -> Advice) -> Finding {
        const REACHES: &str = "Envoy reaches it";
        let label = format!("envoy_cluster_name=\"{cluster}\"");
        let of = |metrics: &Metrics, name: &str| metrics.labelled(name, &label).unwrap_or_default();
        let counts = self.of_admins().map(|(name, metrics)| {
            let (healthy, total) =
                (of(metrics, "envoy_cluster_membership_healthy"), of(metrics, "envoy_cluster_membership_total"));
            (healthy, total, format!("{name}: {healthy} of {total} pass its health checks"))
        });
        let counts: Vec<_> = counts.collect();
        let Some(least) = counts.iter().map(|(healthy, ..)| *healthy).reduce(f64::min) else {
            return Finding::skipped(hop, REACHES, not_given("--envoy-admin"));
        };
        let lines: Vec<_> = counts.iter().map(|(.., line)| line.clone()).collect();
        let is_whole = counts.iter().all(|(healthy, total, _)| healthy == total);
        match least {
            least if least <= 0.0 => Finding::failure(hop, REACHES, words::list(&lines), advice()),
            _ if is_whole => Finding::ok(hop, REACHES, words::list(&lines)),
            _ => Finding::warning(hop, REACHES, words::list(&lines), advice()),
        }
    }
}

pub(super) fn findings(seen: &Installation<'_>) -> Vec<Finding> {
    let mut findings = vec![listens(seen), shows_metrics(seen)];
    findings.extend(certificates(seen));
    findings.push(bodies(seen));
    findings
}

fn restart(seen: &Installation<'_>, hint: &str) -> Advice {
    Advice::new(hint, seen.place.kubectl("rollout restart deployment/mimir-envoy"), Link::EnvoyDown)
}

fn listens(seen: &Installation<'_>) -> Finding {
    let Seen { pushes, listeners, .. } = &seen.envoy;
    match pushes {
        Found::NotGiven(port) => return Finding::skipped(Hop::Envoy, TAKES_PUSHES, not_given(port.flag())),
        Found::Missing(why) => {
            // There may be no Deployment of this name.
            let command = seen.place.kubectl("get deployments,pods");
            let advice = Advice::new("start Envoy", command, Link::EnvoyDown);
            return Finding::failure(Hop::Envoy, TAKES_PUSHES, why.clone(), advice);
        }
        Found::At(_) => {}
    }
    let fault =
        |(name, answer): &(String, Result<String, ApiError>)| Some(format!("{name}: {}", answer.as_ref().err()?));
    let faults: Vec<_> = listeners.iter().filter_map(fault).collect();
    let names: Vec<_> = listeners.iter().map(|(name, _)| name.as_str()).collect();
    match &faults[..] {
        [] => Finding::ok(Hop::Envoy, TAKES_PUSHES, words::named(&names)),
        faults => {
            let hint =
                "start Envoy, or name its listener for pushes (port 8080) with --envoy; its log says why it ended";
            Finding::failure(Hop::Envoy, TAKES_PUSHES, words::list(faults), restart(seen, hint))
        }
    }
}

fn shows_metrics(seen: &Installation<'_>) -> Finding {
    let Seen { metrics, admins, .. } = &seen.envoy;
    if let Some(why) = metrics.why_not() {
        return Finding::skipped(Hop::Envoy, METRICS, why);
    }
    let fault = |admin: &Admin| Some(format!("{}: {}", admin.name, admin.metrics.as_ref().err()?));
    let faults: Vec<_> = admins.iter().filter_map(fault).collect();
    match &faults[..] {
        [] => Finding::ok(Hop::Envoy, METRICS, ""),
        faults => {
            // Pushes may pass all the same, so no Envoy is to be restarted for it.
            let hint = "name Envoy's metrics port (9901) with --envoy-admin, and let a NetworkPolicy admit this host";
            Finding::warning(Hop::Envoy, METRICS, words::list(faults), Advice::hint(hint, Link::EnvoyDown))
        }
    }
}

fn certificates(seen: &Installation<'_>) -> Option<Finding> {
    let days = |(name, metrics): (&str, &Metrics)| {
        let days = metrics.value("envoy_server_days_until_first_cert_expiring")?;
        // Envoy counts whole days: 0 is the last one, or an expired certificate.
        (days < NO_CERTIFICATE).then(|| match days < 1.0 {
            true => (Status::Warning, format!("{name}: a certificate expires within a day, or has expired")),
            false => lifetime(name, days * 86_400.0),
        })
    };
    let (status, line) = seen.envoy.of_admins().filter_map(days).max()?;
    Some(match status {
        Status::Ok | Status::Skipped => Finding::ok(Hop::Envoy, CERTIFICATES, ""),
        Status::Warning => Finding::warning(Hop::Envoy, CERTIFICATES, line, renew(&seen.place)),
        Status::Failure => Finding::failure(Hop::Envoy, CERTIFICATES, line, renew(&seen.place)),
    })
}

/// A push that Envoy takes and mimir-rls does not gets 413, which clients do not retry.
fn bodies(seen: &Installation<'_>) -> Finding {
    let of_envoy = seen.envoy.settings().map(|settings| settings.max_request_bytes).reduce(f64::max);
    let of_rls = seen.rls.metrics().filter_map(|(_, metrics)| metrics.value("rls_max_request_bytes")).reduce(f64::min);
    match (of_envoy, of_rls) {
        (None, _) if seen.envoy.of_admins().next().is_none() => {
            Finding::skipped(Hop::Envoy, BODIES, not_given("--envoy-admin"))
        }
        (None, _) => Finding::skipped(
            Hop::Envoy,
            BODIES,
            "its metrics port has no /settings, which the chart's configuration has",
        ),
        (_, None) => {
            Finding::skipped(Hop::Envoy, BODIES, "no mimir-rls says how large a push may be (rls_max_request_bytes)")
        }
        (Some(envoy), Some(rls)) if envoy <= rls => Finding::ok(
            Hop::Envoy,
            BODIES,
            format!("at most {}, and mimir-rls {}", words::bytes(envoy), words::bytes(rls)),
        ),
        (Some(envoy), Some(rls)) => {
            let detail = format!(
                "Envoy takes pushes of {}, and mimir-rls of {}: larger ones get 413 from mimir-rls, and clients drop them",
                words::bytes(envoy),
                words::bytes(rls)
            );
            let command = seen.place.helm(&format!(
                "upgrade mimir-rls charts/mimir-rls/ --reset-then-reuse-values --set limits.maxRequestBytes={envoy}"
            ));
            let hint = format!("let mimir-rls take what Envoy takes: --max-request-bytes {envoy}");
            Finding::failure(Hop::Envoy, BODIES, detail, Advice::new(hint, command, Link::PushesTooLarge))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_lines() {
        let settings = Settings::read("mode: enforce\nmax_request_bytes: 16777216\nfailure_mode_allow: false\n");
        assert_eq!(settings, Some(Settings { mode: "enforce".to_owned(), max_request_bytes: 16_777_216.0 }));
        assert_eq!(Settings::read("invalid path"), None);
    }
}
