//! The places for connections of one listener. When all are taken, a connection that is of little use gives way to a new one. Of too many connections whose
//! peers do not read, one gives way as well.
//!
//! Time is an argument: how long the listener has existed.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// A connection that moved bytes within this time is in use.
const IN_USE_FOR: Duration = Duration::from_secs(1);
/// A peer address with more than this part of the places gives way first.
const SHARES: usize = 4;
/// For a connection whose peer has read its answers.
const READ: u64 = u64::MAX;

/// All places of a listener.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    /// Connections whose peers do not read.
    most_unread: Option<usize>,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    connections: HashMap<u64, Arc<Usage>>,
    next: u64,
}

/// How a connection uses its place.
#[derive(Debug)]
struct Usage {
    peer: Option<IpAddr>,
    /// When it was accepted or last moved bytes, in milliseconds.
    used_at: AtomicU64,
    /// Whether its first bytes have arrived.
    opened: AtomicBool,
    /// Since when its answers have waited for the peer, in milliseconds; [`READ`] if none does.
    unread_since: AtomicU64,
    gave_way: CancellationToken,
}

/// The place of one connection, which is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    number: u64,
    usage: Arc<Usage>,
    places: Arc<Places>,
}

/// A place for a new connection.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) place: Place,
    /// Whether another connection gave way.
    pub(super) gave_way: bool,
}

impl Places {
    pub(super) fn new(most: usize, most_unread: Option<usize>) -> Arc<Self> {
        Arc::new(Self { most, most_unread, taken: Mutex::default() })
    }

    /// A place for a connection from `peer`; `None` if all are taken and in use.
    pub(super) fn take(self: &Arc<Self>, peer: Option<IpAddr>, now: Duration) -> Option<Found> {
        let peer = peer.map(|peer| peer.to_canonical());
        let mut taken = self.taken();
        let gave_way = taken.connections.len() >= self.most;
        if gave_way {
            let number = taken.least_used(peer, self.most, now)?;
            taken.close(number);
        }
        let usage = Arc::new(Usage {
            peer,
            used_at: AtomicU64::new(millis(now)),
            opened: AtomicBool::new(false),
            unread_since: AtomicU64::new(READ),
            gave_way: CancellationToken::new(),
        });
        let number = taken.next;
        taken.next = number.wrapping_add(1);
        taken.connections.insert(number, Arc::clone(&usage));
        Some(Found { place: Place { number, usage, places: Arc::clone(self) }, gave_way })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// The connection gives way.
    fn close(&mut self, number: u64) {
        if let Some(usage) = self.connections.remove(&number) {
            usage.gave_way.cancel();
        }
    }

    /// Where more than `most` connections are unread, the longest unread one of the peer address that has most of them.
    fn longest_unread(&self, most: usize) -> Option<u64> {
        let since = |usage: &Usage| Some(usage.unread_since.load(Ordering::Relaxed)).filter(|since| *since != READ);
        let unread =
            || self.connections.iter().filter_map(|(number, usage)| Some((since(usage)?, *number, usage.peer)));
        if unread().count() <= most {
            return None;
        }
        let mut counts: HashMap<Option<IpAddr>, usize> = HashMap::new();
        for (.., peer) in unread() {
            *counts.entry(peer).or_default() += 1;
        }
        let (greedy, _) = counts.into_iter().max_by_key(|(_, count)| *count)?;
        unread().filter(|(.., peer)| *peer == greedy).min().map(|(_, number, _)| number)
    }

    /// The connection that gives way to one from `newcomer`: of the best class, the one that has been unused for longest. For a peer with more than its
    /// share, only its own give way.
    fn least_used(&self, newcomer: Option<IpAddr>, most: usize, now: Duration) -> Option<u64> {
        let counts = self.counts();
        let greedy = greedy_peer(&counts, most);
        let only = newcomer.filter(|peer| counts.get(peer).is_some_and(|count| *count > share(most)));
        let class = |usage: &Usage| {
            let is_opened = usage.opened.load(Ordering::Relaxed);
            let is_greedy = usage.peer.is_some() && usage.peer == greedy;
            let unused_for = millis(now).saturating_sub(usage.used_at.load(Ordering::Relaxed));
            if u128::from(unused_for) >= IN_USE_FOR.as_millis() {
                return Some(match (is_opened, is_greedy) {
                    (false, _) => 0,
                    (true, true) => 1,
                    (true, false) => 2,
                });
            }
            // A peer may not push out what it uses itself, nor what others use.
            match (is_greedy && usage.peer != newcomer, is_opened, usage.peer == newcomer) {
                (true, ..) => Some(3),
                (false, false, true) => Some(4),
                _ => None,
            }
        };
        let candidates = self.connections.iter().filter(|(_, usage)| only.is_none() || usage.peer == only);
        let ranked = candidates.filter_map(|(number, usage)| {
            class(usage).map(|class| (class, usage.used_at.load(Ordering::Relaxed), *number))
        });
        ranked.min().map(|(.., number)| number)
    }

    /// How many connections each peer address has.
    fn counts(&self) -> HashMap<IpAddr, usize> {
        let mut counts = HashMap::new();
        for peer in self.connections.values().filter_map(|usage| usage.peer) {
            *counts.entry(peer).or_default() += 1;
        }
        counts
    }
}

/// The peer address with the most connections, if it has more than its share.
fn greedy_peer(counts: &HashMap<IpAddr, usize>, most: usize) -> Option<IpAddr> {
    let (peer, count) = counts.iter().max_by_key(|(_, count)| **count)?;
    (*count > share(most)).then_some(*peer)
}

/// How many of the places one peer address may have. A single connection is no more than its share, however few places there are.
fn share(most: usize) -> usize {
    (most / SHARES).max(1)
}

impl Place {
    /// The connection moved bytes.
    pub(super) fn use_at(&self, now: Duration) {
        self.usage.used_at.store(millis(now), Ordering::Relaxed);
    }

