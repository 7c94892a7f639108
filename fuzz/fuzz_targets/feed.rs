//! Any messages of a feed of limits; see [`fuzz::feed`].

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::feed::take(input));
