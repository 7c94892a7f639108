//! Any push of a tenant with relabelling, HA deduplication and exemplars; see [`fuzz::rules`].

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::rules::read(input));
