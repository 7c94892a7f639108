//! `edgectl suggest`: a rate and a burst for a tenant.

use std::process::ExitCode;

use ::usage::{Counted, Suggestion};
use serde::Serialize;

use super::api::{histories, longest};
use crate::args::{Quantity, SuggestArgs};
use crate::edge_api::{Answer, EdgeApi, block_on};
use crate::output::{self, number};
use crate::{exit, yaml};

/// Prints the limits, as the lines of an overrides document.
pub(crate) fn run(args: &SuggestArgs) -> anyhow::Result<ExitCode> {
    block_on(async {
        let edge = EdgeApi::new(&args.api)?;
        let past = longest(&args.tenant, histories(&edge, &args.tenant).await?);
        let suggestion = past.as_ref().and_then(|past| ::usage::suggest(&past.value, args.quantity.counted()));
        let (Some(Answer { replica, .. }), Some(suggestion)) = (past, suggestion) else {
            exit::note(&format!(
                "no replica has usage of {}: it sent nothing in the last two hours, or the replicas started since then, or its items are not known, as in mode off",
                args.tenant
            ));
            return Ok(ExitCode::from(exit::PROBLEMS));
        };
        let suggested = Suggested::new(args, replica, &suggestion);
        output::print(args.api.output, &suggested, || suggested.text())?;
        Ok(ExitCode::SUCCESS)
    })
}

impl Quantity {
    fn counted(self) -> Counted {
        match self {
            Self::Items => Counted::Items,
            Self::Requests => Counted::Requests,
        }
    }

    fn fields(self) -> (&'static str, &'static str) {
        match self {
            Self::Items => ("ingestion_rate", "ingestion_burst_size"),
            Self::Requests => ("request_rate", "request_burst_size"),
        }
    }

    fn noun(self) -> &'static str {
        match self {
            Self::Items => "items",
            Self::Requests => "pushes",
        }
    }
}

#[derive(Serialize)]
struct Suggested {
    tenant: String,
    replica: String,
    rate_field: &'static str,
    rate: f64,
    burst_field: &'static str,
    burst: u64,
    /// The highest average over 15 minutes, or over all of a shorter time.
    sustained_per_second: f64,
    peak_second: u32,
    /// The most beyond the rate at once.
    beyond_rate: u64,
    seconds: u64,
    #[serde(skip)]
    noun: &'static str,
}

impl Suggested {
    fn new(args: &SuggestArgs, replica: String, suggestion: &Suggestion) -> Self {
        let (rate_field, burst_field) = args.quantity.fields();
        Self {
            tenant: args.tenant.clone(),
            replica,
            rate_field,
            rate: suggestion.rate,
            burst_field,
            burst: suggestion.burst,
            sustained_per_second: suggestion.sustained,
            peak_second: suggestion.peak,
            beyond_rate: suggestion.beyond,
            seconds: suggestion.seconds,
            noun: args.quantity.noun(),
        }
    }

    fn text(&self) -> String {
        let noun = self.noun;
        // A rate from two digits on is whole, and reads better so.
        let rate = if self.rate.fract() == 0.0 { (self.rate as u64).into() } else { serde_json::json!(self.rate) };
        let limits = serde_json::json!({ self.rate_field: rate, self.burst_field: self.burst });
        let entry = serde_json::json!({ "overrides": { &self.tenant: limits } });
        format!(
            "# {noun} in {} s: at most {} a second for 15 minutes, {} in one second, {} beyond the rate at once.\n{}",
            self.seconds,
            number(self.sustained_per_second),
            self.peak_second,
            self.beyond_rate,
            yaml::block(&entry, 0)
        )
    }
}
