//! The report of a run, as text and as JSON.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use hdrhistogram::Histogram;
use http::HeaderValue;
use serde::Serialize;

use super::Protocol;
use super::tally::{Pushes, Tally};
use crate::args::{LoadArgs, Profile};

/// The tenants that have a line of text.
const MAX_TENANT_LINES: usize = 20;

/// The report of a run. Its field names are those of `--json`.
///
/// sent = accepted + denied + unanswered, in pushes and in samples.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Report {
    url: String,
    protocol: &'static str,
    profile: &'static str,
    concurrency: u32,
    /// The requested samples per second; `null`: as fast as possible.
    rate: Option<f64>,
    duration_seconds: f64,
    samples_per_push: u64,
    /// Ctrl-C ended the run.
    interrupted: bool,
    /// From sending the first push to the end of the last answer.
    elapsed_seconds: f64,
    /// From sending the first push to the end of the last accepting answer.
    accepted_elapsed_seconds: f64,
    #[serde(flatten)]
    total: Counts,
    /// Of `pushes_sent`, those that were sent again after a refusal.
    pushes_retried: u64,
    /// Scheduled pushes that were not sent: no free worker before the end, no connection, or interrupted. `null` without a rate.
    pushes_unsent: Option<u64>,
    /// Over `elapsed_seconds`.
    samples_offered_per_second: f64,
    samples_accepted_per_second: f64,
    pushes_sent_per_second: f64,
    pushes_by_status: BTreeMap<u16, u64>,
    /// The text of the first answer of each status other than 2xx.
    first_answers: BTreeMap<u16, String>,
    /// Connections that could not be opened, or broke before an answer.
    connection_errors: u64,
    first_connection_error: Option<String>,
    /// Pushes without an answer in time.
    timeouts: u64,
    /// From when a push was due to the end of its last answer; `null` without a rate.
    latency_seconds: Option<Latency>,
    /// From sending a push to the end of its answer.
    service_seconds: Latency,
    /// The longest delay of a push after it was due.
    longest_delay_seconds: f64,
    tenants: Vec<TenantCounts>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Counts {
    pushes_sent: u64,
    pushes_accepted: u64,
    pushes_denied: u64,
    pushes_unanswered: u64,
    samples_offered: u64,
    samples_accepted: u64,
    samples_denied: u64,
    samples_unanswered: u64,
}

/// Quantiles over answered pushes, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Latency {
    p50: f64,
    p90: f64,
    p99: f64,
    p999: f64,
    max: f64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct TenantCounts {
    tenant: String,
    #[serde(flatten)]
    counts: Counts,
}

