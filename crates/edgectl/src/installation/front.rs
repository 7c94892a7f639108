//! The front door: what the clients' pushes pass before Envoy.

use super::Seen;
use super::finding::{Advice, Finding, Hop, Link};
use super::push::{Answer, Arrival, Probe};
use super::server::not_given;

const ANSWERS: &str = "it forwards pushes to the edge";
const TENANT: &str = "the tenant arrives as it was sent";
const DECISIONS: &str = "Envoy gets its decisions";
const TAKES: &str = "it takes what the edge allows";

/// What the probes say: of the front door, and of the hop that is to blame for a bad answer.
pub(super) fn findings(seen: &Seen<'_>) -> Vec<Finding> {
    let mut findings = match (&seen.args.front, &seen.pushes.front) {
        (_, Some(probe)) => of(seen, Hop::FrontDoor, probe),
        (None, None) if seen.args.tenant.is_some() => {
            vec![Finding::skipped(Hop::FrontDoor, ANSWERS, not_given("--front"))]
        }
        (None, None) => vec![Finding::skipped(Hop::FrontDoor, ANSWERS, "give --front URL and --tenant TENANT")],
        (Some(_), None) => vec![Finding::skipped(Hop::FrontDoor, ANSWERS, "give --tenant TENANT")],
    };
    match &seen.pushes.envoy {
        Some(probe) => findings.extend(of(seen, Hop::Envoy, probe).into_iter().filter(|found| found.check != ANSWERS)),
        None if seen.args.tenant.is_some() => {
            findings.push(Finding::skipped(Hop::Envoy, TENANT, not_given("--envoy")));
        }
        None => {}
    }
    // Both doors lead to the same hops.
    let mut unique: Vec<Finding> = Vec::new();
    for finding in findings {
        if !unique.iter().any(|known| (known.hop, known.check) == (finding.hop, finding.check)) {
            unique.push(finding);
        }
    }
    unique
}

/// The results of one probe.
fn of(seen: &Seen<'_>, hop: Hop, probe: &Probe) -> Vec<Finding> {
    let url = &probe.name;
    let answer = match &probe.answer {
        Ok(answer) => answer,
        Err(why) => {
            let hint = "start it, or correct the URL; clients can push nowhere else";
            return vec![Finding::failure(
                hop,
                ANSWERS,
                format!("{url}: {why}"),
                Advice::hint(hint, Link::AnswersToAPush),
            )];
        }
    };
    if let Some((blamed, is_through)) = blame(seen, hop, url, answer) {
        let through = is_through.then(|| Finding::ok(hop, ANSWERS, answered(url, answer)));
        return through.into_iter().chain([blamed]).collect();
    }
    let tenant = match probe.arrival {
        Arrival::Unseen if seen.envoy.is_passed_by() => {
            Finding::skipped(hop, TENANT, "pushes go to Mimir unchecked while a hop below is broken")
        }
        _ => tenant(hop, probe, answer),
    };
    vec![Finding::ok(hop, ANSWERS, answered(url, answer)), tenant]
}

fn answered(url: &str, answer: &Answer) -> String {
    format!("{url} answers a push that nobody can read with {}", answer.text())
}

/// The hop that a bad answer blames, and whether the push passed the door.
fn blame(seen: &Seen<'_>, hop: Hop, url: &str, answer: &Answer) -> Option<(Finding, bool)> {
    let detail = format!("{url} answers {}", answer.text());
    match (answer.reason.as_deref(), answer.status.as_u16()) {
        (Some("not_checked"), _) => {
            let hint = "Envoy gets no answer from a mimir-rls: let one run, and let Envoy reach its port 8081";
            let command = seen.place.kubectl("get endpointslices --selector kubernetes.io/service-name=mimir-rls");
            let advice = Advice::new(hint, command, Link::RlsUnreachable);
            Some((Finding::failure(Hop::MimirRls, DECISIONS, detail, advice), true))
        }
        (Some("mimir_unreachable" | "mimir_timeout"), _) => {
            let advice = super::mimir::start(&seen.place, "let Mimir's distributors run, and Envoy reach them");
            Some((Finding::failure(Hop::Mimir, TAKES, detail, advice), true))
        }
        (Some("path_not_served" | "path_refused"), _) | (None, 404 | 405) => {
            let hint = "pushes have another path there; that of Envoy is /api/v1/push";
            Some((Finding::failure(hop, ANSWERS, detail, Advice::hint(hint, Link::AnswersToAPush)), false))
        }
        (None, 502..=504) => {
            let hint =
                "what it forwards pushes to does not answer: start Envoy, and let the front door reach its port 8080";
            let command = seen.place.kubectl("get pods");
            let check = "the front door reaches it";
            Some((Finding::failure(Hop::Envoy, check, detail, Advice::new(hint, command, Link::EnvoyDown)), true))
        }
        (None, 401 | 403) => {
            let hint = "it asks for credentials, which probe pushes do not have; push to --envoy";
            Some((Finding::warning(hop, ANSWERS, detail, Advice::hint(hint, Link::TenantOfAProbe)), false))
        }
        (None, 300..=399) => {
            let hint = "it redirects pushes; give the URL that it leads to";
            Some((Finding::failure(hop, ANSWERS, detail, Advice::hint(hint, Link::AnswersToAPush)), false))
        }
        _ => None,
    }
}

