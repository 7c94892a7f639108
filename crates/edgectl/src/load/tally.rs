//! The counters of a run. Times are since its start.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::connection::Response;

/// Significant decimal digits of a latency.
const LATENCY_DIGITS: u8 = 3;

/// Why a push has no response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No connection, or one that broke, and why.
    Connection(String),
    /// Sent, and no answer in time.
    Timeout,
}

/// The pushes of one tenant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Pushes {
    /// Sent on an open connection.
    pub(crate) sent: u64,
    /// Answered with 2xx.
    pub(crate) accepted: u64,
    /// Answered with anything else.
    pub(crate) denied: u64,
}

impl Pushes {
    /// Sent, and not answered (yet).
    pub(crate) fn unanswered(self) -> u64 {
        self.sent.saturating_sub(self.accepted).saturating_sub(self.denied)
    }
}

/// The responses of one status.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Responses {
    pub(crate) count: u64,
    /// The text of the first one.
    pub(crate) first_text: String,
}

/// All counts of a run.
#[derive(Debug)]
pub(crate) struct Tally {
    /// One for each tenant, in the order of the command line; one if there is no tenant.
    pub(crate) by_tenant: Vec<Pushes>,
    pub(crate) by_status: BTreeMap<u16, Responses>,
    pub(crate) connection_errors: u64,
    pub(crate) timeouts: u64,
    pub(crate) first_connection_error: Option<String>,
    pub(crate) first_sent: Option<Duration>,
    pub(crate) last_response: Option<Duration>,
    pub(crate) last_accepted: Option<Duration>,
    /// Pushes that were sent again after a refusal; `sent` of the tenants includes them.
    pub(crate) retried: u64,
    /// The longest delay of a push after it was due.
    pub(crate) longest_delay: Duration,
    /// Microseconds from when a push was due to the end of its last answer. Only answered pushes of a schedule.
    pub(crate) latency: Histogram<u64>,
    /// Microseconds from sending a push to the end of its answer. Only answered pushes.
    pub(crate) service: Histogram<u64>,
}

impl Tally {
    /// # Errors
    /// Only if this machine can't address a histogram.
    pub(crate) fn new(tenants: usize) -> Result<Self, hdrhistogram::CreationError> {
        Ok(Self {
            by_tenant: vec![Pushes::default(); tenants.max(1)],
            by_status: BTreeMap::new(),
            connection_errors: 0,
            timeouts: 0,
            first_connection_error: None,
            first_sent: None,
            last_response: None,
            last_accepted: None,
            retried: 0,
            longest_delay: Duration::ZERO,
            latency: Histogram::new(LATENCY_DIGITS)?,
            service: Histogram::new(LATENCY_DIGITS)?,
        })
    }

    /// A push of `tenant` that was due at `due` is sent at `now`.
    pub(crate) fn sent(&mut self, tenant: usize, now: Duration, due: Duration) {
        if let Some(pushes) = self.by_tenant.get_mut(tenant) {
            pushes.sent += 1;
        }
        self.first_sent = Some(self.first_sent.map_or(now, |first| first.min(now)));
        self.longest_delay = self.longest_delay.max(now.saturating_sub(due));
    }

    /// A refused push of `tenant` is sent again.
    pub(crate) fn sent_again(&mut self, tenant: usize) {
        if let Some(pushes) = self.by_tenant.get_mut(tenant) {
            pushes.sent += 1;
        }
        self.retried += 1;
    }

    /// A sent push has its answer, complete at `now`.
    pub(crate) fn answered(&mut self, tenant: usize, response: Response, now: Duration, service: Duration) {
        let Response { status, text } = response;
        let accepted = status.is_success();
        if let Some(pushes) = self.by_tenant.get_mut(tenant) {
            *(if accepted { &mut pushes.accepted } else { &mut pushes.denied }) += 1;
        }
        let responses =
            self.by_status.entry(status.as_u16()).or_insert_with(|| Responses { count: 0, first_text: text });
        responses.count += 1;
        self.last_response = self.last_response.max(Some(now));
        if accepted {
            self.last_accepted = self.last_accepted.max(Some(now));
        }
        record(&mut self.service, service);
    }

    /// A push that was due at `due` has its last answer, complete at `now`.
    pub(crate) fn completed(&mut self, due: Duration, now: Duration) {
        record(&mut self.latency, now.saturating_sub(due));
    }

    /// A push has failed without an answer.
    pub(crate) fn failed(&mut self, failure: Failure) {
        match failure {
            Failure::Timeout => self.timeouts += 1,
            Failure::Connection(message) => {
                self.connection_errors += 1;
                self.first_connection_error.get_or_insert(message);
            }
        }
    }

