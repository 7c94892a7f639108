//! Any set of documents with overrides; see [`fuzz::overrides`].

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::overrides::apply(input));
