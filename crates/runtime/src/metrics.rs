//! Metrics whose values are kept elsewhere, and read when Prometheus scrapes.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, IntCounter, IntCounterVec, Opts, Registry};

struct ReadAtScrape<F> {
    desc: Desc,
    read: F,
}

impl<F: Fn() -> prometheus::Result<Vec<MetricFamily>> + Send + Sync> Collector for ReadAtScrape<F> {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        (self.read)().unwrap_or_default()
    }
}

fn register(
    registry: &Registry,
    (name, help): (&str, &str),
    labels: Vec<String>,
    read: impl Fn() -> prometheus::Result<Vec<MetricFamily>> + Send + Sync + 'static,
) -> prometheus::Result<()> {
    let desc = Desc::new(name.to_owned(), help.to_owned(), labels, Default::default())?;
    registry.register(Box::new(ReadAtScrape { desc, read }))
}

/// Registers a gauge with the value of `read` at each scrape.
///
/// # Errors
/// The name is invalid or taken.
pub fn register_read_gauge(
    registry: &Registry,
    name: &'static str,
    help: &'static str,
    read: impl Fn() -> f64 + Send + Sync + 'static,
) -> prometheus::Result<()> {
    register(registry, (name, help), Vec::new(), move || {
        let gauge = Gauge::new(name, help)?;
        gauge.set(read());
        Ok(gauge.collect())
    })
}

/// Registers a counter with the value of `read` at each scrape.
///
/// # Errors
/// The name is invalid or taken.
pub fn register_read_counter(
    registry: &Registry,
    name: &'static str,
    help: &'static str,
    read: impl Fn() -> u64 + Send + Sync + 'static,
) -> prometheus::Result<()> {
    register(registry, (name, help), Vec::new(), move || {
        let counter = IntCounter::new(name, help)?;
        counter.inc_by(read());
        Ok(counter.collect())
    })
}

/// Registers a counter for each value of a label, with the values of `read` at each scrape.
///
/// # Errors
/// The name is invalid or taken.
pub fn register_read_counters<const N: usize>(
    registry: &Registry,
    name: &'static str,
    help: &'static str,
    label: &'static str,
    read: impl Fn() -> [(&'static str, u64); N] + Send + Sync + 'static,
) -> prometheus::Result<()> {
    register(registry, (name, help), vec![label.to_owned()], move || {
        let counters = IntCounterVec::new(Opts::new(name, help), &[label])?;
        for (value, count) in read() {
            counters.with_label_values(&[value]).inc_by(count);
        }
        Ok(counters.collect())
    })
}
