//! The time of a decision, with more and more tenants that push in random order.

use std::time::Instant;

use bytes::Bytes;
use edge::{Edge, Hits, Push};
use limits::Tenant;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::setup::{body, check, edge_with, limits_of, name, push};
use crate::{Row, Target, median};

const TENANTS: [u32; 4] = [1, 1_000, 100_000, 1_000_000];
/// Documents with a million values are rejected: the others have the defaults.
const MOST_OVERRIDES: u32 = 100_000;
const SAMPLES: u32 = 100;
const ROUNDS: usize = 5;
const DECISIONS: u32 = 20_000;

/// An edge that knows so many tenants.
struct Population {
    tenants: u32,
    edge: Edge,
    random: StdRng,
}

impl Population {
    fn of(tenants: u32, body: &Bytes) -> Self {
        let (edge, _) = edge_with(limits_of(tenants.min(MOST_OVERRIDES), 1 << 50));
        for tenant in 0..tenants {
            edge.pipeline().decide_here(&push(tenant, body)).unwrap();
        }
        Self { tenants, edge, random: StdRng::seed_from_u64(1) }
    }

    fn any_tenant(&mut self) -> u32 {
        self.random.random_range(0..self.tenants)
    }

    /// Nanoseconds of a decision on a push.
    fn of_pushes(&mut self, body: &Bytes) -> f64 {
        let pushes: Vec<Push> = (0..DECISIONS).map(|_| push(self.any_tenant(), body)).collect();
        let started = Instant::now();
        pushes.iter().for_each(|push| check(&self.edge, push));
        started.elapsed().as_nanos() as f64 / f64::from(DECISIONS)
    }

    /// Nanoseconds of a charge of hits, which reads no body.
    fn of_hits(&mut self) -> f64 {
        let tenants: Vec<String> = (0..DECISIONS).map(|_| name(self.any_tenant())).collect();
        let pipeline = self.edge.pipeline();
        let started = Instant::now();
        for tenant in &tenants {
            let tenant = Tenant::parse(Some(tenant.as_bytes())).unwrap();
            let charged = pipeline.charge_hits(&pipeline.control(), &tenant, Hits::Items(1)).unwrap();
            assert!(charged.decision.is_ok());
        }
        started.elapsed().as_nanos() as f64 / f64::from(DECISIONS)
    }
}

pub(crate) fn rows() -> Vec<Row> {
    let (one, many) = (body(1), body(SAMPLES));
    let mut populations = TENANTS.map(|tenants| Population::of(tenants, &one));
    let rounds: Vec<_> = (0..ROUNDS)
        .map(|_| populations.each_mut().map(|population| (population.of_pushes(&many), population.of_hits())))
        .collect();
    let mut rows = Vec::new();
    let pushes = rounds.iter().map(|round| round.map(|(pushes, _)| pushes)).collect();
    rows.extend(of(&format!("check of a push of {SAMPLES} samples"), pushes, Some(Target::AtMost(1.5))));
    let hits = rounds.iter().map(|round| round.map(|(_, hits)| hits)).collect();
    rows.extend(of("charge of hits alone", hits, None));
    rows
}

/// The time with one tenant, and the others by their ratio to it within a round.
fn of(what: &str, rounds: Vec<[f64; TENANTS.len()]>, target: Option<Target>) -> Vec<Row> {
    let micros = |place: usize| median(rounds.iter().filter_map(|round| Some(round.get(place)? / 1_000.0)).collect());
    let mut rows = vec![Row::new(format!("{what}, 1 tenant"), micros(0), "µs", None)];
    for (place, tenants) in TENANTS.iter().enumerate().skip(1) {
        let ratio = |round: &[f64; TENANTS.len()]| Some(round.get(place)? / round.first()?);
        let ratio = median(rounds.iter().filter_map(ratio).collect());
        rows.push(Row::new(format!("{what}, {tenants} tenants"), ratio, "times that of 1", target));
    }
    rows
}
