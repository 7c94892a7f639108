//! What mimir-rls and overrides-sync have in common: an HTTP side with metrics, readiness, problems, and a certificate.

use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::future::join_all;
use futures_util::join;
use serde::Deserialize;

use super::finding::{Advice, Finding, Hop, Link, Status};
use super::place::Place;
use super::scrape::Metrics;
use super::words;
use crate::args::ApiArgs;
use crate::edge_api::{Address, EdgeApi, EdgeError, Port, Replica};

/// Where the processes of a program are.
pub(super) enum Found {
    At(EdgeApi),
    /// It has no pod that runs and can be reached.
    Missing(String),
    /// No flag says where.
    NotGiven(Port),
}

impl Found {
    /// Those that can be asked.
    pub(super) fn replicas(&self) -> &[Replica] {
        match self {
            Self::At(api) => api.replicas(),
            Self::Missing(_) | Self::NotGiven(_) => &[],
        }
    }

    /// Why nothing can be asked.
    pub(super) fn why_not(&self) -> Option<String> {
        match self {
            Self::At(_) => None,
            Self::Missing(why) => Some(why.clone()),
            Self::NotGiven(port) => Some(not_given(port.flag())),
        }
    }
}

/// The detail of a check that is skipped for want of a flag.
pub(super) fn not_given(flag: &str) -> String {
    format!("give {flag} URL")
}

/// Finds a program at the addresses of its flag, or its pods.
pub(super) fn find(args: &ApiArgs, port: Port, addresses: &[Address]) -> Result<Found, EdgeError> {
    match addresses {
        [] if args.are_pods() => found(EdgeApi::of_pods(args, port)),
        [] => Ok(Found::NotGiven(port)),
        addresses => found(EdgeApi::at(args, port, addresses.to_vec())),
    }
}

/// A program without pods is a finding, and not an error.
pub(super) fn found(api: Result<EdgeApi, EdgeError>) -> Result<Found, EdgeError> {
    match api {
        Ok(api) => Ok(Found::At(api)),
        Err(EdgeError::Unavailable(why)) => Ok(Found::Missing(why)),
        Err(error) => Err(error),
    }
}

/// A program, and what its processes say.
pub(super) struct Program {
    pub(super) found: Found,
    pub(super) servers: Vec<Server>,
}

/// A process of mimir-rls or overrides-sync.
pub(super) struct Server {
    pub(super) name: String,
    pub(super) metrics: Result<Metrics, String>,
    ready: Result<(), String>,
    pub(super) problems: Result<Vec<ProblemRow>, String>,
}

/// `GET /api/v1/problems`.
#[derive(Deserialize)]
struct ProblemsPage {
    problems: Vec<ProblemRow>,
}

/// A row of it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct ProblemRow {
    pub(super) code: String,
    kind: String,
    document: String,
    line: Option<u64>,
    tenant: Option<String>,
    pub(super) severity: String,
    message: String,
}

impl ProblemRow {
    /// As `edgectl check FILE` prints it.
    pub(super) fn line(&self) -> String {
        let Self { code, kind, document, line, tenant, message, .. } = self;
        let line = line.map_or_else(String::new, |line| format!(":{line}"));
        let tenant = tenant.as_deref().map_or_else(String::new, |tenant| format!("tenant {tenant}: "));
        format!("{document}{line}: {code} {kind}: {tenant}{message}")
    }
}

impl Server {
    /// Asks all processes of a program at the same time.
    pub(super) async fn visit_all(found: &Found) -> Vec<Self> {
        join_all(found.replicas().iter().map(Self::visit)).await
    }

    async fn visit(replica: &Replica) -> Self {
        let (metrics, ready, problems) = join!(
            replica.text("/metrics"),
            replica.text("/ready"),
            replica.get::<ProblemsPage>("/api/v1/problems?limit=1000")
        );
        Self {
            name: replica.name().to_owned(),
            metrics: metrics.map(Metrics::new).map_err(|error| error.to_string()),
            ready: ready.map(|_| ()).map_err(|error| error.to_string()),
            problems: problems.map(|page| page.problems).map_err(|error| error.to_string()),
        }
    }
}

impl Program {
    /// The metrics of those that answer.
    pub(super) fn metrics(&self) -> impl Iterator<Item = (&str, &Metrics)> {
        self.servers.iter().filter_map(|server| Some((server.name.as_str(), server.metrics.as_ref().ok()?)))
    }