    /// The first bytes have arrived.
    pub(super) fn open(&self) {
        self.usage.opened.store(true, Ordering::Relaxed);
    }

    /// Answers wait for the peer. Returns whether a connection, which may be this one, has to give way for that.
    pub(super) fn is_unread(&self, now: Duration) -> bool {
        self.usage.unread_since.store(millis(now), Ordering::Relaxed);
        let mut taken = self.places.taken();
        let longest = self.places.most_unread.and_then(|most| taken.longest_unread(most));
        longest.inspect(|number| taken.close(*number)).is_some()
    }

    /// The peer has read all answers.
    pub(super) fn is_read(&self) {
        self.usage.unread_since.store(READ, Ordering::Relaxed);
    }

    /// Cancelled when the connection has to give way.
    pub(super) fn gave_way(&self) -> &CancellationToken {
        &self.usage.gave_way
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken().connections.remove(&self.number);
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn peer(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([10, 0, 0, last]))
    }

    /// Takes places for these peers, one each 10 ms, and opens those marked so.
    fn filled(places: &Arc<Places>, peers: &[(u8, bool)]) -> Vec<Place> {
        let take = |(index, (last, is_open)): (usize, &(u8, bool))| {
            let at = Duration::from_millis(10 * index as u64);
            let place = places.take(peer(*last), at).unwrap().place;
            if *is_open {
                place.open();
            }
            place
        };
        peers.iter().enumerate().map(take).collect()
    }

    /// Which of the connections gives way to one from this peer; `None`: it is rejected.
    #[track_caller]
    fn check(peers: &[(u8, bool)], used: &[usize], newcomer: u8, now: Duration, expected: Option<usize>) {
        let places = Places::new(peers.len(), None);
        let taken = filled(&places, peers);
        for index in used {
            taken[*index].use_at(now);
        }
        let found = places.take(peer(newcomer), now);
        let gone = taken.iter().position(|place| place.gave_way().is_cancelled());
        assert_eq!((gone, found.is_some()), (expected, expected.is_some()));
        assert_eq!(places.taken().connections.len(), peers.len());
    }

    #[test]
    fn the_longest_silent_gives_way_before_the_longest_idle() {
        let peers = [(1, true), (2, false), (3, false), (4, true), (5, true), (6, true), (7, true), (8, true)];
        check(&peers, &[], 9, 5 * SECOND, Some(1));
        check(&peers, &[1], 9, 5 * SECOND, Some(2));
        check(&peers, &[1, 2], 9, 5 * SECOND, Some(0));
        check(&peers, &[0, 1, 2], 9, 5 * SECOND, Some(3));
    }

