//! Metrics whose values are kept elsewhere, and read when Prometheus scrapes.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, IntCounter, IntCounterVec, Opts, Registry};

struct ReadAtScrape<F> {
    desc: Vec<Desc>,
    read: F,
}

impl<M: Collector, F: Fn() -> prometheus::Result<M> + Send + Sync> Collector for ReadAtScrape<F> {
    fn desc(&self) -> Vec<&Desc> {
        self.desc.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        (self.read)().map(|metric| metric.collect()).unwrap_or_default()
    }
}

/// Registers the metric that `read` makes at each scrape: always of the same name.
///
/// # Errors
/// The name is invalid or taken.
pub fn register_read<M: Collector + 'static>(
    registry: &Registry,
    read: impl Fn() -> prometheus::Result<M> + Send + Sync + 'static,
) -> prometheus::Result<()> {
    let desc = read()?.desc().into_iter().cloned().collect();
    registry.register(Box::new(ReadAtScrape { desc, read }))
}

/// A gauge that has this value.
///
/// # Errors
/// The name is invalid.
pub fn gauge_of(name: &str, help: &str, value: f64) -> prometheus::Result<Gauge> {
    let gauge = Gauge::new(name, help)?;
    gauge.set(value);
    Ok(gauge)
}

/// A counter that has this value.
///
/// # Errors
/// The name is invalid.
pub fn counter_of(name: &str, help: &str, value: u64) -> prometheus::Result<IntCounter> {
    let counter = IntCounter::new(name, help)?;
    counter.inc_by(value);
    Ok(counter)
}

/// Counters that have these values, one for each value of a label.
///
/// # Errors
/// The name is invalid.
pub fn counters_of(name: &str, help: &str, label: &str, values: &[(&str, u64)]) -> prometheus::Result<IntCounterVec> {
    let counters = IntCounterVec::new(Opts::new(name, help), &[label])?;
    for (label, value) in values {
        counters.with_label_values(&[*label]).inc_by(*value);
    }
    Ok(counters)
}
