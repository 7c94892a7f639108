//! The probe pushes. One is no remote write: mimir-rls denies it, and the row of that denial says as which tenant it arrived. Its size, which no other push
//! of the moment has, marks it. The other one is empty. Neither stores a sample.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, USER_AGENT};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use limits_source::{Bounds, WebClient, system_tls, tls_trusting};
use tokio::time::{Instant, sleep};

use super::server::Found;
use crate::args::InstallationArgs;
use crate::edge_api::{Denial, DenialsPage, EdgeError, Replica, TenantDetails, encoded};
use crate::mimir::TENANT;

const PATH: &str = "/api/v1/push";
/// More than an answer to a push has.
const MAX_RESPONSE_BYTES: usize = 1 << 20;
/// How long a copy of a push may take to its denial.
const ARRIVES_WITHIN: Duration = Duration::from_secs(2);
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// The header with the edge's reason.
const REASON: &str = "x-mimir-edge-reason";
/// The sizes of marked pushes.
const LEAST_BYTES: u32 = 1_000;
const SIZES: u32 = 60_000;
/// No length that snappy could begin with.
const UNREADABLE: u8 = 0xff;
/// A push without a series, compressed by snappy.
const EMPTY: &[u8] = &[0];

/// Where pushes can be sent.
pub(super) struct Doors {
    front: Option<Door>,
    envoy: Option<Door>,
}

struct Door {
    name: String,
    uri: Uri,
    tenant: HeaderValue,
    web: WebClient,
}

/// The probes of both doors. None without a tenant, or where no flag names the door.
#[derive(Default)]
pub(super) struct Pushes {
    pub(super) front: Option<Probe>,
    pub(super) envoy: Option<Probe>,
    /// Through the front door, or else through Envoy.
    pub(super) empty: Option<Result<Answer, String>>,
}

/// The marked push of one door.
pub(super) struct Probe {
    /// The door.
    pub(super) name: String,
    pub(super) tenant: String,
    pub(super) answer: Result<Answer, String>,
    pub(super) arrival: Arrival,
}

/// What a client gets.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// The edge's reason; without one, another program answered.
    pub(super) reason: Option<String>,
}

impl Answer {
    pub(super) fn text(&self) -> String {
        match &self.reason {
            Some(reason) => format!("{} {reason}", self.status.as_u16()),
            None => self.status.to_string(),
        }
    }
}

/// Where a marked push came to light.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Arrival {
    /// A mimir-rls denied it, as that of this tenant; none without a valid one.
    As(Option<String>),
    /// No mimir-rls has seen it.
    Unseen,
    /// No mimir-rls has seen it, and the tenant is in mode off, in which bodies are not read.
    ModeOff,
    /// No mimir-rls can be asked.
    Unknown,
}

/// The doors that flags and pods name.
///
/// # Errors
/// A file of the flags cannot be used.
pub(super) fn doors(args: &InstallationArgs, envoy: &Found) -> Result<Doors, EdgeError> {
    let Some(tenant) = &args.tenant else { return Ok(Doors { front: None, envoy: None }) };
    let door = |uri: Uri, name: String| -> Result<Door, EdgeError> {
        let tls = match &args.api.ca_file {
            Some(path) => tls_trusting("--ca-file", path).map_err(|error| EdgeError::Unusable(error.to_string())),
            None => system_tls(std::iter::once(&uri)).map_err(|error| EdgeError::Unusable(error.to_string())),
        }?;
        let web = WebClient::new(tls, Bounds { timeout: args.api.timeout, bytes: MAX_RESPONSE_BYTES });
        Ok(Door { name, uri, tenant: tenant.clone(), web })
    };
    let front = args.front.clone().map(|uri| door(uri.clone(), uri.to_string())).transpose()?;
    let envoy = envoy.replicas().first().and_then(|replica| Some((replica.uri(PATH)?, replica.name().to_owned())));
    let envoy = envoy.map(|(uri, name)| door(uri, name)).transpose()?;
    Ok(Doors { front, envoy })
}

