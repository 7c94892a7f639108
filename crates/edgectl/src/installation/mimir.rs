//! Mimir, behind the edge.

use std::time::Duration;

use futures_util::join;
use http::StatusCode;
use http::uri::Scheme;
use limits::MimirVersion;
use limits_source::{DefaultLimits, MimirUrl};
use serde_json::Value;
use tokio::net::lookup_host;
use tokio::time::timeout;

use super::finding::{Advice, Finding, Hop, Link};
use super::mimir_pages::{active, has_limits, of_mimir, page, pairs, tracker_page};
use super::place::Place;
use super::push::Answer;
use super::{Seen as Installation, words};
use crate::check::{BUILD_PAGE, OVERRIDES_PAGE, RunningMimir, release};
use crate::mimir::MimirClient;
use crate::output::counted;

const RESOLVES: &str = "its name resolves";
const ANSWERS: &str = "it answers";
const VERSION: &str = "its version is known";
const DISTRIBUTORS: &str = "the edge counts its distributors";
const TRACKER: &str = "its HA tracker is followed";
const PUSH: &str = "a push reaches it";
const SHOWS_DISTRIBUTORS: &str = "it shows its distributors";

/// The age from which the list of elected replicas is stale, as in the alert HaTrackerStale.
const TRACKER_STALE: f64 = 60.0;
const DNS_TIMEOUT: Duration = Duration::from_secs(5);

/// What a Mimir says.
pub(super) struct Seen {
    pub(super) url: MimirUrl,
    /// How many addresses its name has.
    addresses: Result<usize, String>,
    /// Its answer to the request for its build.
    build: Result<Value, String>,
    version: Option<MimirVersion>,
    /// Its limits, if it shows them.
    pub(super) running: Result<RunningMimir, String>,
    distributors: Result<usize, String>,
    /// The pairs with an elected replica; none without an HA tracker.
    pairs: Result<Option<usize>, String>,
}

/// Asks a Mimir, if a flag names one. A known version wins over what it says.
pub(super) async fn look(client: Option<MimirClient>, known: Option<&MimirVersion>) -> Option<Seen> {
    let client = client?;
    let (addresses, build, config, overrides, ring, tracker) = join!(
        addresses(client.url()),
        page(&client, BUILD_PAGE),
        page(&client, "/config"),
        page(&client, OVERRIDES_PAGE),
        page(&client, "/distributor/ring"),
        tracker_page(&client),
    );
    let version = known.cloned().or_else(|| release(build.as_ref().ok()?));
    let distributors = ring.and_then(|page| active(&page));
    let running = config.and_then(|config| {
        has_limits(&config)?;
        let defaults =
            DefaultLimits::of_config_page(&client.url().to_string(), &config).map_err(|error| error.to_string())?;
        Ok(RunningMimir::new(client.url(), version.clone(), defaults, &overrides?))
    });
    Some(Seen {
        url: client.url().clone(),
        addresses,
        build: build.and_then(|page| of_mimir(&page)),
        version,
        running,
        pairs: tracker.and_then(|page| pairs(&page, distributors.is_ok())),
        distributors,
    })
}

async fn addresses(url: &MimirUrl) -> Result<usize, String> {
    let uri: http::Uri = url.to_string().parse().map_err(|_| "it is no URL".to_owned())?;
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
    let default = if uri.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
    let lookup = lookup_host((host.as_str(), uri.port_u16().unwrap_or(default)));
    match timeout(DNS_TIMEOUT, lookup).await {
        Ok(Ok(found)) => Ok(found.count()),
        Ok(Err(error)) => Err(format!("{host}: {error}")),
        Err(_) => Err(format!("{host}: no answer of DNS within {DNS_TIMEOUT:?}")),
    }
}

pub(super) fn start(place: &Place, hint: &str) -> Advice {
    let command = place.kubectl_of_mimir("get pods --selector app.kubernetes.io/component=distributor");
    Advice::new(hint, command, Link::MimirUnreachable)
}

/// Of a ring without an active member.
fn no_distributor(check: &'static str, place: &Place) -> Finding {
    let advice = start(place, "let Mimir's distributors run: without one it takes no pushes");
    Finding::failure(Hop::Mimir, check, "no distributor in Mimir's ring is active", advice)
}

pub(super) fn findings(seen: &Installation<'_>) -> Vec<Finding> {
    let mut findings = answers(&seen.place, seen.mimir.as_ref());
    if !seen.envoy.only_mirrors() {
        findings.push(
            seen.envoy.reaches(Hop::Mimir, "mimir", || {
                start(&seen.place, "let Mimir's distributors run, and Envoy reach them")
            }),
        );
    }
    if let Some(mimir) = &seen.mimir {
        findings.extend(distributors(seen, mimir));
    }
    findings.extend(tracker(seen));
    findings.push(push(seen));
    findings
}