    #[test]
    fn connections_in_use_give_way_to_no_one() {
        let peers = [(1, true), (2, true), (3, true), (4, true), (5, false)];
        check(&peers, &[0, 1, 2, 3, 4], 9, 5 * SECOND, None);
        check(&peers, &[0, 1, 2, 4], 9, 5 * SECOND, Some(3));
    }

    #[test]
    fn a_peer_with_more_than_its_share_gives_way_first() {
        let peers = [(1, true), (2, true), (7, true), (7, true), (7, true), (3, true), (4, true), (5, true)];
        check(&peers, &[], 9, 5 * SECOND, Some(2));
        check(&peers, &[2, 3], 9, 5 * SECOND, Some(4));
        // Its connections are all in use: they give way to other peers, and not to its own.
        check(&peers, &[0, 1, 2, 3, 4, 5, 6, 7], 9, 5 * SECOND, Some(2));
        check(&peers, &[0, 1, 2, 3, 4, 5, 6, 7], 7, 5 * SECOND, None);
    }

    #[test]
    fn a_burst_of_silent_connections_pushes_out_only_its_own() {
        let peers = [(1, false), (7, false), (7, false), (7, false)];
        check(&peers, &[], 7, SECOND / 2, Some(1));
        check(&peers, &[], 9, SECOND / 2, Some(1));
        check(&[(1, false), (2, false), (3, false), (4, false)], &[], 9, SECOND / 2, None);
    }

    #[test]
    fn a_peer_over_its_share_pushes_out_only_its_own() {
        let silent = [(1, true), (7, false), (7, false), (7, false)];
        check(&silent, &[1, 2, 3], 7, 5 * SECOND, Some(1));
        check(&silent, &[], 7, 5 * SECOND, Some(1));
        let open = [(1, true), (2, false), (7, true), (7, true)];
        check(&open, &[], 7, 5 * SECOND, Some(2));
        check(&open, &[2, 3], 7, 5 * SECOND, None);
        check(&open, &[2, 3], 9, 5 * SECOND, Some(1));
    }

    #[test]
    fn of_many_that_do_not_read_the_longest_gives_way() {
        let places = Places::new(8, Some(3));
        let peers = [(1, true), (7, true), (7, true), (2, true), (7, true)];
        let taken = filled(&places, &peers);
        let gone = || taken.iter().map(|place| place.gave_way().is_cancelled()).collect::<Vec<_>>();
        for (place, at) in [(&taken[0], 1), (&taken[1], 2), (&taken[2], 3)] {
            assert!(!place.is_unread(at * SECOND));
        }
        taken[0].is_read();
        assert!(!taken[3].is_unread(4 * SECOND), "another one has been read");
        assert!(taken[0].is_unread(5 * SECOND));
        assert_eq!(gone(), [false, true, false, false, false]);
        assert!(taken[4].is_unread(6 * SECOND));
        assert_eq!(gone(), [false, true, true, false, false]);
        assert_eq!(places.taken().connections.len(), 3);
    }

    #[test]
    fn both_spellings_of_an_address_are_one_peer() {
        let places = Places::new(2, None);
        let _first = places.take(peer(1), SECOND).unwrap();
        let mapped = IpAddr::V6(std::net::Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped());
        let _second = places.take(Some(mapped), SECOND).unwrap();
        assert_eq!(greedy_peer(&places.taken().counts(), 2), peer(1));
        let sockets = Places::new(2, None);
        let _both = [sockets.take(None, SECOND).unwrap(), sockets.take(None, SECOND).unwrap()];
        assert_eq!(greedy_peer(&sockets.taken().counts(), 2), None);
    }

    #[test]
    fn a_place_is_free_again_once() {
        let places = Places::new(1, None);
        let first = places.take(peer(1), Duration::ZERO).unwrap();
        let second = places.take(peer(2), 2 * SECOND).unwrap();
        assert!(second.gave_way && first.place.gave_way().is_cancelled());
        drop(first);
        assert!(places.take(peer(3), 2 * SECOND).is_none(), "the second one is in use");
        drop(second);
        assert!(places.take(peer(3), 2 * SECOND).is_some_and(|found| !found.gave_way));
    }
}
