//! One worker: waits until a push is due, sends it, and counts the answer.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use tokio::time::{Instant, sleep, timeout};

use super::Run;
use super::connection::{Connection, Response};
use super::pacer::ScheduledPush;
use super::payload::Payload;
use super::tally::Failure;
use crate::args::Profile;

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
        loop {
            tokio::select! {
                biased;
                () = run.stop.cancelled() => break,
                () = run.gate.pass() => {}
            }
            let Some(push) = run.pacer.claim(run.start.elapsed()) else { break };
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
        let run = Arc::clone(&self.run);
        timeout(run.args.timeout, self.connection.prepare())
            .await
            .map_err(|_| Failure::Connection(format!("no connection within {:?}", run.args.timeout)))?
            .map_err(|error| Failure::Connection(format!("{error:#}")))?;
        let body = self.payload.next(unix_millis()).map_err(|error| Failure::Connection(error.to_string()))?;
        let tenant = run.requests.turn(push.number);
        let mut attempts = 0;
        loop {
            let request = run.requests.request(tenant, attempts, Bytes::clone(&body));
            let sent = Instant::now();
            match attempts {
                0 => run.tally().sent(tenant, sent - run.start, push.due),
                _ => run.tally().sent_again(tenant),
            }
            let response = self.send(request).await?;
            let (status, now) = (response.status, run.start.elapsed());
            run.tally().answered(tenant, response, now, sent.elapsed());
            if !run.sends_again(status, attempts, now) {
                if run.args.rate.is_some() {
                    run.tally().completed(push.due, now);
                }
                return Ok(());
            }
            attempts += 1;
        }
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response, Failure> {
        let response = timeout(self.run.args.timeout, self.connection.push(request)).await;
        response.map_err(|_| Failure::Timeout)?.map_err(|error| Failure::Connection(format!("{error:#}")))
    }
}

impl Run {
    /// Whether a broken client sends a push again that had this answer after so many attempts.
    fn sends_again(&self, status: StatusCode, attempts: u32, now: Duration) -> bool {
        self.args.profile == Profile::RetryStorm
            && (status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error())
            && attempts < self.args.retries
            && now < self.args.duration
            && !self.stop.is_cancelled()
    }
}

fn unix_millis() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