/// What an installation needs to know of its Mimir.
pub(super) fn before(place: &Place, seen: Option<&Seen>) -> Vec<Finding> {
    let mut findings = answers(place, seen);
    let Some(mimir) = seen.filter(|mimir| mimir.build.is_ok()) else { return findings };
    let setting = |what: &'static str, found: Result<String, &String>| match found {
        Ok(detail) => Finding::ok(Hop::Mimir, what, detail),
        Err(why) => Finding::skipped(Hop::Mimir, what, why.clone()),
    };
    let in_ring = |count: &usize| {
        format!("{count} in the ring; name their Service with mimir.distributorService of charts/overrides-sync")
    };
    findings.push(match &mimir.distributors {
        Ok(0) => no_distributor(SHOWS_DISTRIBUTORS, place),
        shown => setting(SHOWS_DISTRIBUTORS, shown.as_ref().map(in_ring)),
    });
    findings.push(setting("it says whether it has an HA tracker", mimir.pairs.as_ref().map(|pairs| ha(*pairs, mimir))));
    findings.push(setting("it shows its default limits", mimir.running.as_ref().map(default_limits)));
    findings
}

/// Whether Mimir elects replicas of Prometheus pairs, and for whom.
fn ha(pairs: Option<usize>, mimir: &Seen) -> String {
    let users = mimir.running.as_ref().ok().and_then(|running| {
        let own = running.limits().ok()?.iter().filter(|(_, limits)| limits.accept_ha_samples).count();
        let by_default = running.defaults.defaults.limits.accept_ha_samples;
        Some(if by_default { "all tenants by default".to_owned() } else { counted(own as u64, "tenant") })
    });
    let users = users.map_or_else(String::new, |users| format!("; accept_ha_samples is set for {users}"));
    match pairs {
        Some(pairs) => {
            let pairs = counted(pairs as u64, "pair");
            format!("it has one, with {pairs}{users}: name it with mimir.haTrackerUrl of charts/overrides-sync")
        }
        None => format!("it has none{users}"),
    }
}

fn default_limits(running: &RunningMimir) -> String {
    let built_in = limits::TenantLimits::default();
    let own: Vec<_> = running
        .defaults
        .defaults
        .limits
        .differences(&built_in)
        .map(|(field, value)| format!("{field} {value}"))
        .collect();
    match &own[..] {
        [] => "they are Mimir's built-in ones".to_owned(),
        own => format!("{}: give them to the edge with mimir.configUrl", own.join(", ")),
    }
}

fn answers(place: &Place, seen: Option<&Seen>) -> Vec<Finding> {
    let Some(mimir) = seen else {
        return vec![Finding::skipped(Hop::Mimir, ANSWERS, "give --mimir URL, or MIMIR_ADDRESS")];
    };
    let resolves = match &mimir.addresses {
        Ok(1) => Finding::ok(Hop::Mimir, RESOLVES, "1 address"),
        Ok(count) => Finding::ok(Hop::Mimir, RESOLVES, format!("{count} addresses")),
        Err(why) => {
            let hint =
                "correct the name, or the DNS of this machine; a name of a Service resolves inside the cluster only";
            Finding::failure(Hop::Mimir, RESOLVES, why.clone(), Advice::hint(hint, Link::MimirUnreachable))
        }
    };
    let mut findings = vec![resolves];
    match &mimir.build {
        Ok(build) => findings.extend([Finding::ok(Hop::Mimir, ANSWERS, mimir.url.to_string()), version(mimir, build)]),
        Err(why) => {
            let hint = "start Mimir, or give its HTTP port with --mimir, with its path prefix if it has one";
            findings.push(Finding::failure(Hop::Mimir, ANSWERS, why.clone(), start(place, hint)));
        }
    }
    findings
}

fn version(mimir: &Seen, build: &Value) -> Finding {
    let says = build.pointer("/data/version").and_then(Value::as_str).unwrap_or("none");
    let tested: [Option<MimirVersion>; 2] = ["3.0".parse().ok(), Some(MimirVersion::KNOWN)];
    match &mimir.version {
        None => Finding::ok(
            Hop::Mimir,
            VERSION,
            format!("{says}: a development build, which is taken for {}", MimirVersion::KNOWN),
        ),
        version if tested.contains(version) => Finding::ok(Hop::Mimir, VERSION, says),
        Some(version) => {
            let detail =
                format!("{says}: the edge is made for the limits and texts of Mimir 3.0 to {}", MimirVersion::KNOWN);
            let hint = format!(
                "fields of the overrides that {} does not have are ignored; set --mimir-version {version}",
                MimirVersion::KNOWN
            );
            Finding::warning(Hop::Mimir, VERSION, detail, Advice::hint(hint, Link::Versions))
        }
    }
}

