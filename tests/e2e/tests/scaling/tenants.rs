//! The tenants of these tests and their limits: some at twice their limit, many within theirs.

use std::time::Duration;

use e2e::report;

use super::load::{Push, Stream};

/// Samples a second, requests a second times [`PUSH`].
const RATE: f64 = 1000.0;
/// Samples in a push that counts as one.
const PUSH: usize = 100;
/// Five seconds of the rate, so that a machine that halts for a moment costs a tenant nothing.
const BURST: f64 = 5000.0;
/// Pushes a second at twice the rate.
const TWICE: u32 = 20;
const WITHIN: usize = 40;

/// What a stream of pushes may do.
#[derive(Clone, Debug)]
pub(crate) struct Limited {
    pub(crate) tenant: String,
    pub(crate) stream: Stream,
    /// Its bucket in units of a push: what comes back in a second, and what it holds.
    pub(crate) rate: f64,
    pub(crate) burst: f64,
}

/// At twice its ingestion limit, at twice its request limit, and within both.
///
/// A spelling with metadata (`a:k=v`) has an ingestion bucket of its own, with `a`'s limits; `a|a` shares `a`'s. All spellings of a tenant share
/// one request bucket. That is Mimir's rule.
pub(crate) fn overrides() -> String {
    let over: String = (0..2)
        .map(|index| {
            format!(
                "  samples-{index}: {{ ingestion_rate: {RATE}, ingestion_burst_size: {BURST} }}\n  \
                 requests-{index}: {{ request_rate: {}, request_burst_size: {} }}\n",
                RATE / PUSH as f64,
                BURST / PUSH as f64
            )
        })
        .collect();
    let within: String = (0..WITHIN)
        .map(|index| {
            format!("  within-{index}: {{ ingestion_rate: 4, ingestion_burst_size: 40, request_rate: 2, request_burst_size: 20 }}\n")
        })
        .collect();
    format!("overrides:\n{over}{within}")
}

/// The streams at twice their limit, then those within theirs. With `distributors` a bucket holds that many bursts.
pub(crate) fn streams(distributors: u32) -> Vec<Limited> {
    let over = |tenant: String, spellings: Vec<String>, samples| Limited {
        tenant,
        stream: Stream { spellings, samples, pushes_per_second: TWICE },
        rate: RATE / PUSH as f64,
        burst: BURST / PUSH as f64 * f64::from(distributors),
    };
    let mut all = Vec::new();
    for index in 0..2 {
        let name = format!("samples-{index}");
        all.push(over(name.clone(), vec![name.clone(), format!("{name}|{name}")], PUSH));
        all.push(over(name.clone(), vec![format!("{name}:k=v")], PUSH));
        let name = format!("requests-{index}");
        all.push(over(name.clone(), vec![name.clone(), format!("{name}|{name}"), format!("{name}:k=v")], 1));
    }
    all.extend((0..WITHIN).map(|index| {
        let name = format!("within-{index}");
        let spellings = vec![name.clone(), format!("{name}|{name}"), format!("{name}:k=v")];
        let stream = Stream { spellings, samples: 2, pushes_per_second: 1 };
        Limited { tenant: name, stream, rate: f64::INFINITY, burst: f64::INFINITY }
    }));
    all
}

impl Limited {
    pub(crate) fn is_over(&self) -> bool {
        self.rate.is_finite()
    }

    /// Compares what got through with what one bucket gives in the time, and with one more full bucket for each move.
    ///
    /// Of the pushes that passed at the edge, what failed behind it or on its way is unknown: each can have taken tokens.
    pub(crate) fn check(&self, pushes: &[Push], moves: usize) {
        let passed = pushes.iter().filter(|push| push.passed()).count() as f64;
        let failed = pushes.iter().filter(|push| push.failed()).count() as f64;
        if !self.is_over() {
            let denied: Vec<_> = pushes.iter().filter(|push| push.status == Some(429)).collect();
            assert!(denied.is_empty(), "{} is within its limits: {denied:?}", self.tenant);
            return;
        }
        let took = span(pushes).as_secs_f64();
        let one_bucket = self.rate * took + self.burst;
        let most = one_bucket + self.burst * moves as f64;
        report(&format!(
            "{:?}: {passed} passed of {} in {took:.2} s, {moves} moves; one bucket gives {one_bucket:.1} ({:+.2} %), failed {failed}",
            self.stream.spellings,
            pushes.len(),
            (passed / one_bucket - 1.0) * 100.0,
        ));
        assert!(passed >= one_bucket * 0.99 - failed, "{self:?}: {passed} passed of {one_bucket:.1}");
        assert!(passed <= most * 1.01, "{self:?}: {passed} passed, {most:.1} with {moves} moves");
        assert!(
            pushes.len() as f64 > 1.2 * one_bucket,
            "the tenant is not far over its limit: {} pushes",
            pushes.len()
        );
    }
}

/// From the first push to the last answer.
fn span(pushes: &[Push]) -> Duration {
    let first = pushes.iter().map(|push| push.started).min();
    let last = pushes.iter().map(|push| push.answered).max();
    first.zip(last).map(|(first, last)| last - first).unwrap_or_default()
}
