//! Any `RateLimitRequest` of Envoy; see [`fuzz::should_rate_limit`].

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::should_rate_limit::send(input));