/// The burst of a tenant is that of all distributors together.
fn distributors(seen: &Installation<'_>, mimir: &Seen) -> Option<Finding> {
    let of_edge = seen.rls.metrics().filter_map(|(name, metrics)| Some((name, metrics.value("rls_distributors")?)));
    let of_edge: Vec<_> = of_edge.collect();
    let ring = match &mimir.distributors {
        Ok(0) => return Some(no_distributor(DISTRIBUTORS, &seen.place)),
        Ok(ring) if !of_edge.is_empty() => *ring,
        Ok(_) => return None,
        Err(why) => return mimir.build.is_ok().then(|| Finding::skipped(Hop::Mimir, DISTRIBUTORS, why.clone())),
    };
    let other: Vec<_> = of_edge
        .iter()
        .filter(|(_, count)| *count != ring as f64)
        .map(|(name, count)| format!("{name} uses {count}, and Mimir's ring has {ring}"))
        .collect();
    Some(match &other[..] {
        [] => Finding::ok(Hop::Mimir, DISTRIBUTORS, ring.to_string()),
        other => {
            let hint = "let overrides-sync count them (mimir.distributorService), or set --distributors; a fall is used after two minutes";
            let command = seen.place.kubectl("logs deployment/overrides-sync");
            Finding::warning(
                Hop::Mimir,
                DISTRIBUTORS,
                words::list(other),
                Advice::new(hint, command, Link::CheckTheInstallation),
            )
        }
    })
}

fn tracker(seen: &Installation<'_>) -> Option<Finding> {
    let ages =
        seen.rls.metrics().filter_map(|(name, metrics)| Some((name, metrics.value("rls_ha_tracker_stale_seconds")?)));
    let ages: Vec<_> = ages.collect();
    let old: Vec<_> = ages
        .iter()
        .filter(|(_, age)| *age > TRACKER_STALE)
        .map(|(name, age)| format!("the list of {name} is {} old", words::time(*age)))
        .collect();
    match (&ages[..], &old[..]) {
        ([], _) => None,
        (_, []) => Some(Finding::ok(Hop::Mimir, TRACKER, "")),
        (_, old) => {
            let hint = "let mimir.haTrackerUrl answer GET /distributor/ha_tracker; pushes of Prometheus pairs are not charged until then";
            Some(Finding::warning(Hop::Mimir, TRACKER, words::list(old), Advice::hint(hint, Link::HaTrackerStale)))
        }
    }
}

/// What an empty push says.
fn push(seen: &Installation<'_>) -> Finding {
    let answer = match &seen.pushes.empty {
        None => return Finding::skipped(Hop::Mimir, PUSH, "give --front URL or --envoy URL, and --tenant TENANT"),
        Some(Err(_)) => return Finding::skipped(Hop::Mimir, PUSH, "no push passes the hops above"),
        Some(Ok(answer)) => answer,
    };
    let detail = format!("an empty push gets {}", answer.text());
    match (answer.reason.as_deref(), answer.status) {
        (_, status) if status.is_success() => match seen.envoy.forwards_nothing() {
            // Somebody else may have answered.
            Some(why) => Finding::skipped(Hop::Mimir, PUSH, format!("{detail}; {why}")),
            None => Finding::ok(Hop::Mimir, PUSH, detail),
        },
        (Some("mimir_unreachable" | "mimir_timeout"), _) => Finding::failure(
            Hop::Mimir,
            PUSH,
            detail,
            start(&seen.place, "let Mimir's distributors run, and Envoy reach them"),
        ),
        (Some(_), StatusCode::TOO_MANY_REQUESTS) => {
            let hint = "the tenant is over its limits now; edgectl explain says which one decides";
            Finding::warning(Hop::Mimir, PUSH, detail, Advice::hint(hint, Link::TenantRefused))
        }
        (Some(_), _) => Finding::skipped(Hop::Mimir, PUSH, format!("{detail}, from a hop above")),
        (None, _) if is_of_a_door(answer) => {
            Finding::skipped(Hop::Mimir, PUSH, format!("{detail}, from the front door"))
        }
        (None, _) => {
            let hint = "the answer is that of Mimir, or of a gateway before it: its log says why";
            Finding::failure(Hop::Mimir, PUSH, detail, Advice::hint(hint, Link::AnswersToAPush))
        }
    }
}

/// Proxies answer so if nothing behind them does, or if they want credentials.
fn is_of_a_door(answer: &Answer) -> bool {
    matches!(answer.status.as_u16(), 300..=399 | 401 | 403 | 404 | 405 | 502..=504)
}
