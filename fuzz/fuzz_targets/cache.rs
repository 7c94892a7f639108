//! Any bytes as a limits cache; see [`fuzz::cache`].

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::cache::restore(input));
