//! Sends every push to a Mimir and then to what is compared with it, and collects the responses.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use e2e::{Connection, Response, exchange};

use super::answers::{Likeness, compare, shown, subject};
use super::pushes::push;
use super::tenants::{Kind, Tenant};

pub(crate) const PUSHES_PER_TENANT: u64 = 40;
/// Enough to keep the programs busy; each sends the pushes of one tenant after the other's.
const WORKERS: usize = 4;
const SHOWN_DIFFERENCES: usize = 20;

/// What is sent, and where.
pub(crate) struct Run {
    pub(crate) seed: u64,
    /// Numbers of the tenants.
    pub(crate) tenants: std::ops::Range<u64>,
    /// When it began, in Unix milliseconds.
    pub(crate) start: i64,
    pub(crate) mimir: u16,
    pub(crate) edge: u16,
}

/// How a run went.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) pushes: u64,
    pub(crate) likenesses: BTreeMap<Likeness, u64>,
    /// Answers of the Mimir without an edge, by what they are about.
    pub(crate) subjects: BTreeMap<String, u64>,
    /// Answers of the edge by status that were not its own.
    pub(crate) forwarded: BTreeMap<u16, u64>,
    /// Pushes that the edge denied, by its reason.
    pub(crate) denied: BTreeMap<String, u64>,
    /// Pushes that Mimir took and the edge denied, but for the two kinds of tenants where it is to.
    pub(crate) accepted_and_denied: u64,
    /// Pushes that Mimir's handler died of.
    pub(crate) unanswered: u64,
    pub(crate) differences: Vec<String>,
}

impl Run {
    /// # Panics
    /// When a push gets no answer.
    pub(crate) fn go(&self) -> Tally {
        let next = AtomicU64::new(self.tenants.start);
        let tally = Mutex::new(Tally::default());
        thread::scope(|scope| {
            for _ in 0..WORKERS {
                scope.spawn(|| {
                    let mut connections = [None, None];
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= self.tenants.end {
                            return;
                        }
                        self.push_all_of(number, &mut connections, &tally);
                    }
                });
            }
        });
        tally.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Mimir's handler dies of some pushes, such as one with a cluster that is no UTF-8, and what it holds of the tenant's pairs is no longer
    /// what the edge must take it for: the tenant ends there. The edge may have denied the push.
    fn push_all_of(&self, number: u64, [mimir, edge]: &mut [Option<Connection>; 2], tally: &Mutex<Tally>) {
        let mut tenant = Tenant::of(self.seed, number);
        for index in 0..PUSHES_PER_TENANT {
            let request = push(&mut tenant, index.cast_signed(), self.start);
            // No push is sent a second time: it would be charged twice.
            let answers = (exchange(mimir, self.mimir, &request), exchange(edge, self.edge, &request));
            let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
            match answers {
                (Ok(mimir), Ok(edge)) => {
                    tally.note(tenant.kind, &[mimir, edge], || {
                        format!("tenant {number} push {index} {request}\n  {}", tenant.entries().trim())
                    });
                }
                (Err(_), Err(_) | Ok(Response { status: 400.., .. })) => {
                    tally.unanswered += 1;
                    return;
                }
                (mimir, edge) => {
                    tally.differences.push(format!("tenant {number} push {index}: {mimir:?} {edge:?}"));
                    return;
                }
            }
        }
    }
}

impl Tally {
    fn note(&mut self, kind: Kind, [mimir, edge]: &[Response; 2], place: impl Fn() -> String) {
        let likeness = compare(kind, mimir, edge);
        self.pushes += 1;
        *self.likenesses.entry(likeness).or_default() += 1;
        *self.subjects.entry(subject(mimir)).or_default() += 1;
        match edge.reason() {
            Some(reason) => *self.denied.entry(reason.into_owned()).or_default() += 1,
            None if kind == Kind::TooLarge && edge.status == 413 => {
                *self.denied.entry("envoy's body limit".into()).or_default() += 1;
            }
            None => *self.forwarded.entry(edge.status).or_default() += 1,
        }
        self.accepted_and_denied += u64::from(kind == Kind::Usual && mimir.status < 300 && edge.status >= 300);
        if likeness == Likeness::Different && self.differences.len() < SHOWN_DIFFERENCES {
            let edges_own = edge.reason().unwrap_or_default();
            self.differences.push(format!(
                "{}\n  mimir {}\n  edge  {} {edges_own}",
                place(),
                shown(mimir),
                shown(edge)
            ));
        }
    }
}
