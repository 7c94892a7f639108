//! Figures and their targets.

use std::fmt;
use std::time::Duration;

/// The figures so far that are over their targets.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    missed: Vec<String>,
}

impl Figures {
    /// The target as a cell of a table; a figure that is over it is listed at the end.
    pub(crate) fn target(&mut self, name: &str, measured: f64, most: Option<f64>) -> String {
        if most.is_some_and(|most| measured > most) {
            self.missed.push(name.to_owned());
        }
        most.map_or_else(|| "–".to_owned(), |most| format!("{most:.2}"))
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let missed = if self.missed.is_empty() { "none".to_owned() } else { self.missed.join("; ") };
        write!(formatter, "Over their target: {missed}.")
    }
}

/// The middle one.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

pub(crate) fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
