//! Metrics whose values the pipeline and the budget keep themselves, read at each scrape.

use std::sync::Arc;

use prometheus::Registry;
use scrape::{counter_at_scrape, gauge_at_scrape};

use crate::admit::Budget;
use crate::pipeline::Pipeline;

impl Pipeline {
    /// Registers the metrics of buckets, elections and distributors.
    ///
    /// # Errors
    /// A name is taken.
    pub fn register(self: &Arc<Self>, registry: &Registry) -> prometheus::Result<()> {
        self.register_buckets(registry)?;
        self.register_elections(registry)?;
        let of = Arc::clone(self);
        let help =
            "Mimir's distributors, each of which takes a tenant's burst, as set by a flag or counted by overrides-sync";
        gauge_at_scrape(registry, "rls_distributors", help, move || of.control().distributors.get().into())
    }

    fn register_buckets(self: &Arc<Self>, registry: &Registry) -> prometheus::Result<()> {
        let of = Arc::clone(self);
        let help = "Tenants whose buckets are held in memory";
        gauge_at_scrape(registry, "rls_tenants", help, move || of.enforcer().tenants() as f64)?;
        let of = Arc::clone(self);
        let help = "Pushes with tenant metadata charged to the bare tenant, which has too many spellings";
        counter_at_scrape(registry, "rls_tenant_spelling_overflows_total", help, move || {
            of.enforcer().spelling_overflows()
        })?;
        let of = Arc::clone(self);
        let help = "Charges to buckets that tenants without an override share, because there are too many tenants";
        counter_at_scrape(registry, "rls_tenant_overflows_total", help, move || of.enforcer().tenant_overflows())
    }

    fn register_elections(self: &Arc<Self>, registry: &Registry) -> prometheus::Result<()> {
        let of = Arc::clone(self);
        let help = "Prometheus pairs whose election is held in memory";
        gauge_at_scrape(registry, "rls_ha_pairs", help, move || of.control().elections.len() as f64)?;
        let of = Arc::clone(self);
        let help = "Pushes of pairs beyond the most pairs of their tenant; they are charged nothing";
        counter_at_scrape(registry, "rls_ha_untracked_total", help, move || of.control().elections.untracked())
    }
}

impl Budget {
    /// Registers the metrics of the bytes in flight.
    ///
    /// # Errors
    /// A name is taken.
    pub fn register(self: &Arc<Self>, registry: &Registry) -> prometheus::Result<()> {
        let of = Arc::clone(self);
        let help = "Bytes reserved for pushes that are being read, in bytes";
        gauge_at_scrape(registry, "rls_in_flight_bytes", help, move || of.reserved() as f64)?;
        let limit = self.limit() as f64;
        let help = "The most that may be reserved at once, in bytes; a tenant may have a quarter of it";
        gauge_at_scrape(registry, "rls_in_flight_bytes_limit", help, move || limit)
    }
}
