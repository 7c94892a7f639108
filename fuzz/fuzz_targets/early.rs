//! Any bytes as a push of a tenant with few tokens left, validated in part and whole; see [`fuzz::early`].

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::early::decide(input));
