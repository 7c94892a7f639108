//! The ext_authz call and the rate limit call: Envoy's messages in and out. It translates; [`edge`] decides.

mod answer;
mod rate_limit;
#[cfg(test)]
mod recorded;
mod request;
mod service;

pub(crate) use answer::check_response;
pub(crate) use rate_limit::{DescriptorKind, RateLimits, rate_limit_response};
pub(crate) use service::CheckService;
#[cfg(feature = "fuzzing")]
pub(crate) use service::preview_reason;

/// The tenant's header, in lower case as Envoy sends names.
pub(crate) const TENANT_HEADER: &str = "x-scope-orgid";
