//! `edgectl flow-test`: a marked series through the front door and back out of Mimir, and a push over the limit.
//!
//! `front_door` pushes, `evidence` asks mimir-rls what it saw, `share` measures a canary. Each step has one expectation, by the phase of the rollout.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};
use remote_write::encode::Series;
use serde::Serialize;
use serde_json::Value;
use tokio::time::{Instant, sleep};

mod evidence;
mod front_door;
mod share;

use evidence::Evidence;
use front_door::{Answered, By, FrontDoor};

use crate::args::{FlowTestArgs, MimirArgs, Output, Phase};
use crate::edge_api::{EdgeApi, block_on, encoded};
use crate::mimir::MimirClient;
use crate::steps::{Outcome, Step};
use crate::{exit, output};

/// The name of the marked series.
const METRIC: &str = "edgectl_flow_test";
/// A push with more samples is no test any more.
const MAX_SAMPLES: i64 = 500_000;
/// How often something is asked again.
const POLL: Duration = Duration::from_millis(250);
/// What every text of Mimir's limits has.
const MIMIRS_WORDS: &str = "(err-mimir-";

/// Plays the test and prints its steps.
pub(crate) fn run(args: &FlowTestArgs) -> anyhow::Result<ExitCode> {
    block_on(async {
        let test = FlowTest::new(args)?;
        let mut report = Report::new(args, &test.run);
        report.begin()?;
        test.play(&mut report).await?;
        report.end()
    })
}

/// The steps, of which a table has each as soon as it ended.
#[derive(Debug, Serialize)]
struct Report {
    url: String,
    phase: &'static str,
    tenant: String,
    /// The label `run` of the marked series.
    run: String,
    passed: bool,
    steps: Vec<Step>,
    #[serde(skip)]
    output: Output,
}

impl Report {
    fn new(args: &FlowTestArgs, run: &str) -> Self {
        Self {
            url: args.url.to_string(),
            phase: args.phase.as_str(),
            tenant: String::from_utf8_lossy(args.tenant.as_bytes()).into_owned(),
            run: run.to_owned(),
            passed: true,
            steps: Vec::new(),
            output: args.api.output,
        }
    }

    fn print(&self, text: &str) -> anyhow::Result<()> {
        match self.output {
            Output::Table => io::stdout().lock().write_all(text.as_bytes()).context("print the result"),
            Output::Json | Output::Yaml => Ok(()),
        }
    }

    fn begin(&self) -> anyhow::Result<()> {
        let Self { url, phase, tenant, run, .. } = self;
        self.print(&format!(
            "{url}, phase {phase}: writes one sample of {METRIC}{{run=\"{run}\"}} as tenant {tenant}\n"
        ))
    }

    /// Adds a step; whether it passed.
    fn add(&mut self, step: Step) -> anyhow::Result<bool> {
        self.print(&step.text())?;
        let is_passed = step.is_passed();
        self.passed &= step.outcome != Outcome::Failed;
        self.steps.push(step);
        Ok(is_passed)
    }

    fn end(&self) -> anyhow::Result<ExitCode> {
        let failed = self.steps.iter().filter(|step| step.outcome == Outcome::Failed).count();
        let text = match failed {
            0 => format!("all is as phase {} wants it\n", self.phase),
            _ => format!("{failed} of {} steps are not as phase {} wants them\n", self.steps.len(), self.phase),
        };
        output::print(self.output, self, || text)?;
        Ok(ExitCode::from(if self.passed { 0 } else { exit::PROBLEMS }))
    }
}

struct FlowTest<'a> {
    args: &'a FlowTestArgs,
    door: FrontDoor,
    mimir: MimirClient,
    evidence: Evidence,
    run: String,
}

impl<'a> FlowTest<'a> {
    fn new(args: &'a FlowTestArgs) -> anyhow::Result<Self> {
        let mimir = as_tenant(args);
        Ok(Self {
            args,
            door: FrontDoor::new(args, &mimir)?,
            mimir: MimirClient::new(&mimir, args.api.timeout)?.context("--mimir gives no address")?,
            evidence: Evidence::new(EdgeApi::new(&args.api)?, &args.tenant),
            run: run_id(),
        })
    }

