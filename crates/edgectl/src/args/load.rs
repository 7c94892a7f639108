//! The command line of `edgectl load-remote-write`.

use std::num::NonZeroU32;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, RangedU64ValueParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, ValueEnum};
use http::{HeaderName, HeaderValue};

use super::{Cli, Credentials, header, header_value, some_duration};
use crate::load::{Protocol, Url};

/// More samples are no real push, and would need too much memory.
const MAX_SAMPLES_PER_PUSH: u64 = 10_000_000;

const HELP: &str = "\
The load is open-loop: with --rate, push number k (from 0) is due k x samples per push / rate seconds after the \
start, however long answers take. A late push is sent as soon as a worker is free; one without a free worker before the \
end is not sent and reported as unsent. Each worker has one keep-alive connection and series of its \
own. Redirects are not followed.

Profiles: `steady` sends one push after the other. `burst` sends --burst-pushes pushes at once, then none until the next \
burst is due; the rate is the same on average. `retry-storm` sends a push that gets 429 or 5xx again at once, with the \
header Retry-Attempt, up to --retries times, and ignores Retry-After, as a broken client does.

`latency` is the time from when a push was due to the end of its last answer. So it has the time that a push waited for a \
slow server too, which is what clients feel (it is corrected for coordinated omission). `service` is the time from when a \
push was sent to the end of its answer. Both are of pushes with an answer only: those that ran into --timeout are counted \
beside them. Without --rate no push is due, and there is only `service`.

A push is accepted if the answer is 2xx, denied for any other answer, and unanswered without one. `elapsed_seconds` is \
the time from the start of the first push to the end of the last answer. So a tenant with a limit in samples per second \
and a burst, whose bucket is full at the start and whose load always exceeds the limit, has `samples_accepted` of \
limit x elapsed_seconds + burst, give or take one push.

Ctrl-C stops sending and still reports; a second one doesn't wait for answers either. Sample times start at now and \
rise by a millisecond in each series: above 1000 samples/s of one series they run ahead of the clock.

MIMIR_TENANT_ID and the variables for credentials are those of mimirtool. MIMIR_ADDRESS is not read: --url says where to \
push. Https servers are verified against the system's certificates, or those in the file that SSL_CERT_FILE or \
--mimir-tls-ca names.

Examples:
  edgectl load-remote-write --tenant team-a --rate 20000 --duration 30s
  edgectl load-remote-write --tenants 1000 --rate 100000 --concurrency 8
  edgectl load-remote-write --tenant team-a --rate 10000 --profile burst --burst-pushes 50
  edgectl load-remote-write --tenant team-a --rate 20000 --profile retry-storm --retries 3
  edgectl load-remote-write --url https://mimir.example/api/v1/push \\
    --tenant team-a --tenant team-b --concurrency 8 --protocol 2.0 --json

Exit codes: 0 a push got an answer, 1 none did, 64 bad usage, 66 a file of the flags can't be used";

