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
        let help = "The number of Mimir's distributors in use for decisions";
        gauge_at_scrape(registry, "rls_distributors", help, move || of.control().distributors.get().into())
    }

    fn register_buckets(self: &Arc<Self>, registry: &Registry) -> prometheus::Result<()> {
        let of = Arc::clone(self);
        let help = "Tenants whose buckets are in memory";
        gauge_at_scrape(registry, "rls_tenants", help, move || of.enforcer().tenants() as f64)?;
        let of = Arc::clone(self);
        let help = "Pushes with tenant metadata that are charged to the bare tenant, because it has too many spellings or all places are taken";
        counter_at_scrape(registry, "rls_tenant_spelling_overflows_total", help, move || {
            of.enforcer().spelling_overflows()
        })?;
        let of = Arc::clone(self);
        let help = "Charges to buckets that several tenants share, because all places are taken";
        counter_at_scrape(registry, "rls_tenant_overflows_total", help, move || of.enforcer().tenant_overflows())
    }

    fn register_elections(self: &Arc<Self>, registry: &Registry) -> prometheus::Result<()> {
        let of = Arc::clone(self);
        let help = "Prometheus pairs whose election is in memory";
        gauge_at_scrape(registry, "rls_ha_pairs", help, move || of.control().elections.len() as f64)?;
        let of = Arc::clone(self);
        let help = "Pushes of pairs without an election, because their tenant, or all tenants, have too many pairs";
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
        let help = "Bytes reserved for pushes in flight";
        gauge_at_scrape(registry, "rls_in_flight_bytes", help, move || of.reserved() as f64)?;
        let limit = self.limit() as f64;
        let help = "The most bytes reserved for pushes in flight; a tenant may have a quarter of them";
        gauge_at_scrape(registry, "rls_in_flight_bytes_limit", help, move || limit)
    }
}
