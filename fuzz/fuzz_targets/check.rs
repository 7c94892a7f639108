//! Any question of an Envoy about a push; see [`fuzz::check`].

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::check::ask(input));
