//! `fournines_fuzz::replay` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fournines_fuzz::replay(data));
