//! Footer of a segment file: which encoding the payload has, and the statistics.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use super::Encoding;
use crate::statistics::SegmentStatistics;
use crate::{Error, Result, envelope};

/// Version of the footer and of the mapping of types in the payload.
const VERSION: u8 = 1;

fn code(encoding: Encoding) -> u8 {
    match encoding {
        Encoding::Vortex => 1,
        Encoding::Parquet => 2,
    }
}

/// The footer's bytes.
pub(super) fn encode(
    encoding: Encoding,
    schema: &SchemaRef,
    statistics: &SegmentStatistics,
) -> Result<Vec<u8>> {
    let mut out = vec![VERSION, code(encoding)];
    out.extend_from_slice(&statistics.to_bytes(schema)?);
    Ok(out)
}

/// The statistics in the footer of `file`, which must hold `encoding`.
pub(super) fn decode(
    encoding: Encoding,
    schema: &SchemaRef,
    file: &envelope::Reader,
) -> Result<Arc<SegmentStatistics>> {
    let refuse = |what: String| Error::Incompatible { file: file.name().to_owned(), what };
    let bytes = file.footer();
    let [version, found, ..] = bytes[..] else {
        return Err(refuse("its footer is empty, it is not a segment".to_owned()));
    };
    if version != VERSION {
        return Err(refuse(format!(
            "its segment version is {version} and this program reads {VERSION}: use a newer program"
        )));
    }
    if found != code(encoding) {
        return Err(refuse(format!("its encoding is not {encoding:?} (code {found})")));
    }
    Ok(Arc::new(SegmentStatistics::from_bytes(file.name(), &bytes[2..], schema)?))
}
