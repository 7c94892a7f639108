//! What the edge costs, what it adds to a push, and what it saves: the release programs beside this one, with the real Envoy and Mimir, on loopback.
//!
//! `cargo bench -p e2e --bench edge -- SECTION...` measures some of the sections `cost`, `requests`, `latency` and `calls`; further names choose rows, such
//! as `-- cost rate 2000`. What is compared gets its load in turn, so that the ratios and differences within a run say more than its figures.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::process::Command;
use std::thread::available_parallelism;

use e2e::repository;

mod calls;
mod cost;
mod figures;
mod latency;
mod pushes;
mod requests;
mod testbed;

use figures::Figures;
use testbed::Testbed;

const SECTIONS: [&str; 4] = ["cost", "requests", "latency", "calls"];

fn main() {
    let names: Vec<String> = std::env::args().skip(1).filter(|name| !name.starts_with('-')).collect();
    let (sections, rows): (Vec<String>, Vec<String>) =
        names.into_iter().partition(|name| SECTIONS.contains(&name.as_str()));
    let is_chosen = |section: &str| sections.is_empty() || sections.iter().any(|chosen| chosen == section);
    println!("{}\n", machine());
    let mut figures = Figures::default();
    if SECTIONS.iter().any(|section| *section != "calls" && is_chosen(section)) {
        let testbed = Testbed::start();
        if is_chosen("cost") {
            cost::measure(&testbed, &rows, &mut figures);
        }
        if is_chosen("requests") {
            requests::measure(&testbed, &mut figures);
        }
        if is_chosen("latency") {
            latency::measure(&testbed, &mut figures);
        }
        testbed.print_memory();
    }
    if is_chosen("calls") {
        calls::measure(&mut figures);
    }
    println!("{figures}");
}

/// The machine and the commit that the figures are of.
fn machine() -> String {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map(|(_, model)| model);
    let cores = available_parallelism().map_or(0, usize::from);
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).current_dir(repository()).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
    };
    let commit = git(&["rev-parse", "--short=12", "HEAD"]);
    let is_changed = !git(&["status", "--porcelain", "--untracked-files=no"]).is_empty();
    let changed = if is_changed { " with changes" } else { "" };
    format!("Machine: {cores} cores, {}. Commit {commit}{changed}.", model.unwrap_or("unknown model"))
}
