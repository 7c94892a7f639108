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

/// Metrics that are made together.
struct Together<One, Other>(One, Other);

impl<One: Collector, Other: Collector> Collector for Together<One, Other> {
    fn desc(&self) -> Vec<&Desc> {
        [self.0.desc(), self.1.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        [self.0.collect(), self.1.collect()].concat()
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

/// The name of a metric and its help text.
#[derive(Clone, Copy, Debug)]
pub struct Named {
    /// The name.
    pub name: &'static str,
    /// What the metric says.
    pub help: &'static str,
}

/// Registers gauges with labels and one without, both of which `read` gives at each scrape: it sets the former, whose series may
/// differ each time, and returns the latter.
///
/// # Errors
/// A name or a label is invalid, or a name is taken.
pub fn gauges_and_one_at_scrape<const N: usize>(
    registry: &Registry,
    gauges: Named,
    labels: [&'static str; N],
    one: Named,
    read: impl Fn(&mut dyn FnMut([&str; N], f64)) -> f64 + Send + Sync + 'static,
) -> prometheus::Result<()> {
    register(registry, move || {
        let (gauges, one) =
            (GaugeVec::new(Opts::new(gauges.name, gauges.help), &labels)?, Gauge::new(one.name, one.help)?);
        one.set(read(&mut |values, value| gauges.with_label_values(&values).set(value)));
        Ok(Together(gauges, one))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn what_two_metrics_share_is_read_once_a_scrape() {
        let (registry, reads) = (Registry::new(), Arc::new(AtomicU32::new(0)));
        let (of, one) = (Named { name: "of", help: "help" }, Named { name: "one", help: "help" });
        let count = Arc::clone(&reads);
        gauges_and_one_at_scrape(&registry, of, ["label"], one, move |set| {
            set(["a"], 2.0);
            f64::from(count.fetch_add(1, Ordering::Relaxed))
        })
        .unwrap();
        let at_registration = reads.load(Ordering::Relaxed);
        let families = registry.gather();
        assert_eq!(reads.load(Ordering::Relaxed), at_registration + 1);
        let values = families.iter().map(|family| (family.name(), family.get_metric()[0].get_gauge().get_value()));
        assert_eq!(values.collect::<Vec<_>>(), [("of", 2.0), ("one", f64::from(at_registration))]);
    }
}
