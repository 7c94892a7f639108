//! What tests and benches have in common.

use std::sync::Arc;

use limits::{EdgeConfig, Snapshot};
use remote_write::BodyLimits;

use crate::clock::Clock;
use crate::control::{ControlWriter, HaTracker};
use crate::pipeline::{BodyPolicy, Pipeline, Policy};

impl Pipeline {
    /// A pipeline by these limits and the default edge config, which charges items and decodes bodies in place, and the writer of its control state.
    #[must_use]
    pub fn by_limits(snapshot: Arc<Snapshot>, clock: Clock) -> (Self, ControlWriter) {
        let (mut writer, control) = ControlWriter::new(Arc::new(EdgeConfig::default()), HaTracker::default());
        writer.put_limits_compiled(snapshot);
        let bodies = BodyPolicy {
            decode: true,
            max_request_bytes: 16 << 20,
            limits: BodyLimits { max_decoded_bytes: 100 << 20 },
            forward_unreadable: false,
        };
        (Self::new(control, Policy { bodies, charge_items: true, ha_tracker: true }, None, clock), writer)
    }
}
