//! `edgectl tap`: denials as they happen, from all replicas.
//!
//! The API lists the last denials of a replica, each with a number that counts them. So polls see each denial once, and know how many they have missed.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use futures_util::future::OptionFuture;
use tokio::time::{Instant, sleep, sleep_until};

use crate::args::{Output, TapArgs};
use crate::edge_api::{Answer, ApiError, Denial, DenialsPage, EdgeApi, EdgeError, Replica, until_interrupted};
use crate::{exit, output};

const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Rows of the first page of a poll; further pages are as large as they may be.
const FIRST_PAGE: usize = 100;

/// Prints denials until the end that the flags set, or Ctrl-C.
pub(crate) fn run(args: &TapArgs) -> anyhow::Result<ExitCode> {
    until_interrupted(ExitCode::SUCCESS, async {
        let edge = EdgeApi::new(&args.api)?;
        let (positions, silent) = (HashMap::new(), HashSet::new());
        let mut tap = Tap { args, started: SystemTime::now(), positions, silent, printed: 0 };
        tap.follow(&edge).await?;
        Ok(ExitCode::SUCCESS)
    })
}

struct Tap<'a> {
    args: &'a TapArgs,
    started: SystemTime,
    /// By the names of the replicas; none before a replica has answered.
    positions: HashMap<String, Position>,
    /// The replicas whose last poll failed.
    silent: HashSet<String>,
    printed: u64,
}

/// How far the denials of a replica are printed.
#[derive(Clone, Debug, Default, PartialEq)]
struct Position {
    /// The number of the last one, and 0 before the first.
    last: u64,
    /// Its time: after a restart, another denial has its number.
    time: String,
}

/// What a poll found.
#[derive(Debug, PartialEq)]
struct Found {
    /// Oldest first.
    denials: Vec<Denial>,
    position: Position,
    /// Denials that happened, and that the replica no longer had.
    missed: u64,
    has_restarted: bool,
}

