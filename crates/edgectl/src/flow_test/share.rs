//! The share of the tenants whose pushes the edge answers.

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use http::{HeaderValue, StatusCode};

use super::front_door::{By, FrontDoor};
use crate::args::FlowTestArgs;
use crate::steps::Step;

/// No push, so that Mimir and the edge refuse it with 400, and nobody writes anything.
const UNREADABLE: Bytes = Bytes::from_static(b"edgectl flow-test");
/// Probes under way at once.
const AT_ONCE: usize = 8;
/// A share further away happens by chance once in 30,000 times.
const DEVIATIONS: f64 = 4.0;
/// If no probe comes to the edge where this many are due, none does: by chance e^-7, once in 1,000 times.
const DUE: f64 = 7.0;

/// Pushes a body that cannot be read for many tenants, and counts who refuses it.
pub(super) async fn measured(door: &FrontDoor, args: &FlowTestArgs) -> Step {
    const NAME: &str = "the edge answers its share of the tenants";
    let probe = |number: u32| async move {
        match format!("edgectl-flow-test-{number:05}").parse::<HeaderValue>() {
            Ok(tenant) => match door.push_body(&tenant, UNREADABLE).await {
                Ok(answered) if answered.status == StatusCode::BAD_REQUEST => Ok(answered.by),
                Ok(answered) => Err((answered.to_string(), answered.hint())),
                Err(error) => Err((error, "look at the front door's log".to_owned())),
            },
            Err(_) => Ok(By::Mimir),
        }
    };
    let probes: Vec<_> = stream::iter(1..=args.probes).map(probe).buffer_unordered(AT_ONCE).collect().await;
    let mut by_edge = 0_u32;
    for by in probes {
        match by {
            Ok(By::Edge) => by_edge += 1,
            Ok(By::Mimir) => {}
            Err((found, hint)) => return Step::failed(NAME, found, hint),
        }
    }
    let found =
        format!("{by_edge} of {} tenants, {:.1} %", args.probes, 100.0 * f64::from(by_edge) / f64::from(args.probes));
    let hint = "look at the share in canary.conf, and whether NGINX has reloaded it";
    match args.share {
        Some(percent) if !is_plausible(by_edge, args.probes, percent / 100.0) => {
            Step::failed(NAME, format!("{found}, and {percent} % are wanted"), hint)
        }
        None if by_edge == 0 => Step::failed(NAME, found, hint),
        _ => Step::passed(NAME, found),
    }
}

/// Whether so many of the probes can be those of a share.
fn is_plausible(by_edge: u32, probes: u32, share: f64) -> bool {
    let (found, probes) = (f64::from(by_edge), f64::from(probes));
    let due = probes * share;
    let bound = DEVIATIONS * (due * (1.0 - share)).sqrt() + f64::EPSILON * probes;
    (found - due).abs() <= bound && !(by_edge == 0 && due >= DUE)
}

#[cfg(test)]
mod tests {
    use super::is_plausible;

    #[test]
    fn a_share_may_differ_as_much_as_chance_allows() {
        for (by_edge, probes, share, expected) in [
            (5, 500, 0.01, true),
            (0, 500, 0.01, true),
            (0, 1000, 0.01, false),
            (25, 500, 0.05, true),
            (25, 500, 0.25, false),
            (125, 500, 0.25, true),
            (250, 500, 0.25, false),
            (500, 500, 1.0, true),
            (499, 500, 1.0, false),
            (0, 500, 0.0, true),
            (1, 500, 0.0, false),
        ] {
            assert_eq!(is_plausible(by_edge, probes, share), expected, "{by_edge} of {probes} at {share}");
        }
    }
}
