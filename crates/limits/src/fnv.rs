//! FNV-1a (RFC draft-eastlake-fnv), because the standard library's hashes may change with its release.

use std::fmt;

/// A hash of everything written so far. Each byte is folded in by a bijection, so two texts that differ in one byte never
/// have the same hash.
pub(crate) struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    pub(crate) fn sum(&self) -> u64 {
        self.0
    }

    /// The same hash with its bits mixed (the finalizer of MurmurHash3), to be added to others: hashes of texts that differ in their last
    /// bytes alone differ by so little that two changes at once often cancel out in a sum.
    pub(crate) fn mixed(&self) -> u64 {
        let mix = |hash: u64, factor: u64| (hash ^ hash >> 33).wrapping_mul(factor);
        let hash = mix(mix(self.0, 0xff51_afd7_ed55_8ccd), 0xc4ce_b9fe_1a85_ec53);
        hash ^ hash >> 33
    }
}

impl fmt::Write for Fnv {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Ok(())
    }
}
