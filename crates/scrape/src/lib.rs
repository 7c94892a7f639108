//! Metrics whose values are kept elsewhere, and read when Prometheus scrapes: for the pipeline and for all servers.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, GaugeVec, IntCounter, IntCounterVec, Opts, Registry};

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

/// Registers the metric that `read` makes at each scrape.
fn register<M: Collector + 'static>(
    registry: &Registry,
    read: impl Fn() -> prometheus::Result<M> + Send + Sync + 'static,
) -> prometheus::Result<()> {
    let desc = read()?.desc().into_iter().cloned().collect();
    registry.register(Box::new(ReadAtScrape { desc, read }))
}

/// Registers a gauge that `read` is called for at each scrape.
///
/// # Errors
/// The name is invalid or taken.
pub fn gauge_at_scrape(
    registry: &Registry,
    name: &'static str,
    help: &'static str,
    read: impl Fn() -> f64 + Send + Sync + 'static,
) -> prometheus::Result<()> {
    register(registry, move || {
        let gauge = Gauge::new(name, help)?;
        gauge.set(read());
        Ok(gauge)
    })
}

/// Registers a counter that `read` is called for at each scrape.
///
/// # Errors
/// The name is invalid or taken.
pub fn counter_at_scrape(
    registry: &Registry,
    name: &'static str,
    help: &'static str,
    read: impl Fn() -> u64 + Send + Sync + 'static,
) -> prometheus::Result<()> {
    register(registry, move || {
        let counter = IntCounter::new(name, help)?;
        counter.inc_by(read());
        Ok(counter)
    })
}

/// Registers counters, one for each value of a label, that `read` is called for at each scrape.
///
/// # Errors
/// The name is invalid or taken.
pub fn counters_at_scrape<const N: usize>(
    registry: &Registry,
    name: &'static str,
    help: &'static str,
    label: &'static str,
    read: impl Fn() -> [(&'static str, u64); N] + Send + Sync + 'static,
) -> prometheus::Result<()> {
    register(registry, move || {
        let counters = IntCounterVec::new(Opts::new(name, help), &[label])?;
        for (value, count) in read() {
            counters.with_label_values(&[value]).inc_by(count);
        }
        Ok(counters)
    })
}

/// Registers gauges with labels that `read` is called for at each scrape: which series there are may differ each time.
///
/// # Errors
/// The name or a label is invalid, or the name is taken.
pub fn gauges_at_scrape<const N: usize>(
    registry: &Registry,
    name: &'static str,
    help: &'static str,
    labels: [&'static str; N],
    read: impl Fn(&mut dyn FnMut([&str; N], f64)) + Send + Sync + 'static,
) -> prometheus::Result<()> {
    register(registry, move || {
        let gauges = GaugeVec::new(Opts::new(name, help), &labels)?;
        read(&mut |values, value| gauges.with_label_values(&values).set(value));
        Ok(gauges)
    })
}
