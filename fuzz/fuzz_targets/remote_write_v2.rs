//! Any bytes as a remote write 2.0 push, compared with full decoding by prost; see [`fuzz::differential`].

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::differential::read(remote_write::Protocol::V2, input));
