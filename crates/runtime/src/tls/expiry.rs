//! When certificates expire, as a metric. A date that cannot be read is shown too, or an alert would take it for no certificate.

use std::path::{Path, PathBuf};

use prometheus::IntGauge;
use tasks::blocking;
use tokio::time::{MissedTickBehavior, interval};
use tokio_rustls::rustls::pki_types::CertificateDer;

use super::{certificates, not_after};
use crate::reload::{POLL_EVERY, read};

/// In place of a date: it cannot be read.
const UNREADABLE: i64 = -1;

/// When the first certificate of a chain expires, as Unix time; `None` if the date of one of them cannot be read.
pub(super) fn first_expiry(chain: &[CertificateDer<'_>]) -> Option<i64> {
    chain.iter().map(|certificate| not_after::of(certificate)).min().flatten()
}

/// Shows when the certificates of a file expire.
pub(super) fn show(expires: Option<i64>, path: &Path, not_after: &IntGauge) {
    let shown = expires.unwrap_or(UNREADABLE);
    if shown == UNREADABLE && not_after.get() != UNREADABLE {
        tracing::warn!(
            "{} holds no certificate whose date of expiry can be read, so nothing says when it expires",
            path.display()
        );
    }
    not_after.set(shown);
}

/// Shows when a client's certificate expires, which is read from its file for each connection. Never returns.
pub async fn follow_expiry(path: PathBuf, not_after: IntGauge) {
    let mut polls = interval(POLL_EVERY);
    polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        polls.tick().await;
        let of = path.clone();
        let expires = blocking(move || expiry_of(&of)).await;
        show(expires, &path, &not_after);
    }
}

fn expiry_of(path: &Path) -> Option<i64> {
    first_expiry(&certificates(&read(path).ok()?, path).ok()?)
}
