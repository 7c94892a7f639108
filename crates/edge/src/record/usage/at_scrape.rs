//! How much of its limits each tenant uses, as metrics.

use std::sync::Arc;

use ::usage::Interval;
use limits::{Rate, RateLimit, Tenant};
use prometheus::Registry;
use scrape::{Named, gauges_and_one_at_scrape};

use super::{OTHER, UsageRow};
use crate::pipeline::Pipeline;
use crate::record::Recorder;

/// What a tenant sent in its first seconds counts as sent in so many: one push would be its rate otherwise.
const LEAST_SECONDS: u32 = 15;

impl Recorder {
    /// Registers the metrics of the usage of tenants, by the limits of the pipeline.
    ///
    /// # Errors
    /// A name is taken.
    pub fn register_usage(&self, pipeline: &Arc<Pipeline>, registry: &Registry) -> prometheus::Result<()> {
        let (recorder, pipeline) = (self.clone(), Arc::clone(pipeline));
        let ratios = Named {
            name: "rls_tenant_usage_ratio",
            help: "Items or pushes a second in the last minute, denied ones too, as a part of the limit in force; up to 1,000 tenants, those with overrides and those that send most",
        };
        let never_retry = Named {
            name: "rls_tenants_never_retry",
            help: "Tenants that were refused ten times or more in the last quarter of an hour and sent none again, so that they lose samples",
        };
        gauges_and_one_at_scrape(registry, ratios, ["tenant", "limit"], never_retry, move |set| {
            let rows = recorder.usage().unsorted_rows();
            for row in &rows {
                for (limit, ratio) in pipeline.usage_ratios(row) {
                    set([&row.tenant, limit], ratio);
                }
            }
            rows.iter().filter(|row| row.never_retries && row.tenant != OTHER).count() as f64
        })
    }
}

impl Pipeline {
    /// The part of each limit in force that a tenant used in the last minute; nothing for a limit that is none, or at which nothing is regained.
    pub fn usage_ratios(&self, row: &UsageRow) -> impl Iterator<Item = (&'static str, f64)> {
        let control = self.control();
        let tenant = Tenant::parse(Some(row.tenant.as_bytes())).ok();
        let limits = tenant.and_then(|tenant| {
            let applicable = control.for_tenant(&tenant).applicable().ok()?;
            Some((applicable.request_limit(), applicable.ingestion_limit()))
        });
        let of = |per_second: f64, limit: RateLimit| match limit.rate {
            Rate::PerSecond(rate) if rate > 0.0 => Some(per_second / rate),
            Rate::PerSecond(_) | Rate::Unlimited => None,
        };
        let minute = Interval { seconds: row.minute.seconds.max(LEAST_SECONDS), ..row.minute };
        let (requests, items) = (minute.requests_per_second(), minute.items_per_second());
        let ratios = limits.map(|(request, ingestion)| {
            [("request_rate", of(requests, request)), ("ingestion_rate", of(items, ingestion))]
        });
        ratios.into_iter().flatten().filter_map(|(limit, ratio)| Some((limit, ratio?)))
    }
}
