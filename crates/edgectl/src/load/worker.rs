//! One worker: takes the next scheduled push, waits until it is due, sends it, and counts the answer.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use http_body_util::Full;
use remote_write::encode;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::Run;
use super::connection::Connection;
use super::pacer::ScheduledPush;
use super::payload::Payload;
use super::tally::Failure;
use crate::args::LoadArgs;

const TENANT: HeaderName = HeaderName::from_static("x-scope-orgid");
const REMOTE_WRITE_VERSION: HeaderName = HeaderName::from_static("x-prometheus-remote-write-version");

/// Keeps a run without a rate from spinning on an unreachable server.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(100);

/// Sends one push at a time.
pub(super) struct Worker {
    run: Arc<Run>,
    connection: Connection,
    payload: Payload,
}

impl Worker {
    pub(super) fn new(run: Arc<Run>, number: u32) -> Self {
        let connection = Connection::new(Arc::clone(&run.endpoint));
        let payload = Payload::new(&run.args, number);
        Self { run, connection, payload }
    }

    /// Works until the schedule ends or the run is stopped.
    pub(super) async fn run(mut self) {
        let run = Arc::clone(&self.run);
        while let Some(push) = run.pacer.claim(run.start.elapsed()) {
            tokio::select! {
                biased;
                () = run.stop.cancelled() => break,
                () = sleep_until(run.start + push.due) => {}
            }
            let succeeded = tokio::select! {
                biased;
                () = run.abort.cancelled() => break,
                succeeded = self.push(push) => succeeded,
            };
            if !succeeded && run.args.rate.is_none() {
                tokio::select! {
                    () = run.stop.cancelled() => break,
                    () = sleep(PAUSE_AFTER_FAILURE) => {}
                }
            }
        }
    }

    /// Sends one push and counts the result; false if there was no answer.
    async fn push(&mut self, push: ScheduledPush) -> bool {
        match self.try_push(push).await {
            Ok(()) => true,
            Err(failure) => {
                self.run.tally().failed(failure);
                false
            }
        }
    }

    async fn try_push(&mut self, push: ScheduledPush) -> Result<(), Failure> {
        let Run { args, start, .. } = &*self.run;
        timeout(args.timeout, self.connection.prepare())
            .await
            .map_err(|_| Failure::Connection(format!("no connection within {:?}", args.timeout)))?
            .map_err(|error| Failure::Connection(format!("{error:#}")))?;
        let body = self.payload.next(unix_millis()).map_err(|error| Failure::Connection(error.to_string()))?;
        let (tenant, request) = push_request(args, push.number, body);
        let sent = Instant::now();
        self.run.tally().sent(tenant, sent - *start, push.due);
        let response = timeout(args.timeout, self.connection.push(request))
            .await
            .map_err(|_| Failure::Timeout)?
            .map_err(|error| Failure::Connection(format!("{error:#}")))?;
        let answered = Instant::now();
        self.run.tally().answered(tenant, response, answered - *start, answered - sent);
        Ok(())
    }
}

/// The request of push `number`, and the index of its tenant.
fn push_request(args: &LoadArgs, number: u64, body: Bytes) -> (usize, Request<Full<Bytes>>) {
    let tenant = usize::try_from(number % (args.tenants.len().max(1) as u64)).unwrap_or_default();
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = args.url.path.clone();
    *request.headers_mut() = headers(args, args.tenants.get(tenant));
    (tenant, request)
}

fn headers(args: &LoadArgs, tenant: Option<&HeaderValue>) -> HeaderMap {
    let content_type = encode::content_type_header(args.protocol);
    let version = encode::version_header(args.protocol);
    let mut headers = HeaderMap::new();
    headers.insert(HOST, args.url.authority.clone());
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("edgectl/", env!("CARGO_PKG_VERSION"))));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encode::CONTENT_ENCODING));
    headers.insert(REMOTE_WRITE_VERSION, HeaderValue::from_static(version));
    if let Some(tenant) = tenant {
        headers.insert(TENANT, tenant.clone());
    }
    for (name, _) in &args.headers {
        headers.remove(name);
    }
    for (name, value) in &args.headers {
        headers.append(name.clone(), value.clone());
    }
    headers
}

fn unix_millis() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
