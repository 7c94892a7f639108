//! The progress of a run on standard error: a bar on a terminal, otherwise a line each second. Nothing is coloured, with NO_COLOR or without.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use super::Run;
use super::tally::{Pushes, Tally};

/// The cells of the bar, which leave room for the numbers in 80 columns.
const CELLS: usize = 20;
/// Returns to the beginning of the line and empties it.
const CLEAR: &str = "\r\u{1b}[K";

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// One line that is written again and again.
    Bar,
    Lines,
    Hidden,
}

impl Progress {
    /// By what standard error is; `is_wanted` shows lines also where it is no terminal.
    pub(crate) fn new(is_wanted: bool) -> Self {
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        match io::stderr().is_terminal() {
            true if !is_dumb => Self::Bar,
            true => Self::Lines,
            false if is_wanted => Self::Lines,
            false => Self::Hidden,
        }
    }

    fn interval(self) -> Duration {
        if self == Self::Bar { Duration::from_millis(200) } else { Duration::from_secs(1) }
    }

    /// Shows it until the future is dropped.
    pub(crate) async fn show(self, run: Arc<Run>) {
        if self == Self::Hidden {
            return;
        }
        let mut tick = tokio::time::interval_at(run.start + self.interval(), self.interval());
        loop {
            tick.tick().await;
            let now = run.start.elapsed();
            let text = match self {
                Self::Bar => format!("{CLEAR}{}", bar(&run.tally(), now, run.args.duration)),
                _ => line(&run.tally(), now, run.args.samples_per_push()) + "\n",
            };
            write(&text);
        }
    }

    /// Empties the line of the bar.
    pub(crate) fn clear(self) {
        if self == Self::Bar {
            write(CLEAR);
        }
    }
}

/// A closed terminal does not end the run.
fn write(text: &str) {
    let mut out = io::stderr().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// A line without its line break.
fn line(tally: &Tally, now: Duration, samples_per_push: u64) -> String {
    let pushes = tally.pushes();
    let Pushes { sent, accepted, denied } = pushes;
    format!(
        "{:.0}s: {sent} pushes sent, {accepted} accepted, {denied} denied, {} without an answer, {} connection errors; \
         {} samples accepted",
        now.as_secs_f64(),
        pushes.unanswered(),
        tally.connection_errors,
        accepted.saturating_mul(samples_per_push),
    )
}

fn bar(tally: &Tally, now: Duration, duration: Duration) -> String {
    let done = (now.as_secs_f64() / duration.as_secs_f64()).min(1.0);
    let full = (done * CELLS as f64) as usize;
    let Pushes { sent, denied, .. } = tally.pushes();
    let p99 = Duration::from_micros(tally.service.value_at_quantile(0.99)).as_secs_f64() * 1000.0;
    format!(
        "{:3.0} % [{}{}] {:.0}s of {:.0}s: {sent} sent, {denied} denied, p99 {p99:.1} ms",
        done * 100.0,
        "#".repeat(full),
        "-".repeat(CELLS.saturating_sub(full)),
        now.as_secs_f64(),
        duration.as_secs_f64(),
    )
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::load::connection::Response;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn tally() -> Tally {
        let mut tally = Tally::new(0).unwrap();
        tally.sent(0, ms(0), ms(0));
        tally.sent(0, ms(0), ms(0));
        tally.answered(0, Response { status: StatusCode::OK, text: String::new() }, ms(5), ms(5));
        tally
    }

    #[test]
    fn a_line_says_how_far_the_run_is() {
        assert_eq!(
            line(&tally(), ms(3001), 100),
            "3s: 2 pushes sent, 1 accepted, 0 denied, 1 without an answer, 0 connection errors; 100 samples accepted"
        );
    }

    #[test]
    fn the_bar_fills_and_stays_within_80_columns() {
        let at = |millis| bar(&tally(), ms(millis), ms(60_000));
        assert_eq!(at(0), "  0 % [--------------------] 0s of 60s: 2 sent, 0 denied, p99 5.0 ms");
        assert_eq!(at(27_000), " 45 % [#########-----------] 27s of 60s: 2 sent, 0 denied, p99 5.0 ms");
        assert_eq!(at(61_000), "100 % [####################] 61s of 60s: 2 sent, 0 denied, p99 5.0 ms");
        assert!(at(1).len() < 80 - "1000000".len());
    }
}
