//! What this program asks of the `limits` crate, in one place.

use limits::{Checked, Defaults, MimirVersion, SourceDocument};

pub(super) fn check(defaults: &Defaults, version: &MimirVersion, documents: &[SourceDocument<'_>]) -> Checked {
    limits::check(defaults, version, documents)
}
