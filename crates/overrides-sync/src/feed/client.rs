//! A client of the feed: what it has, and what it gets next.
//!
//! Invariant: at most one update waits for the client. Changes while a client does not read are sent as one change.

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use limits::ElectedReplica;
use limits_source::HaTrackerState;
use proto::edge::limits::v1::watch_response::Update;
use proto::edge::limits::v1::{LimitsPart, Version, WatchResponse};
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::Inputs;
use super::messages::{fresh_list, next_part, problem_list};
use crate::metrics::Metrics;

/// A client without a message for three times this switches to another server.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(1);

pub(super) struct Client {
    inputs: Inputs,
    /// The version that the client has once `begun` is sent.
    have: Option<Version>,
    /// Whether the first heartbeat was sent, which tells a client at once that the server is alive.
    greeted: bool,
    heartbeats: Interval,
    begun: Option<Begun>,
    /// When the client connected: propagation is measured for later changes only.
    connected_at: Instant,
    metrics: Metrics,
    stop: CancellationToken,
}

/// An update that is sent in parts.
enum Begun {
    Limits { parts: Arc<[LimitsPart]>, sent: usize, seen: Instant },
    Elected { list: Arc<[ElectedReplica]>, state: HaTrackerState, sent: usize },
}

/// Why there is something to send.
enum Wakeup {
    Stop,
    Heartbeat,
    Limits,
    Problems,
    Elected,
}

impl Client {
    /// A client with the limits of version `have`, and nothing else.
    pub(super) fn new(mut inputs: Inputs, have: Option<Version>, metrics: Metrics, stop: CancellationToken) -> Self {
        inputs.limits.mark_changed();
        inputs.problems.mark_changed();
        inputs.ha_tracker.iter_mut().for_each(watch::Receiver::mark_changed);
        let mut heartbeats = interval(HEARTBEAT_EVERY);
        heartbeats.reset();
        heartbeats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { inputs, have, greeted: false, heartbeats, begun: None, connected_at: Instant::now(), metrics, stop }
    }

    /// Waits for the next message; `None` when the server drains.
    pub(super) async fn next(&mut self) -> Option<WatchResponse> {
        loop {
            if let Some(update) = self.next_part() {
                return Some(WatchResponse { update: Some(update) });
            }
            let update = match self.woken().await {
                Wakeup::Stop => return None,
                Wakeup::Heartbeat => Update::Heartbeat(self.inputs.heartbeat()),
                Wakeup::Problems => Update::Problems(problem_list(&self.inputs.problems.borrow_and_update())),
                Wakeup::Limits => {
                    self.begun = self.begin_limits().await;
                    continue;
                }
                Wakeup::Elected => {
                    self.begun = self.begin_elected();
                    continue;
                }
            };
            return Some(WatchResponse { update: Some(update) });
        }
    }

    async fn woken(&mut self) -> Wakeup {
        if !std::mem::replace(&mut self.greeted, true) {
            return Wakeup::Heartbeat;
        }
        // In random order, so that an input that changes often does not starve the others for a slow reader.
        tokio::select! {
            () = self.stop.cancelled() => Wakeup::Stop,
            _ = self.heartbeats.tick() => Wakeup::Heartbeat,
            () = changed(Some(&mut self.inputs.distributors)) => Wakeup::Heartbeat,
            () = changed(Some(&mut self.inputs.limits)) => Wakeup::Limits,
            () = changed(Some(&mut self.inputs.problems)) => Wakeup::Problems,
            () = changed(self.inputs.ha_tracker.as_mut()) => Wakeup::Elected,
        }
    }

    async fn begin_limits(&mut self) -> Option<Begun> {
        let published = self.inputs.limits.borrow_and_update().clone()?;
        let (version, seen, have) = (published.version().clone(), published.seen(), self.have.clone());
        // Rendering everything takes longer than an async worker may be blocked.
        let parts = tokio::task::spawn_blocking(move || published.parts(have.as_ref())).await.ok()?;
        self.have = Some(version);
        Some(Begun::Limits { parts, sent: 0, seen })
    }

    fn begin_elected(&mut self) -> Option<Begun> {
        let state = self.inputs.ha_tracker.as_mut()?.borrow_and_update();
        Some(Begun::Elected { list: fresh_list(&state)?, state: state.clone(), sent: 0 })
    }

    /// The next part of the update in progress.
    fn next_part(&mut self) -> Option<Update> {
        let (update, last) = match self.begun.as_mut()? {
            Begun::Limits { parts, sent, seen } => {
                let part = parts.get(*sent)?.clone();
                *sent += 1;
                if part.last {
                    let late = (*seen > self.connected_at).then(|| seen.elapsed());
                    self.metrics.update_sent(part.complete, late);
                }
                let last = part.last;
                (Update::Limits(part), last)
            }
            Begun::Elected { list, state, sent } => {
                let part = next_part(list, sent, state.requested_at_unix_millis, state.age());
                let last = part.last;
                (Update::Elected(part), last)
            }
        };
        if last {
            self.begun = None;
        }
        Some(update)
    }
}

/// Waits for a change; forever if there is no receiver or no sender.
async fn changed<T>(receiver: Option<&mut watch::Receiver<T>>) {
    if let Some(receiver) = receiver
        && receiver.changed().await.is_ok()
    {
        return;
    }
    pending::<()>().await;
}
