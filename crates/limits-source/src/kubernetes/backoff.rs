//! How long to wait before the next attempt.

use std::time::Duration;

const SHORTEST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(2);

/// Waits that grow with each failure, each drawn anew so that replicas that lost the same server do not come back together.
#[derive(Debug)]
pub(crate) struct Backoff {
    /// The longest that the next wait may be.
    most: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { most: SHORTEST.saturating_mul(2) }
    }
}

impl Backoff {
    /// The wait after one more failure, from 0.2 to 2 seconds.
    pub(crate) fn after_failure(&mut self) -> Duration {
        let wait = rand::random_range(SHORTEST..=self.most);
        self.most = self.most.saturating_mul(2).min(LONGEST);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_two_seconds_and_differ() {
        let longest = |failures: usize| {
            let waits = (0..1_000).map(|_| {
                let mut backoff = Backoff::default();
                (0..failures).map(|_| backoff.after_failure()).last().unwrap()
            });
            let (least, most) = (waits.clone().min().unwrap(), waits.max().unwrap());
            assert!((SHORTEST..=LONGEST).contains(&least) && least < most && most <= LONGEST, "{least:?} {most:?}");
            most
        };
        assert!(longest(1) <= Duration::from_millis(400));
        assert!(longest(9) > Duration::from_millis(1_600));
    }
}
