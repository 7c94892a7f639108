//! The fifth stage: the answer to a denied push, as values. It is exactly Mimir's answer.

use enforce::{Denial, retry_after_seconds};
use limits::Mode;
use remote_write::{Protocol, PushCounts};

use crate::verdict::Verdict;

/// The reason of a denial, in addition to Mimir's own headers.
const REASON_HEADER: &str = "x-mimir-edge-reason";
const RETRY_AFTER: &str = "retry-after";

/// An HTTP answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Names, in lower case, and values.
    pub headers: Vec<(&'static str, String)>,
    /// The text, with the newline at its end that Mimir sends.
    pub body: String,
}

impl Answer {
    /// The answer of a denial to a push with `Retry-Attempt: retry_attempt`. `random` in `[0, 1)` spreads the clients' retries as Mimir does.
    #[must_use]
    pub fn to_denial(denial: &Denial, retry_attempt: u32, random: f64) -> Self {
        let mut headers = vec![
            ("content-type", "text/plain; charset=utf-8".to_owned()),
            ("x-content-type-options", "nosniff".to_owned()),
            (REASON_HEADER, denial.reason().as_str().to_owned()),
        ];
        if denial.retryable() {
            headers.push((RETRY_AFTER, retry_after_seconds(retry_attempt, random).to_string()));
        }
        Self { status: denial.status(), headers, body: format!("{}\n", denial.message()) }
    }
}

impl Verdict {
    /// The denial to send to the client; `None` where the push goes on to Mimir, because it is allowed or because of its mode.
    #[must_use]
    pub fn denial_to_send(&self) -> Option<&Denial> {
        self.denial().filter(|_| self.mode == Mode::Enforce)
    }

    /// The answer to a push with `Retry-Attempt: retry_attempt`; `None` where it goes on to Mimir. `random` as in [`Answer::to_denial`].
    #[must_use]
    pub fn answer(&self, retry_attempt: u32, random: f64) -> Option<Answer> {
        let mut answer = Answer::to_denial(self.denial_to_send()?, retry_attempt, random);
        if self.protocol == Some(Protocol::V2) {
            answer.headers.extend(written_counters(&self.counts));
        }
        if let Some(fault) = &self.content_type_fault {
            // Mimir has sent the head of its response by the time it denies the push as well.
            answer.status = 400;
            answer.headers.retain(|(name, _)| *name != RETRY_AFTER);
            answer.body = format!("{fault}\n{}", answer.body);
        }
        Some(answer)
    }
}

/// The headers of remote write 2.0 with what was written. Mimir sends them with a denial too: what the push holds, or zeros if it was not decoded.
fn written_counters(counts: &PushCounts) -> [(&'static str, String); 3] {
    [
        ("x-prometheus-remote-write-samples-written", counts.sent.samples),
        ("x-prometheus-remote-write-histograms-written", counts.sent.histograms),
        ("x-prometheus-remote-write-exemplars-written", counts.sent.exemplars),
    ]
    .map(|(name, count)| (name, count.to_string()))
}