    async fn play(&self, report: &mut Report) -> anyhow::Result<()> {
        let before = self.evidence.pushes().await;
        if report.add(self.accepted().await)? {
            report.add(self.arrived().await)?;
            if self.args.phase != Phase::Canary {
                report.add(self.decided(before).await)?;
            }
        }
        for step in self.over_limit().await {
            report.add(step)?;
        }
        if self.args.phase == Phase::Canary {
            report.add(share::measured(&self.door, self.args).await)?;
        }
        Ok(())
    }

    /// The marked series is accepted.
    async fn accepted(&self) -> Step {
        const NAME: &str = "a push is accepted";
        match self.door.push(&self.args.tenant, &[self.series(1)]).await {
            Err(error) => Step::failed(NAME, error, "look whether --url is where clients push, and listens"),
            Ok(answered) if answered.status.is_success() => Step::passed(NAME, answered.status.as_str()),
            Ok(answered) => Step::failed(NAME, answered.to_string(), answered.hint()),
        }
    }

    /// Mimir has it.
    async fn arrived(&self) -> Step {
        const NAME: &str = "Mimir has the series";
        let query = format!("{METRIC}{{run=\"{}\"}}", self.run);
        let form = Bytes::from(format!("query={}", encoded(&query)));
        let headers =
            HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"))]);
        let (start, mut found) = (Instant::now(), format!("Mimir at {} has no such series", self.mimir.url()));
        loop {
            match self.mimir.post("/prometheus/api/v1/query", headers.clone(), form.clone()).await {
                Ok(response) if response.status() == StatusCode::OK => {
                    let answer: Value = serde_json::from_slice(response.body()).unwrap_or_default();
                    let result = answer.pointer("/data/result").and_then(Value::as_array);
                    if result.is_some_and(|series| !series.is_empty()) {
                        return Step::passed(NAME, format!("after {:.1} s", start.elapsed().as_secs_f64()));
                    }
                }
                Ok(response) => {
                    let text = String::from_utf8_lossy(response.body()).chars().take(200).collect::<String>();
                    found = format!("the query got {}: {}", response.status(), text.trim());
                }
                Err(error) => found = error.to_string(),
            }
            if start.elapsed() >= self.args.wait {
                let hint = "the push was accepted but does not arrive: look whether --mimir is the Mimir behind --url, and \
                            whether Envoy's MIMIR_URL or mode makes it answer pushes itself (mode mirror)";
                return Step::failed(NAME, format!("not within {:?}: {found}", self.args.wait), hint);
            }
            sleep(POLL).await;
        }
    }

    /// The edge has counted the push, or its copy.
    async fn decided(&self, before: Result<u64, String>) -> Step {
        let name = if self.args.phase == Phase::Mirror { "the edge decided a copy" } else { "the edge decided it" };
        const ASK: &str = "name all replicas of mimir-rls with --address, or use kubectl mimir-edge";
        let before = match before {
            Ok(before) => before,
            Err(error) => return Step::failed(name, error, ASK),
        };
        let start = Instant::now();
        loop {
            match self.evidence.pushes().await {
                Ok(now) if now > before => return Step::passed(name, format!("it counted {}", now - before)),
                Ok(_) if start.elapsed() < self.args.wait => sleep(POLL).await,
                Ok(_) => {
                    let hint = if self.args.phase == Phase::Mirror {
                        "the front door sends the edge no copies: look whether it has mirror.conf, and reaches Envoy"
                    } else {
                        "the push went past the edge: look whether the front door has full-fail-open.conf or \
                         full-fail-closed.conf, and at its unchecked.log"
                    };
                    return Step::failed(name, format!("not within {:?}: no replica counted it", self.args.wait), hint);
                }
                Err(error) => return Step::failed(name, error, ASK),
            }
        }
    }

