//! How often something is asked for over the network: every so often, and sooner after a failure.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Servers that start at the same time do not go on asking at the same time.
const JITTER: std::ops::Range<f64> = 0.9..1.1;

/// How often is asked, and how long an answer may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// From one question to the next.
    pub(crate) every: Duration,
    /// From the first failure to the next question; it doubles up to `every`.
    pub(crate) first_retry: Duration,
    /// For one answer.
    pub(crate) timeout: Duration,
}

/// A series of questions at a pace.
#[derive(Debug)]
pub(crate) struct Questions {
    pace: Pace,
    retry: Duration,
}

impl Pace {
    pub(crate) fn questions(self) -> Questions {
        Questions { pace: self, retry: self.first_retry }
    }
}

impl Questions {
    /// Waits until the next question is due, after one that was asked then and had a good answer or none.
    pub(crate) async fn wait(&mut self, asked: Instant, is_good: bool) {
        let Pace { every, first_retry, .. } = self.pace;
        let next = if is_good {
            self.retry = first_retry;
            asked + jittered(every)
        } else {
            let wait = jittered(self.retry);
            self.retry = self.retry.saturating_mul(2).min(every);
            Instant::now() + wait
        };
        sleep_until(next).await;
    }
}

fn jittered(duration: Duration) -> Duration {
    duration.mul_f64(rand::random_range(JITTER))
}
