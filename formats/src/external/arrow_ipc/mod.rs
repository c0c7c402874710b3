//! Being written.

use std::sync::Arc;

use super::reader::FileReader;
use super::{ReadOptions, Source};
use crate::{Error, Result};

pub(super) fn open(source: Arc<dyn Source>, _options: &ReadOptions) -> Result<Box<dyn FileReader>> {
    Err(Error::Invalid(format!("{} is of a format that cannot be read yet", source.name())))
}
