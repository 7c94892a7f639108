//! What tests and benches have in common.

use std::sync::Arc;

use limits::{EdgeConfig, Snapshot};
use remote_write::BodyLimits;

use crate::clock::Clock;
use crate::control::{ControlWriter, HaTracker};
use crate::decode::DecodePool;
use crate::pipeline::Pipeline;
use crate::policy::{BodyPolicy, Policy};

impl BodyPolicy {
    /// The policy of [`Pipeline::by_limits`].
    pub const OF_TESTS: Self = Self {
        decode: true,
        max_request_bytes: 16 << 20,
        limits: BodyLimits { max_decoded_bytes: 100 << 20 },
        forward_unreadable: false,
    };
}

impl Pipeline {
    /// A pipeline by these limits and the default edge config, which charges items and decodes bodies in place, and the writer of its control state.
    #[must_use]
    pub fn by_limits(snapshot: Arc<Snapshot>, clock: Clock) -> (Self, ControlWriter) {
        let (mut writer, control) = ControlWriter::new(Arc::new(EdgeConfig::default()), HaTracker::default());
        writer.put_limits_compiled(snapshot);
        let policy = Policy { bodies: BodyPolicy::OF_TESTS, charge_items: true, ha_tracker: true };
        (Self::new(control, policy, None, clock), writer)
    }

    /// The same pipeline, whose large bodies are decoded by `pool`.
    #[must_use]
    pub fn with_pool(mut self, pool: DecodePool) -> Self {
        self.pool = Some(pool);
        self
    }
}
