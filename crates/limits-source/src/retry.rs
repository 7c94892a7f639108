//! Retries and polls over the network: backoff, and polls at an interval.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Spreads the polls of servers that start at the same time.
const JITTER: std::ops::Range<f64> = 0.9..1.1;

/// Exponential backoff with jitter, so that replicas that lost the same server do not reconnect at the same time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    shortest: Duration,
    longest: Duration,
    /// The upper bound of the next pause.
    bound: Duration,
}

impl Backoff {
    pub(crate) const fn new(shortest: Duration, longest: Duration) -> Self {
        Self { shortest, longest, bound: shortest.saturating_mul(2) }
    }

    /// The pause after another failure.
    pub(crate) fn next(&mut self) -> Duration {
        let pause = rand::random_range(self.shortest..=self.bound);
        self.bound = self.bound.saturating_mul(2).min(self.longest);
        pause
    }

    /// Starts again with short pauses.
    pub(crate) fn reset(&mut self) {
        *self = Self::new(self.shortest, self.longest);
    }
}

/// How often to poll, and how long a response may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PollSettings {
    /// From one poll to the next.
    pub(crate) interval: Duration,
    /// The shortest pause after a failure; pauses grow up to `interval`.
    pub(crate) first_retry: Duration,
    /// For one response.
    pub(crate) timeout: Duration,
}

/// When the next poll is due.
#[derive(Debug)]
pub(crate) struct PollTimer {
    interval: Duration,
    backoff: Backoff,
}

impl PollTimer {
    pub(crate) fn new(PollSettings { interval, first_retry, .. }: PollSettings) -> Self {
        Self { interval, backoff: Backoff::new(first_retry, interval) }
    }

    /// Waits until the next poll is due, after one that began at `started`.
    pub(crate) async fn wait(&mut self, started: Instant, succeeded: bool) {
        let due = if succeeded {
            self.backoff.reset();
            started + jittered(self.interval)
        } else {
            Instant::now() + self.backoff.next()
        };
        sleep_until(due).await;
    }
}

/// The duration, up to 10 % shorter or longer.
pub(crate) fn jittered(duration: Duration) -> Duration {
    duration.mul_f64(rand::random_range(JITTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORTEST: Duration = Duration::from_millis(200);
    const LONGEST: Duration = Duration::from_secs(2);

    #[test]
    fn pauses_grow_to_the_longest_and_begin_again_short() {
        let mut backoff = Backoff::new(SHORTEST, LONGEST);
        let longest: Vec<_> = (0..5)
            .map(|_| {
                let longest = backoff.bound;
                assert!((SHORTEST..=longest).contains(&backoff.next()));
                longest.as_millis()
            })
            .collect();
        assert_eq!(longest, [400, 800, 1600, 2000, 2000]);
        backoff.reset();
        assert!(backoff.next() <= 2 * SHORTEST);
    }

    #[test]
    fn pauses_of_replicas_differ() {
        let longest = |failures: usize| {
            let pauses = (0..1_000).map(|_| {
                let mut backoff = Backoff::new(SHORTEST, LONGEST);
                (0..failures).map(|_| backoff.next()).last().unwrap()
            });
            let (least, most) = (pauses.clone().min().unwrap(), pauses.max().unwrap());
            assert!((SHORTEST..=LONGEST).contains(&least) && least < most && most <= LONGEST, "{least:?} {most:?}");
            most
        };
        assert!(longest(1) <= Duration::from_millis(400));
        assert!(longest(9) > Duration::from_millis(1_600));
    }
}
