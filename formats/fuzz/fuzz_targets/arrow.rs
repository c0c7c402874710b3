//! Strangers' bytes into the reader of Arrow files.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sheaf_formats::external::Format;

fuzz_target!(|bytes: &[u8]| sheaf_formats_fuzz::read(Format::Arrow, bytes));
