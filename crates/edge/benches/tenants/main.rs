//! What many tenants cost, each figure beside its target: the time of a decision with up to a million of them, the memory of one that pushes no more,
//! the pause while the limits of 100,000 are replaced, and what a second thread adds.
//!
//! `cargo bench -p edge --bench tenants`

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints, and may panic")]

mod flat;
mod idle;
mod setup;
mod swap;
mod threads;

fn main() {
    println!("| tenants | measured | target |\n|---|---|---|");
    let rows = [flat::rows(), idle::rows(), swap::rows(), threads::rows()];
    let missed: Vec<&str> = rows.iter().flatten().filter(|row| row.is_missed()).map(|row| row.name.as_str()).collect();
    println!("\nOver their target: {}.", if missed.is_empty() { "none".to_owned() } else { missed.join("; ") });
}

/// A figure and its target, which is printed as soon as it is measured.
struct Row {
    name: String,
    measured: f64,
    target: Option<Target>,
}

#[derive(Clone, Copy)]
enum Target {
    AtMost(f64),
    AtLeast(f64),
}

impl Row {
    fn new(name: impl Into<String>, measured: f64, unit: &str, target: Option<Target>) -> Self {
        let row = Self { name: name.into(), measured, target };
        let bound = match target {
            Some(Target::AtMost(most)) => format!("at most {most}"),
            Some(Target::AtLeast(least)) => format!("at least {least}"),
            None => "–".to_owned(),
        };
        println!("| {} | {measured:.2} {unit} | {bound} |", row.name);
        row
    }

    fn is_missed(&self) -> bool {
        match self.target {
            Some(Target::AtMost(most)) => self.measured > most,
            Some(Target::AtLeast(least)) => self.measured < least,
            None => false,
        }
    }
}

/// The middle one.
fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
