//! Tenants, their limits, and the documents that set them, as plain values.
//!
//! It answers four questions: which tenant a push belongs to ([`Tenant`]), which limits apply ([`Snapshot::for_tenant`]),
//! whether they are enforced ([`EdgeConfig::for_tenant`]), and what a new document changes ([`LimitsState::apply`],
//! [`EdgeConfigState::apply`]). No I/O, no clock, no logs: the caller reads files or watches a ConfigMap.
//!
//! Invariant: a document that Mimir rejects changes no limit, and a tenant whose entry was never readable is in
//! [`Mode::Shadow`], and never gets the defaults enforced.

mod cache;
mod check;
mod code;
mod defaults;
mod document;
mod duration;
mod edge;
mod elected;
mod field_set;
mod fields;
mod model;
mod named;
mod object_revision;
mod places;
mod problem;
mod relabel;
mod schema;
mod snapshot;
mod state;
mod suggest;
mod tenant;
mod update;
mod value;
mod yaml;

pub use cache::{CACHE_TITLE, CacheError, MAX_CACHE_BYTES, Restored, render_cache};
pub use check::{Checked, check};
pub use code::Code;
pub use defaults::Defaults;
pub use document::{MAX_DOCUMENT_BYTES, SourceDocument, is_flat_key, parse_defaults};
pub use edge::{EdgeConfig, EdgeConfigApplied, EdgeConfigState, EdgeLimits, EdgePolicy};
pub use elected::ElectedReplica;
pub use field_set::FieldSet;
pub use model::{Burst, LabelValueStrategy, Mode, NameScheme, Rate, RateLimit, TenantLimits};
pub use object_revision::ObjectRevision;
pub use places::{Place, Places};
pub use problem::{MAX_PROBLEMS, Problem, Severity};
pub use relabel::{RelabelAction, RelabelRule};
pub use schema::{MimirVersion, MimirVersionError, RuleSettings};
pub use snapshot::{Diff, Snapshot, TenantEntry, TenantView};
pub use state::{Applied, LimitsState, LoadedLimits};
pub use tenant::{MAX_METADATA_BYTES, MAX_TENANT_BYTES, Tenant, TenantError, TenantId};
pub use update::{EntryUpdate, Update, UpdateError, Updated};
pub use value::quote as quote_yaml;
