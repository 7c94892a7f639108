//! What becomes of series before they is deduplicated: deduplicated, then relabelled, in plain steps over decoded series.

use limits::TenantLimits;
use remote_write::relabel::{LabelSet, Relabeler};
use remote_write::{
    BodyError, BodyLimits, Dedupe, HaRules, Protocol, PushCounts, Replica, Rules, Scratch, TenantRelabeler, Validation,
    read_push,
};

use super::decoded::{LabelPair, Push, Series};

/// The verdict on a replica, by how its name begins.
fn verdict(replica: &[u8]) -> Dedupe {
    match replica.first() {
        None => Dedupe::NoPair,
        Some(..b'p') => Dedupe::Elected,
        Some(_) => Dedupe::Dropped,
    }
}

/// Reads a push by all that the limits say, until more items than `enough` are valid.
pub(crate) fn read(
    protocol: Protocol,
    body: &[u8],
    (body_limits, limits, enough): (BodyLimits, &TenantLimits, Option<u64>),
    now: i64,
    scratch: &mut Scratch,
) -> Result<PushCounts, BodyError> {
    let relabeler = Relabeler::compile(limits).unwrap_or_default();
    let mut dedupe = |replica: Replica<'_>| verdict(replica.replica);
    let rules = Rules {
        validation: Validation::new(limits),
        relabeler: relabeler.as_ref().map(|relabeler| TenantRelabeler { relabeler, tenant: "team" }),
        ha: limits.accept_ha_samples.then_some(HaRules::new(limits, &mut dedupe)),
        enough,
    };
    read_push(protocol, body, body_limits, rules, now, scratch)
}

/// What Mimir goes on with; `None` if nothing is left of the push, metadata neither.
pub(crate) fn treat(mut push: Push, limits: &TenantLimits) -> Option<Push> {
    if limits.accept_ha_samples && !push.series.is_empty() {
        dedupe(&mut push.series, limits)?;
    }
    if let Some(relabeler) = Relabeler::compile(limits).unwrap_or_default() {
        push.series.iter_mut().for_each(|series| relabel(&mut series.labels, &relabeler));
    }
    Some(push)
}

fn dedupe(series: &mut [Series], limits: &TenantLimits) -> Option<()> {
    let label = &*limits.ha_replica_label;
    let replica = |series: &Series| {
        let of_it = series.labels.iter().filter(|(name, _)| name == label.as_bytes());
        of_it.map(|(_, value)| value.clone()).next_back().unwrap_or_default()
    };
    let mut verdicts: Vec<_> = series.iter().map(|one| verdict(&replica(one))).collect();
    if !limits.ha_tracker_per_sample_dedupe {
        let first = *verdicts.first()?;
        verdicts.fill(first);
    }
    for (series, verdict) in series.iter_mut().zip(&verdicts) {
        match verdict {
            Dedupe::NoPair => {}
            Dedupe::Elected => {
                let place = series.labels.iter().position(|(name, _)| name == label.as_bytes());
                place.map(|place| series.labels.remove(place));
            }
            Dedupe::Dropped => series.labels.clear(),
        }
    }
    verdicts.iter().any(|verdict| *verdict != Dedupe::Dropped).then_some(())
}

/// Leaves the labels that rules make of them; none if they drop the series.
fn relabel(labels: &mut Vec<LabelPair>, relabeler: &Relabeler) {
    let mut set = LabelSet::new();
    labels.iter().for_each(|(name, value)| set.push(name, value));
    let keep = !labels.is_empty() && relabeler.apply("team", &mut set);
    labels.clear();
    if keep {
        labels.extend(set.iter().map(|(name, value)| (name.to_vec(), value.to_vec())));
    }
}
