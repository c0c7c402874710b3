//! Blocks of bytes on their way into a file.

use std::io::Write;

use super::in_order::Sink;
use super::target::Target;
use crate::Result;
use crate::external::io_error;

/// Writes blocks one after the other.
pub(super) struct Bytes(pub(super) Box<dyn Target>);

impl Sink for Bytes {
    type Item = Vec<u8>;

    fn put(&mut self, item: Vec<u8>) -> Result<()> {
        self.0.write_all(&item).map_err(io_error(self.0.name()))
    }
}