impl Tap<'_> {
    async fn follow(&mut self, edge: &EdgeApi) -> anyhow::Result<()> {
        let end = self.args.duration.map(|duration| Instant::now() + duration);
        loop {
            let is_last = end.is_some_and(|end| Instant::now() >= end);
            let found = self.poll(edge).await?;
            if !self.print(&found)? || is_last {
                return Ok(());
            }
            let end: OptionFuture<_> = end.map(sleep_until).into();
            tokio::select! {
                () = sleep(POLL_INTERVAL) => {}
                Some(()) = end => {}
            }
        }
    }

    /// The new denials of all replicas that match, in the order of their times.
    async fn poll(&mut self, edge: &EdgeApi) -> Result<Vec<Answer<Denial>>, EdgeError> {
        let Self { positions, started, .. } = &*self;
        let (since_start, is_first) = (self.args.since_start, positions.is_empty());
        let ask = async |replica: &Replica| match positions.get(replica.name()) {
            Some(position) => new_denials(replica, position).await,
            None if since_start => new_denials(replica, &Position::default()).await,
            None if is_first => begin(replica).await,
            None => denials_since(replica, *started).await,
        };
        let polled = edge.ask_each(ask).await;
        if is_first && polled.iter().all(|(_, outcome)| outcome.is_err()) {
            return Err(EdgeError::NoAnswer(polled.into_iter().filter_map(|(_, outcome)| outcome.err()).collect()));
        }
        let mut all = Vec::new();
        for (replica, outcome) in polled {
            match outcome {
                Ok(found) => all.extend(self.take(replica, found)),
                Err(failure) => {
                    if self.silent.insert(replica.name().to_owned()) {
                        exit::note(&failure);
                    }
                }
            }
        }
        all.sort_by(|one: &Answer<Denial>, other| one.value.time.cmp(&other.value.time));
        Ok(all)
    }

    fn take(&mut self, replica: &Replica, found: Found) -> Vec<Answer<Denial>> {
        let Found { denials, position, missed, has_restarted } = found;
        let name = replica.name();
        let before = self.positions.insert(name.to_owned(), position);
        if self.silent.remove(name) {
            exit::note(&format!("{name}: it answers{}", if before.is_some() { " again" } else { "" }));
        }
        if has_restarted {
            exit::note(&format!("{name}: it has restarted"));
        }
        if missed > 0 && (before.is_some() || !self.args.since_start) {
            exit::note(&format!("{name}: missed {missed} denials of any tenant: a replica keeps the last 1,000"));
        }
        let matching = denials.into_iter().filter(|denial| self.args.matches(denial));
        matching.map(|value| Answer { replica: name.to_owned(), value }).collect()
    }

    /// Prints denials; whether more are wanted.
    fn print(&mut self, denials: &[Answer<Denial>]) -> anyhow::Result<bool> {
        let mut out = io::stdout().lock();
        for denial in denials {
            match write(self.args.api.output, denial, &mut out) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(false),
                written => written.context("print a denial")?,
            }
            self.printed += 1;
            if self.args.count == Some(self.printed) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl TapArgs {
    fn matches(&self, denial: &Denial) -> bool {
        let Denial { tenant, mode, reason, status, .. } = denial;
        let tenant = tenant.as_deref().unwrap_or_default();
        let bare = tenant.split(':').next().unwrap_or_default();
        (self.tenants.is_empty() || self.tenants.iter().any(|wanted| wanted == tenant || wanted == bare))
            && (self.modes.is_empty() || self.modes.contains(mode))
            && (self.reasons.is_empty() || self.reasons.contains(reason))
            && (self.statuses.is_empty() || self.statuses.contains(status))
    }
}

/// The position behind all denials of a replica.
async fn begin(replica: &Replica) -> Result<Found, ApiError> {
    let page: DenialsPage = replica.get("/api/v1/denials?limit=1").await?;
    Ok(Found { denials: Vec::new(), position: Position::behind(page.denials.first()), missed: 0, has_restarted: false })
}

/// The denials after a position.
async fn new_denials(replica: &Replica, position: &Position) -> Result<Found, ApiError> {
    let denials = list(replica, |oldest| oldest.sequence > position.last).await?;
    Ok(found(denials, position))
}

/// The denials since a time, by the clock of the replica.
async fn denials_since(replica: &Replica, since: SystemTime) -> Result<Found, ApiError> {
    let denials = list(replica, |oldest| !oldest.is_before(since)).await?;
    let position = Position::behind(denials.iter().find(|denial| denial.is_before(since)));
    Ok(found(denials, &position))
}

/// The denials of a replica, newest first, with further pages while the oldest one so far does not suffice.
async fn list(replica: &Replica, goes_on: impl Fn(&Denial) -> bool) -> Result<Vec<Denial>, ApiError> {
    let mut page: DenialsPage = replica.get(&format!("/api/v1/denials?limit={FIRST_PAGE}")).await?;
    let mut denials = page.denials;
    while let Some(next) = page.next.filter(|_| denials.last().is_some_and(&goes_on)) {
        page = replica.get(&format!("/api/v1/denials?limit=1000&after={next}")).await?;
        denials.append(&mut page.denials);
    }
    Ok(denials)
}

impl Denial {
    fn is_before(&self, time: SystemTime) -> bool {
        humantime::parse_rfc3339(&self.time).is_ok_and(|happened| happened < time)
    }
}

/// What is new among the denials of a replica, newest first.
fn found(mut denials: Vec<Denial>, position: &Position) -> Found {
    let newest = Position::behind(denials.first());
    let is_other = |denial: &Denial| denial.sequence == position.last && denial.time != position.time;
    let has_restarted = newest.last < position.last || denials.iter().any(is_other);
    let last = if has_restarted { 0 } else { position.last };
    denials.retain(|denial| denial.sequence > last);
    denials.reverse();
    let seen = u64::try_from(denials.len()).unwrap_or(u64::MAX);
    let missed = newest.last.saturating_sub(last).saturating_sub(seen);
    let position = match newest.last.cmp(&last) {
        Ordering::Greater => newest,
        Ordering::Equal | Ordering::Less => Position { last, ..position.clone() },
    };
    Found { denials, position, missed, has_restarted }
}

impl Position {
    fn behind(newest: Option<&Denial>) -> Self {
        newest.map_or_else(Self::default, |denial| Self { last: denial.sequence, time: denial.time.clone() })
    }
}

fn write(format: Output, denial: &Answer<Denial>, out: &mut impl Write) -> io::Result<()> {
    match format {
        Output::Json => writeln!(out, "{}", serde_json::to_string(denial)?),
        Output::Yaml => write!(out, "---\n{}", crate::yaml::block(&serde_json::to_value(denial)?, 0)),
        Output::Table => writeln!(out, "{}", line(denial)),
    }
}

fn line(denial: &Answer<Denial>) -> String {
    let Answer { replica, value: Denial { time, tenant, decision, mode, reason, status, samples, retry_attempt, .. } } =
        denial;
    let tenant = output::on_one_line(tenant.as_deref().unwrap_or(output::NONE));
    let attempt = if *retry_attempt == 0 { String::new() } else { format!("  retry {retry_attempt}") };
    let samples = output::counted(*samples, "sample");
    format!("{time}  {replica}  {tenant}  {decision}  {mode}  {reason}  {status}  {samples}{attempt}")
}

#[cfg(test)]
mod tests;