/// Sends the probes.
pub(super) async fn send(doors: &Doors, rls: &Found) -> Pushes {
    let mut pushes = Pushes::default();
    // One after the other: each has a size of its own.
    if let Some(door) = &doors.front {
        pushes.front = Some(door.probe(rls).await);
    }
    if let Some(door) = &doors.envoy {
        pushes.envoy = Some(door.probe(rls).await);
    }
    if let Some(door) = doors.front.as_ref().or(doors.envoy.as_ref()) {
        pushes.empty = Some(door.push(Bytes::from_static(EMPTY)).await);
    }
    pushes
}

impl Door {
    async fn probe(&self, rls: &Found) -> Probe {
        let nanoseconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().subsec_nanos();
        let size = LEAST_BYTES + (nanoseconds / 1_000) % SIZES;
        let body = vec![UNREADABLE; usize::try_from(size).unwrap_or_default()];
        let before = newest_denials(rls.replicas()).await;
        let answer = self.push(body.into()).await;
        let tenant = String::from_utf8_lossy(self.tenant.as_bytes()).into_owned();
        let arrival = match &answer {
            Ok(_) => arrival(rls.replicas(), &before, &tenant, size).await,
            Err(_) => Arrival::Unknown,
        };
        Probe { name: self.name.clone(), tenant, answer, arrival }
    }

    async fn push(&self, body: Bytes) -> Result<Answer, String> {
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        let headers = request.headers_mut();
        headers.insert(TENANT, self.tenant.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("snappy"));
        headers.insert("x-prometheus-remote-write-version", HeaderValue::from_static("0.1.0"));
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("edgectl/", env!("CARGO_PKG_VERSION"))));
        let response = self.web.send(request).await.map_err(|error| error.to_string())?;
        let reason = response.headers().get(REASON).and_then(|reason| reason.to_str().ok()).map(str::to_owned);
        Ok(Answer { status: response.status(), reason })
    }
}

/// The newest denial of each replica, to know later ones by; 0 for one that does not answer.
async fn newest_denials(rls: &[Replica]) -> Vec<u64> {
    let mut newest = Vec::new();
    for replica in rls {
        let page = replica.get::<DenialsPage>("/api/v1/denials?limit=1").await;
        newest.push(page.ok().and_then(|page| Some(page.denials.first()?.sequence)).unwrap_or_default());
    }
    newest
}

/// The denial of a marked push, which a proxy that copies pushes may send later than it answers.
async fn arrival(rls: &[Replica], before: &[u64], tenant: &str, size: u32) -> Arrival {
    let end = Instant::now() + ARRIVES_WITHIN;
    loop {
        let mut can_be_asked = false;
        for (replica, before) in rls.iter().zip(before) {
            let Ok(page) = replica.get::<DenialsPage>("/api/v1/denials?limit=1000").await else { continue };
            can_be_asked = true;
            // For any reason: without a tenant, or over the request rate, mimir-rls does not look at the body.
            let is_it = |denial: &Denial| denial.sequence > *before && denial.body_bytes == Some(size.into());
            if let Some(denial) = page.denials.into_iter().find(is_it) {
                return Arrival::As(denial.tenant);
            }
        }
        if !can_be_asked {
            return Arrival::Unknown;
        }
        if Instant::now() >= end {
            return if is_off(rls, tenant).await { Arrival::ModeOff } else { Arrival::Unseen };
        }
        sleep(POLL_INTERVAL).await;
    }
}

async fn is_off(rls: &[Replica], tenant: &str) -> bool {
    let Some(replica) = rls.first() else { return false };
    let details = replica.get::<TenantDetails>(&format!("/api/v1/tenants/{}", encoded(tenant))).await;
    details.is_ok_and(|details| details.mode == "off")
}
