//! Reads a body with buffers that each thread keeps, so that a push costs no allocation.

use std::cell::RefCell;

use limits::TenantView;
use remote_write::{BodyError, Exemplars, Protocol, PushCounts, Scratch, read_push};

use crate::config::BodyPolicy;

/// A thread keeps buffers up to this size; the rare larger push gives its memory back.
const KEEP_BYTES: usize = 4 << 20;

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

pub(crate) fn read(
    protocol: Protocol,
    body: &[u8],
    policy: &BodyPolicy,
    limits: &TenantView<'_>,
) -> Result<PushCounts, BodyError> {
    let exemplars = if limits.tenant.limits.stores_exemplars() { Exemplars::Read } else { Exemplars::Skip };
    SCRATCH.with_borrow_mut(|scratch| {
        let counts = read_push(protocol, body, policy.decode, exemplars, scratch);
        scratch.shrink(KEEP_BYTES);
        counts
    })
}