impl Report {
    pub(crate) fn new<'t>(
        args: &LoadArgs,
        tenants: impl Iterator<Item = &'t HeaderValue>,
        tally: &Tally,
        interrupted: bool,
    ) -> Self {
        let samples_per_push = args.samples_per_push();
        let total = Counts::new(tally.pushes(), samples_per_push);
        let elapsed = tally.since_first_sent(tally.last_response);
        let tenants = tenants.zip(&tally.by_tenant).map(|(tenant, pushes)| TenantCounts {
            tenant: String::from_utf8_lossy(tenant.as_bytes()).into_owned(),
            counts: Counts::new(*pushes, samples_per_push),
        });
        let denials = tally.by_status.iter().filter(|(status, _)| !(200..300).contains(*status));
        Self {
            url: args.url.to_string(),
            protocol: match args.protocol {
                Protocol::V1 => "1.0",
                Protocol::V2 => "2.0",
            },
            profile: profile(args.profile),
            concurrency: args.workers(),
            rate: args.rate,
            duration_seconds: args.duration.as_secs_f64(),
            samples_per_push,
            interrupted,
            elapsed_seconds: elapsed.as_secs_f64(),
            accepted_elapsed_seconds: tally.since_first_sent(tally.last_accepted).as_secs_f64(),
            pushes_retried: tally.retried,
            pushes_unsent: args
                .schedule()
                .planned()
                .map(|planned| planned.saturating_sub(total.pushes_sent.saturating_sub(tally.retried))),
            samples_offered_per_second: per_second(total.samples_offered, elapsed),
            samples_accepted_per_second: per_second(total.samples_accepted, elapsed),
            pushes_sent_per_second: per_second(total.pushes_sent, elapsed),
            total,
            pushes_by_status: tally.by_status.iter().map(|(status, responses)| (*status, responses.count)).collect(),
            first_answers: denials.map(|(status, responses)| (*status, responses.first_text.clone())).collect(),
            connection_errors: tally.connection_errors,
            first_connection_error: tally.first_connection_error.clone(),
            timeouts: tally.timeouts,
            latency_seconds: args.rate.map(|_| Latency::new(&tally.latency)),
            service_seconds: Latency::new(&tally.service),
            longest_delay_seconds: tally.longest_delay.as_secs_f64(),
            tenants: tenants.collect(),
        }
    }

    /// Why no push got an answer; `None` if one did.
    pub(crate) fn failure(&self) -> Option<String> {
        if !self.pushes_by_status.is_empty() {
            return None;
        }
        Some(match &self.first_connection_error {
            Some(error) => format!("no push got an answer: {error}"),
            None if self.timeouts > 0 => "no push got an answer before --timeout".to_owned(),
            None => "no push got an answer: the run was interrupted".to_owned(),
        })
    }

    /// The report as one JSON object and a newline.
    pub(crate) fn write_json(&self, out: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut *out, self)?;
        writeln!(out)
    }

    /// The report as text.
    pub(crate) fn write_text(&self, out: &mut impl Write) -> io::Result<()> {
        let Counts { samples_offered, samples_accepted, samples_denied, samples_unanswered, .. } = self.total;
        let Counts { pushes_sent, pushes_accepted, pushes_denied, pushes_unanswered, .. } = self.total;
        writeln!(
            out,
            "target    {}, remote write {}, profile {}, concurrency {}",
            self.url, self.protocol, self.profile, self.concurrency
        )?;
        writeln!(
            out,
            "elapsed   {:.3} s from the first push to the last answer, {:.3} s to the last accepting one{}",
            self.elapsed_seconds,
            self.accepted_elapsed_seconds,
            if self.interrupted { "; interrupted" } else { "" }
        )?;
        writeln!(
            out,
            "pushes    {pushes_sent} sent ({:.1}/s), {pushes_accepted} accepted, {pushes_denied} denied, \
             {pushes_unanswered} unanswered; {} samples each",
            self.pushes_sent_per_second, self.samples_per_push
        )?;
        writeln!(
            out,
            "samples   {samples_offered} offered ({:.1}/s), {samples_accepted} accepted ({:.1}/s), {samples_denied} denied, \
             {samples_unanswered} unanswered",
            self.samples_offered_per_second, self.samples_accepted_per_second
        )?;
        self.write_answers(out)?;
        self.write_tenants(out)?;
        self.write_errors(out)
    }

    fn write_answers(&self, out: &mut impl Write) -> io::Result<()> {
        for (status, count) in &self.pushes_by_status {
            write!(out, "status    {status}: {count}")?;
            // An error page of many lines becomes one line.
            let words: Vec<_> =
                self.first_answers.get(status).into_iter().flat_map(|text| text.split_whitespace()).collect();
            if words.is_empty() { writeln!(out)? } else { writeln!(out, ", the first said: {}", words.join(" "))? }
        }
        if let Some(latency) = &self.latency_seconds {
            writeln!(out, "latency   from when a push was due:  {latency}")?;
        }
        writeln!(out, "service   from when a push was sent: {}", self.service_seconds)
    }

    fn write_tenants(&self, out: &mut impl Write) -> io::Result<()> {
        for TenantCounts { tenant, counts } in self.tenants.iter().take(MAX_TENANT_LINES) {
            let Counts { pushes_sent, pushes_accepted, samples_accepted, samples_offered, .. } = counts;
            writeln!(
                out,
                "tenant    {tenant}: {pushes_accepted} of {pushes_sent} pushes accepted, {samples_accepted} of {samples_offered} samples"
            )?;
        }
        match self.tenants.len().saturating_sub(MAX_TENANT_LINES) {
            0 => Ok(()),
            more => writeln!(out, "tenants   {more} more, which --json lists"),
        }
    }

    fn write_errors(&self, out: &mut impl Write) -> io::Result<()> {
        if let Some(error) = &self.first_connection_error {
            writeln!(out, "errors    connection errors: {}, the first: {error}", self.connection_errors)?;
        }
        if self.timeouts > 0 {
            writeln!(out, "timeouts  {}", self.timeouts)?;
        }
        if self.pushes_retried > 0 {
            writeln!(out, "retries   {} of the pushes were sent again after a refusal", self.pushes_retried)?;
        }
        match self.pushes_unsent {
            Some(0) => writeln!(
                out,
                "schedule  kept: all pushes were sent, the latest one {:.2} ms after it was due",
                self.longest_delay_seconds * 1000.0
            ),
            Some(unsent) => writeln!(
                out,
                "unsent    of the schedule: {unsent}; the latest push that was sent was {:.3} s late (if answers are slow, more \
                 --concurrency helps)",
                self.longest_delay_seconds
            ),
            None => Ok(()),
        }
    }
}

impl Counts {
    fn new(pushes: Pushes, samples_per_push: u64) -> Self {
        let Pushes { sent, accepted, denied } = pushes;
        let unanswered = pushes.unanswered();
        Self {
            pushes_sent: sent,
            pushes_accepted: accepted,
            pushes_denied: denied,
            pushes_unanswered: unanswered,
            samples_offered: sent.saturating_mul(samples_per_push),
            samples_accepted: accepted.saturating_mul(samples_per_push),
            samples_denied: denied.saturating_mul(samples_per_push),
            samples_unanswered: unanswered.saturating_mul(samples_per_push),
        }
    }
}

impl Latency {
    fn new(histogram: &Histogram<u64>) -> Self {
        let seconds = |micros: u64| Duration::from_micros(micros).as_secs_f64();
        let at = |quantile| seconds(histogram.value_at_quantile(quantile));
        Self { p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: seconds(histogram.max()) }
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { p50, p90, p99, p999, max } = *self;
        let [p50, p90, p99, p999, max] = [p50, p90, p99, p999, max].map(|seconds| seconds * 1000.0);
        write!(formatter, "p50 {p50:.2} ms, p90 {p90:.2} ms, p99 {p99:.2} ms, p99.9 {p999:.2} ms, max {max:.2} ms")
    }
}

fn profile(profile: Profile) -> &'static str {
    match profile {
        Profile::Steady => "steady",
        Profile::Burst => "burst",
        Profile::RetryStorm => "retry-storm",
    }
}

fn per_second(count: u64, elapsed: Duration) -> f64 {
    if elapsed.is_zero() { 0.0 } else { count as f64 / elapsed.as_secs_f64() }
}

#[cfg(test)]
mod tests;
