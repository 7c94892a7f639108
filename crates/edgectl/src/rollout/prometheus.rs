//! The query API of Prometheus.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::USER_AGENT;
use http::{HeaderMap, HeaderValue, Request, Response, Uri};
use limits_source::{Bounds, MimirUrl, WebClient, system_tls, tls_trusting};
use serde::Deserialize;
use serde_json::Value;

use crate::args::RolloutStatusArgs;
use crate::edge_api::{EdgeError, encoded};

/// More than the points of the few series of an expression of the runbook.
const MAX_RESPONSE_BYTES: usize = 16 << 20;
/// The points of a time.
const POINTS: u32 = 240;
/// Without a point for this long, Prometheus takes a series for ended.
const STALE: Duration = Duration::from_secs(300);

/// A Prometheus.
pub(super) struct Prometheus {
    web: WebClient,
    url: MimirUrl,
    headers: HeaderMap,
}

/// A series of an expression, from the oldest point on.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Series {
    /// Its labels, such as `reason="ingestion_rate"`; empty for a sum.
    pub(super) labels: String,
    /// How long ago each point was, and its value, which may be no number.
    pub(super) points: Vec<(Duration, f64)>,
    /// From a point to the next.
    pub(super) step: Duration,
}

impl Series {
    /// The value now; `None` if the series has ended.
    pub(super) fn last(&self) -> Option<f64> {
        self.points.last().filter(|(ago, _)| *ago <= STALE + self.step).map(|(_, value)| *value)
    }

    /// The longest time between two numbers, if the series was away in it.
    pub(super) fn gap(&self) -> Option<Duration> {
        let numbers: Vec<_> = self.points.iter().filter(|(_, value)| value.is_finite()).map(|(ago, _)| *ago).collect();
        let longest = numbers.iter().zip(numbers.iter().skip(1)).map(|(old, new)| old.saturating_sub(*new)).max();
        longest.filter(|longest| *longest > STALE + self.step)
    }
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    error: String,
    #[serde(default)]
    data: Data,
}

#[derive(Default, Deserialize)]
struct Data {
    #[serde(default)]
    result: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    metric: serde_json::Map<String, Value>,
    values: Vec<(f64, String)>,
}

impl Prometheus {
    /// # Errors
    /// A file of the flags cannot be used.
    pub(super) fn new(args: &RolloutStatusArgs) -> Result<Self, EdgeError> {
        let unusable = |error: &dyn std::fmt::Display| EdgeError::Unusable(error.to_string());
        let uri: Uri = args.prometheus.to_string().parse().map_err(|error: http::uri::InvalidUri| unusable(&error))?;
        let tls = match &args.ca_file {
            Some(path) => tls_trusting("--ca-file", path).map_err(|error| unusable(&error))?,
            None => system_tls(std::iter::once(&uri)).map_err(|error| unusable(&error))?,
        };
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("edgectl/", env!("CARGO_PKG_VERSION"))));
        for (name, value) in &args.headers {
            headers.append(name.clone(), value.clone());
        }
        let web = WebClient::new(tls, Bounds { timeout: args.timeout, bytes: MAX_RESPONSE_BYTES });
        Ok(Self { web, url: args.prometheus.clone(), headers })
    }

    /// The series of an expression over this time, up to now.
    ///
    /// # Errors
    /// There is no good answer.
    pub(super) async fn range(&self, query: &str, time: Duration) -> Result<Vec<Series>, EdgeError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let step = (time / POINTS).max(Duration::from_millis(100));
        let (start, end, seconds) = (now.saturating_sub(time).as_secs_f64(), now.as_secs_f64(), step.as_secs_f64());
        let page =
            format!("/api/v1/query_range?query={}&start={start:.3}&end={end:.3}&step={seconds:.3}", encoded(query));
        let response = self.get(&page).await?;
        let answer: Answer = serde_json::from_slice(response.body()).unwrap_or(Answer {
            error: "it is no Prometheus, or the address lacks its path".to_owned(),
            data: Data::default(),
        });
        if !response.status().is_success() || !answer.error.is_empty() {
            return Err(EdgeError::Unusable(format!(
                "{}: it answered {}: {}",
                self.url,
                response.status(),
                answer.error
            )));
        }
        Ok(answer.data.result.into_iter().map(|row| series(row, end, step)).collect())
    }

    async fn get(&self, page: &str) -> Result<Response<Bytes>, EdgeError> {
        let unusable = |error: &dyn std::fmt::Display| {
            EdgeError::Unusable(format!("Prometheus at {}: {error}; give its address with --prometheus", self.url))
        };
        let uri = self.url.page(page).map_err(|error| unusable(&error))?.to_string();
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = uri.parse().map_err(|error: http::uri::InvalidUri| unusable(&error))?;
        *request.headers_mut() = self.headers.clone();
        self.web.send(request).await.map_err(|error| unusable(&error))
    }
}

fn series(row: Row, end: f64, step: Duration) -> Series {
    let labels = row.metric.iter().map(|(name, value)| format!("{name}={value}"));
    let points = row.values.iter().map(|(at, value)| {
        (Duration::try_from_secs_f64(end - at).unwrap_or_default(), value.parse().unwrap_or(f64::NAN))
    });
    Series { labels: labels.collect::<Vec<_>>().join(","), points: points.collect(), step }
}