/// Whether the marked push arrived, and as whose.
fn tenant(hop: Hop, probe: &Probe, answer: &Answer) -> Finding {
    let Probe { name, tenant, arrival, .. } = probe;
    let mends = || match hop {
        Hop::Envoy => {
            let hint = "mimir.singleTenant of charts/envoy makes all pushes those of one tenant: unset it, or give that \
                        tenant with --tenant";
            Advice::hint(hint, Link::TenantOfAProbe)
        }
        _ => {
            let hint = "keep the client's X-Scope-OrgID: in NGINX, put this line in place of the one that sets the header, \
                        then nginx -t and nginx -s reload";
            Advice::new(hint, "proxy_set_header X-Scope-OrgID $http_x_scope_orgid;".to_owned(), Link::TenantOfAProbe)
        }
    };
    // The limits are those of the tenant without its metadata.
    let bare = |name: &str| name.split(':').next().unwrap_or_default().to_owned();
    match arrival {
        Arrival::As(Some(arrived)) if bare(arrived) == bare(tenant) => Finding::ok(hop, TENANT, tenant.clone()),
        Arrival::As(Some(arrived)) => {
            let detail = format!("a push of {tenant} to {name} arrives as one of {arrived}");
            Finding::failure(hop, TENANT, detail, mends())
        }
        Arrival::As(None) => {
            let detail = format!("a push of {tenant} to {name} arrives without a valid tenant ({})", answer.text());
            Finding::failure(hop, TENANT, detail, mends())
        }
        Arrival::Unknown => Finding::skipped(hop, TENANT, "no mimir-rls says which pushes arrived"),
        Arrival::ModeOff => {
            Finding::skipped(hop, TENANT, format!("{tenant} is in mode off, in which bodies are not read"))
        }
        Arrival::Unseen => {
            let detail = format!("no mimir-rls that was asked has seen the push to {name} ({})", answer.text());
            let hint = "name all replicas with --address; otherwise pushes bypass the edge, or mimir-rls has \
                        --unreadable-body forward or --decode-bodies off";
            Finding::failure(hop, TENANT, detail, Advice::hint(hint, Link::EdgeBypassed))
        }
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::installation::finding::Status;

    #[track_caller]
    fn check(arrival: Arrival, status: Status, part: &str) {
        let answer = Answer { status: StatusCode::BAD_REQUEST, reason: None };
        let probe =
            Probe { name: "http://a".to_owned(), tenant: "t:k=v".to_owned(), answer: Ok(answer.clone()), arrival };
        let finding = tenant(Hop::FrontDoor, &probe, &answer);
        assert_eq!(finding.status, status, "{finding:?}");
        assert!(finding.detail.contains(part), "{finding:?}");
    }

    #[test]
    fn the_tenant_that_arrives_is_compared() {
        check(Arrival::As(Some("t:k=v".to_owned())), Status::Ok, "t");
        check(Arrival::As(Some("t".to_owned())), Status::Ok, "t");
        check(Arrival::As(Some("other".to_owned())), Status::Failure, "arrives as one of other");
        check(Arrival::As(None), Status::Failure, "without a valid tenant (400 Bad Request)");
        check(Arrival::Unseen, Status::Failure, "no mimir-rls that was asked has seen");
        check(Arrival::ModeOff, Status::Skipped, "mode off");
        check(Arrival::Unknown, Status::Skipped, "");
    }
}