    /// Whether all processes answer, and are ready.
    pub(super) fn lives(&self, hop: Hop, place: &Place, down: Link, not_ready: Link) -> Vec<Finding> {
        const ANSWERS: &str = "it answers";
        const READY: &str = "it is ready";
        let name = hop.name();
        let down = || {
            let hint = format!("start it, or name where it is with {}; its log says why it ended", self.flag(hop));
            Advice::new(hint, place.kubectl(&format!("rollout restart deployment/{name}")), down)
        };
        match &self.found {
            Found::NotGiven(port) => return vec![Finding::skipped(hop, ANSWERS, not_given(port.flag()))],
            Found::Missing(why) => {
                // There may be no Deployment of this name.
                let advice = Advice { command: place.kubectl("get deployments,pods"), ..down() };
                return vec![Finding::failure(hop, ANSWERS, why.clone(), advice)];
            }
            Found::At(_) => {}
        }
        let faults = |result: fn(&Server) -> Option<&String>| -> Vec<String> {
            let fault = |server: &Server| result(server).map(|why| format!("{}: {why}", server.name));
            self.servers.iter().filter_map(fault).collect()
        };
        let silent = faults(|server| server.metrics.as_ref().err());
        if let Some(expired) = silent.iter().find(|why| why.contains("certificate expired")) {
            return vec![Finding::failure(hop, CERTIFICATES, expired.clone(), renew(place))];
        }
        let names: Vec<_> = self.metrics().map(|(name, _)| name).collect();
        let answers = match &silent[..] {
            [] => Finding::ok(hop, ANSWERS, words::named(&names)),
            silent => Finding::failure(hop, ANSWERS, words::list(silent), down()),
        };
        if names.is_empty() {
            return vec![answers];
        }
        let unready = faults(|server| server.metrics.as_ref().ok().and(server.ready.as_ref().err()));
        let ready = match &unready[..] {
            [] => Finding::ok(hop, READY, ""),
            unready => {
                let hint = "it has no limits yet, or drains; its log and the hops below name the cause";
                let command = place.kubectl(&format!("logs deployment/{name}"));
                Finding::failure(hop, READY, words::list(unready), Advice::new(hint, command, not_ready))
            }
        };
        vec![answers, ready]
    }

    fn flag(&self, hop: Hop) -> &'static str {
        if hop == Hop::MimirRls { Port::MimirRls.flag() } else { Port::OverridesSync.flag() }
    }

    /// Whether the certificates in this metric are valid for some days; nothing without TLS.
    pub(super) fn certificates(&self, hop: Hop, place: &Place, name: &str) -> Option<Finding> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let mut worst = None;
        let mut lines = Vec::new();
        for (server, metrics) in self.metrics() {
            for (labels, not_after) in metrics.all(name).filter(|(_, at)| *at != 0.0) {
                let of = format!("{server}, {}", labels.strip_prefix("of=").unwrap_or(labels).trim_matches('"'));
                let (status, line) = match not_after < 0.0 {
                    true => (Status::Warning, format!("{of}: the date of its certificate cannot be read")),
                    false => lifetime(&of, not_after - now),
                };
                worst = worst.max(Some(status));
                if status != Status::Ok {
                    lines.push(line);
                }
            }
        }
        Some(match worst? {
            Status::Failure => Finding::failure(hop, CERTIFICATES, words::list(&lines), renew(place)),
            Status::Warning => Finding::warning(hop, CERTIFICATES, words::list(&lines), renew(place)),
            Status::Ok | Status::Skipped => Finding::ok(hop, CERTIFICATES, ""),
        })
    }
}

pub(super) const CERTIFICATES: &str = "its certificates are valid";

/// Of a certificate that expires in so many seconds.
pub(super) fn lifetime(whose: &str, seconds: f64) -> (Status, String) {
    const SOON: f64 = 7.0 * 86_400.0;
    match seconds {
        left if left <= 0.0 => {
            (Status::Failure, format!("{whose}: its certificate expired {} ago", words::time(-left)))
        }
        left if left < SOON => (Status::Warning, format!("{whose}: its certificate expires in {}", words::time(left))),
        _ => (Status::Ok, String::new()),
    }
}

pub(super) fn renew(place: &Place) -> Advice {
    let hint = "renew the certificate in its Secret; the programs read the new one without a restart";
    Advice::new(hint, place.kubectl("describe certificate"), Link::CertificateExpiring)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_judged_by_their_end() {
        assert_eq!(lifetime("a", -7_200.0), (Status::Failure, "a: its certificate expired 2 h ago".to_owned()));
        assert_eq!(lifetime("a", 86_400.0), (Status::Warning, "a: its certificate expires in 24 h".to_owned()));
        assert_eq!(lifetime("a", 8.0 * 86_400.0).0, Status::Ok);
    }
}