    /// The pushes of all tenants together.
    pub(crate) fn pushes(&self) -> Pushes {
        self.by_tenant.iter().fold(Pushes::default(), |sum, one| Pushes {
            sent: sum.sent + one.sent,
            accepted: sum.accepted + one.accepted,
            denied: sum.denied + one.denied,
        })
    }

    /// From the first push sent until `end`, if both were.
    pub(crate) fn since_first_sent(&self, end: Option<Duration>) -> Duration {
        match (self.first_sent, end) {
            (Some(first), Some(end)) => end.saturating_sub(first),
            _ => Duration::ZERO,
        }
    }
}

/// The histogram grows to what it is given; only thousands of years would not fit.
fn record(histogram: &mut Histogram<u64>, time: Duration) {
    let _ = histogram.record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::StatusCode;

    use super::{Failure, Pushes, Response, Responses, Tally};

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn response(status: StatusCode, text: &str) -> Response {
        Response { status, text: text.to_owned() }
    }

    #[test]
    fn counts_each_tenant_and_status_apart() {
        let mut tally = Tally::new(2).unwrap();
        for (tenant, status) in
            [(0, StatusCode::OK), (1, StatusCode::NO_CONTENT), (1, StatusCode::FOUND), (0, StatusCode::OK)]
        {
            tally.sent(tenant, ms(1), ms(0));
            tally.answered(tenant, response(status, ""), ms(2), ms(1));
        }
        tally.sent(1, ms(3), ms(0));
        assert_eq!(tally.by_tenant[0], Pushes { sent: 2, accepted: 2, denied: 0 });
        assert_eq!(tally.by_tenant[1], Pushes { sent: 3, accepted: 1, denied: 1 });
        assert_eq!(tally.pushes(), Pushes { sent: 5, accepted: 3, denied: 1 });
        assert_eq!(tally.pushes().unanswered(), 1);
        let counts: Vec<_> = tally.by_status.iter().map(|(status, responses)| (*status, responses.count)).collect();
        assert_eq!(counts, [(200, 2), (204, 1), (302, 1)]);
    }

    #[test]
    fn keeps_the_first_text_of_a_status() {
        let mut tally = Tally::new(0).unwrap();
        for text in ["first", "second"] {
            tally.answered(0, response(StatusCode::TOO_MANY_REQUESTS, text), ms(2), ms(1));
        }
        assert_eq!(tally.by_status[&429], Responses { count: 2, first_text: "first".to_owned() });
    }

    #[test]
    fn measures_from_the_first_push_to_the_last_responses() {
        let mut tally = Tally::new(0).unwrap();
        assert_eq!(tally.since_first_sent(tally.last_response), Duration::ZERO);
        // Two workers tell in whatever order they get the lock.
        tally.sent(0, ms(30), ms(20));
        tally.sent(0, ms(10), ms(10));
        tally.answered(0, response(StatusCode::OK, ""), ms(500), ms(490));
        tally.answered(0, response(StatusCode::OK, ""), ms(400), ms(370));
        tally.answered(0, response(StatusCode::BAD_REQUEST, ""), ms(900), ms(1));
        assert_eq!(tally.since_first_sent(tally.last_response), ms(890));
        assert_eq!(tally.since_first_sent(tally.last_accepted), ms(490));
        assert_eq!(tally.longest_delay, ms(10));
    }

    #[test]
    fn keeps_the_first_connection_error_and_counts_timeouts_apart() {
        let mut tally = Tally::new(0).unwrap();
        tally.failed(Failure::Connection("refused".to_owned()));
        tally.failed(Failure::Connection("reset".to_owned()));
        tally.failed(Failure::Timeout);
        assert_eq!((tally.connection_errors, tally.timeouts), (2, 1));
        assert_eq!(tally.first_connection_error.as_deref(), Some("refused"));
        assert!(tally.service.is_empty(), "a push without an answer has no latency");
    }

    #[test]
    fn a_push_that_waited_has_a_longer_latency_than_service() {
        let mut tally = Tally::new(0).unwrap();
        tally.sent(0, ms(500), ms(100));
        tally.answered(0, response(StatusCode::TOO_MANY_REQUESTS, ""), ms(510), ms(10));
        tally.sent_again(0);
        tally.answered(0, response(StatusCode::OK, ""), ms(520), ms(10));
        tally.completed(ms(100), ms(520));
        assert_eq!((tally.pushes().sent, tally.retried), (2, 1));
        assert_eq!((tally.latency.len(), tally.service.len()), (1, 2));
        assert!(tally.latency.max() >= 420_000 && tally.service.max() < 10_100);
    }
}
