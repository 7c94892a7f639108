//! Any `CheckRequest` of Envoy; see [`fuzz::check`].

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::check::send(input));
