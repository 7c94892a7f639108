//! Metrics of the programs, read from their Prometheus text.

use crate::http1::{Request, send};

/// The value of one series; `series` is its name with its labels exactly as they are printed. `None`: there is no such series.
///
/// # Panics
/// When nothing answers on the port.
#[must_use]
#[track_caller]
pub fn metric(port: u16, path: &str, series: &str) -> Option<f64> {
    value_of(&send(port, &Request::new("GET", path)).text(), series)
}

/// The same in a page that was read.
pub(crate) fn value_of(page: &str, series: &str) -> Option<f64> {
    page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.trim().parse().ok())
}