/// Send remote-write pushes at a rate, and report what was accepted, denied and how fast
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct LoadArgs {
    /// Where to push: an http or https URL with its path
    #[arg(long, default_value = "http://127.0.0.1:8080/api/v1/push", value_parser = Url::parse)]
    pub(crate) url: Url,

    /// Tenant of the pushes (X-Scope-OrgID). Several tenants take turns. Without one, no such header is sent
    #[arg(long = "tenant", value_name = "TENANT", env = "MIMIR_TENANT_ID", value_parser = header_value)]
    pub(crate) named_tenants: Vec<HeaderValue>,

    /// So many tenants with generated names, load-000001 and so on, in place of --tenant and MIMIR_TENANT_ID
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<u32>::new().range(1..=100_000))]
    pub(crate) tenants: Option<u32>,

    /// Workers, each with one connection and one push at a time [default: 1; with --profile burst, the pushes of a burst]
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<u32>::new().range(1..=10_000))]
    pub(crate) concurrency: Option<u32>,

    /// How long pushes are sent, as Go and Prometheus write it: 30s, 1m30s, 1.5h
    #[arg(long, default_value = "10s", value_parser = some_duration)]
    pub(crate) duration: Duration,

    /// Samples per second, over all workers and tenants; fractions are allowed. 0: as fast as possible
    // The full path keeps clap from treating it as an optional flag.
    #[arg(long, value_name = "SAMPLES_PER_SECOND", default_value = "0", value_parser = rate)]
    pub(crate) rate: std::option::Option<f64>,

    /// How pushes follow each other
    #[arg(long, value_enum, default_value_t = Profile::Steady)]
    pub(crate) profile: Profile,

    /// Pushes that --profile burst sends at once
    #[arg(long, value_name = "N", default_value = "20", value_parser = burst_pushes)]
    pub(crate) burst_pushes: NonZeroU32,

    /// How often --profile retry-storm sends a refused push again
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = RangedU64ValueParser::<u32>::new().range(1..=1000))]
    pub(crate) retries: u32,

    /// Series in each push
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = RangedU64ValueParser::<u32>::new().range(1..))]
    pub(crate) series: u32,

    /// Samples of each series in a push, one millisecond apart
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = RangedU64ValueParser::<u32>::new().range(1..))]
    pub(crate) samples_per_series: u32,

    /// Version of the remote-write protocol
    #[arg(long, default_value = "1.0", value_parser = PossibleValuesParser::new(["1.0", "2.0"]).map(protocol))]
    pub(crate) protocol: Protocol,

    /// Value of the label `job` of all series. Two runs at once against one tenant need two names
    #[arg(long, value_name = "NAME", default_value = "edgectl")]
    pub(crate) job: String,

    /// Header to add to every push, or to replace one that this program sends. Repeatable
    #[arg(long = "header", value_name = "NAME:VALUE", value_parser = header)]
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,

    /// How long to wait for a connection, and then for an answer: a duration as above
    #[arg(long, default_value = "10s", value_parser = some_duration)]
    pub(crate) timeout: Duration,

    /// Print the report as one JSON object
    #[arg(long)]
    pub(crate) json: bool,

    /// Print progress to standard error every second, even if that is no terminal. A terminal has a bar, without colours
    #[arg(long)]
    pub(crate) progress: bool,

    #[command(flatten, next_help_heading = "Credentials, as those of mimirtool")]
    pub(crate) credentials: Credentials,
}

/// How pushes follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Profile {
    /// Evenly
    Steady,
    /// Several at once, and then none for a while
    Burst,
    /// Evenly, and a refused push is sent again at once
    RetryStorm,
}

impl LoadArgs {
    pub(super) fn validate(&self) -> Result<(), clap::Error> {
        let Self { series, samples_per_series, .. } = self;
        let samples = self.samples_per_push();
        let fault = if samples > MAX_SAMPLES_PER_PUSH {
            format!(
                "--series {series} x --samples-per-series {samples_per_series} is {samples} samples in one push; \
                 at most {MAX_SAMPLES_PER_PUSH} are possible"
            )
        } else if self.tenants.is_some() && self.names_tenants() {
            "--tenants makes names of its own: it cannot be used with --tenant".to_owned()
        } else if self.profile == Profile::Burst && self.rate.is_none() {
            "--profile burst needs a --rate, which says how often a burst is due".to_owned()
        } else {
            return Ok(());
        };
        Err(Cli::command().error(ErrorKind::ValueValidation, fault))
    }

    /// Whether `--tenant` was given. clap counts a variable as given too, but the one of mimirtool says nothing about --tenants.
    fn names_tenants(&self) -> bool {
        let variable = std::env::var_os("MIMIR_TENANT_ID").unwrap_or_default();
        self.named_tenants.iter().any(|tenant| tenant.as_bytes() != variable.as_encoded_bytes())
    }
}

fn protocol(name: String) -> Protocol {
    if name == "2.0" { Protocol::V2 } else { Protocol::V1 }
}

fn burst_pushes(text: &str) -> Result<NonZeroU32, String> {
    let pushes: Option<NonZeroU32> = text.parse().ok();
    pushes.filter(|pushes| pushes.get() <= 10_000).ok_or_else(|| "must be a number from 1 to 10000".to_owned())
}

/// `None` for 0: as fast as possible.
fn rate(text: &str) -> Result<Option<f64>, String> {
    match text.parse::<f64>() {
        Ok(rate) if (0.0..=1e12).contains(&rate) => Ok((rate > 0.0).then_some(rate)),
        Ok(_) => Err("must be from 0 to 1e12 samples per second".to_owned()),
        Err(_) => Err("must be a number of samples per second, as in 20000 or 0.5".to_owned()),
    }
}