    /// Pushes one sample more than the burst, and looks who refuses it.
    async fn over_limit(&self) -> Vec<Step> {
        const NAME: &str = "a push over the limit is refused";
        let count = match self.evidence.over_burst(NAME, self.args.phase).await {
            Ok(count) if count <= MAX_SAMPLES => count,
            Ok(count) => {
                let hint = "give the tenant an override with a small ingestion_burst_size, such as 1000";
                return vec![Step::skipped(NAME, format!("{count} samples would be needed"), hint)];
            }
            Err(step) => return vec![step],
        };
        let before = self.evidence.newest_denials().await;
        let answered = match self.door.push(&self.args.tenant, &[self.series(count)]).await {
            Ok(answered) => answered,
            Err(error) => return vec![Step::failed(NAME, error, "look at the front door's log")],
        };
        let mut steps = vec![self.refused(NAME, &answered, count)];
        if self.args.phase == Phase::Mirror {
            steps.push(self.would_refuse(before, count, &answered.text).await);
        }
        steps
    }

    fn refused(&self, name: &'static str, answered: &Answered, count: i64) -> Step {
        let expected = match self.args.phase {
            Phase::Mirror => Some(By::Mimir),
            Phase::Canary => None,
            Phase::Full => Some(By::Edge),
        };
        let found = format!("{count} samples: {answered}");
        if answered.status.is_success() {
            let hint = "its limits differ from those of mimir-rls: compare with edgectl check --against";
            return Step::failed(name, found, hint);
        }
        let has_words = answered.status == StatusCode::TOO_MANY_REQUESTS && answered.text.contains(MIMIRS_WORDS);
        match expected {
            _ if !has_words => Step::failed(name, found, answered.hint()),
            Some(by) if answered.by != by => {
                let hint = match by {
                    By::Mimir => {
                        "the edge answers clients already: the front door has another configuration than mirror.conf"
                    }
                    By::Edge => {
                        "the push went past the edge: look at the front door's configuration and its unchecked.log"
                    }
                };
                Step::failed(name, found, hint)
            }
            _ => Step::passed(name, found),
        }
    }

    /// The edge, which answers nobody, has counted the denial of the copy with the same words.
    async fn would_refuse(&self, before: Result<evidence::Newest, String>, count: i64, text: &str) -> Step {
        const NAME: &str = "the edge would have refused it";
        let hint =
            "the edge has no copy, or other limits: look at edgectl tap --since-start and edgectl check --against";
        let before = match before {
            Ok(before) => before,
            Err(error) => return Step::failed(NAME, error, hint),
        };
        let start = Instant::now();
        loop {
            match self.evidence.denial_after(&before, count).await {
                Ok(Some(denial)) if denial.message.trim() == text.trim() => {
                    return Step::passed(NAME, format!("{}, {}, with the same words", denial.decision, denial.reason));
                }
                Ok(Some(denial)) => {
                    let found = format!("{}, {}, with other words: {}", denial.decision, denial.reason, denial.message);
                    return Step::failed(NAME, found, "compare the limits with edgectl check --against");
                }
                Ok(None) if start.elapsed() < self.args.wait => sleep(POLL).await,
                Ok(None) => return Step::failed(NAME, format!("no denial within {:?}", self.args.wait), hint),
                Err(error) => return Step::failed(NAME, error, hint),
            }
        }
    }

    /// The marked series with samples up to now, a millisecond apart.
    fn series(&self, count: i64) -> Series {
        let now = unix_millis();
        let labels = [("__name__", METRIC), ("job", "edgectl"), ("run", self.run.as_str())];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let times = now.saturating_sub(count.saturating_sub(1))..=now;
        Series { labels, samples: times.map(|time| (1.0, time)).collect(), ..Series::default() }
    }
}

/// The flags for Mimir, asked as the tenant of the test. Another tenant of the variables stays the user of its key.
fn as_tenant(args: &FlowTestArgs) -> MimirArgs {
    let mut mimir = args.mimir.clone();
    let named = mimir.tenant.replace(args.tenant.clone());
    let credentials = &mut mimir.credentials;
    if credentials.key.is_some() && credentials.user.is_none() {
        credentials.user = named.and_then(|tenant| tenant.to_str().ok().map(str::to_owned));
    }
    mimir
}

/// A name that no other run has.
fn run_id() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{:x}-{:x}", since.as_micros(), std::process::id())
}

fn unix_millis() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
