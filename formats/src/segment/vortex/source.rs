//! Vortex reads its pieces through the envelope, so every page is checked first.

use std::sync::Arc;

use futures::FutureExt;
use vortex::array::buffer::BufferHandle;
use vortex::buffer::ByteBuffer;
use vortex::error::{VortexError, VortexResult, vortex_err};
use vortex::file::{
    DeserializeStep, EOF_SIZE, Footer, MAX_POSTSCRIPT_SIZE, SegmentSpec, VortexFile,
};
use vortex::layout::segments::{SegmentFuture, SegmentId, SegmentSource};

use super::runtime::session;
use crate::{Error, envelope};

/// Bytes read at first from the end: the postscript at its largest.
const TAIL_LEN: u64 = MAX_POSTSCRIPT_SIZE as u64 + EOF_SIZE as u64;

/// Pieces of one file. A piece is a slice of the mapping where there is one.
struct EnvelopeSource {
    file: envelope::Reader,
    pieces: Arc<[SegmentSpec]>,
}

impl SegmentSource for EnvelopeSource {
    /// Nothing is read before the future is polled: a scan asks for all its pieces
    /// when it starts.
    fn request(&self, id: SegmentId) -> SegmentFuture {
        let Some(piece) = self.pieces.get(*id as usize).copied() else {
            return std::future::ready(Err(vortex_err!("piece {id} is not in the file"))).boxed();
        };
        let file = self.file.clone();
        async move {
            let bytes = file.read(piece.offset, piece.length as usize).map_err(into_vortex)?;
            Ok(BufferHandle::new_host(ByteBuffer::from(bytes).aligned(piece.alignment)))
        }
        .boxed()
    }
}

/// Opens the payload of `file`. It makes a new tree of readers each time one is asked for.
pub(super) fn open(file: &envelope::Reader) -> VortexResult<VortexFile> {
    let footer = read_footer(file)?;
    let source = EnvelopeSource { file: file.clone(), pieces: footer.segment_map().clone() };
    Ok(VortexFile::new(footer, Arc::new(source), session().clone()))
}

fn read_footer(file: &envelope::Reader) -> VortexResult<Footer> {
    let size = file.payload_len();
    let read = |offset: u64, len: usize| -> VortexResult<ByteBuffer> {
        Ok(ByteBuffer::from(file.read(offset, len).map_err(into_vortex)?))
    };
    let tail = TAIL_LEN.min(size);
    let mut parser =
        Footer::deserializer(read(size - tail, tail as usize)?, session().clone()).with_size(size);
    loop {
        match parser.deserialize()? {
            DeserializeStep::Done(footer) => return Ok(footer),
            DeserializeStep::NeedMoreData { offset, len } => {
                parser.prefix_data(read(offset, len)?);
            }
            DeserializeStep::NeedFileSize => {
                return Err(vortex_err!("the size of the file was not taken"));
            }
        }
    }
}

/// Carries an error of this crate through Vortex.
pub(super) fn into_vortex(error: Error) -> VortexError {
    std::io::Error::other(error).into()
}

/// What went wrong while `file` was decoded: an error of this crate that came
/// through Vortex, else damage that no checksum showed.
pub(super) fn decode_error(file: &str, error: &VortexError) -> Error {
    carried(error).unwrap_or_else(|| Error::Corrupt {
        file: file.to_owned(),
        offset: envelope::PAYLOAD_OFFSET,
        what: format!("the payload does not decode: {}", first_line(error)),
    })
}

/// What went wrong while a file was written: an error of this crate, or of the disk.
pub(super) fn encode_error(error: &VortexError) -> Error {
    carried(error).unwrap_or_else(|| match innermost(error) {
        VortexError::Io(io, _) => Error::Io {
            file: "a new segment".to_owned(),
            source: std::io::Error::new(io.kind(), io.to_string()),
        },
        _ => Error::Invalid(format!("a segment was not encoded: {}", first_line(error))),
    })
}

/// The message alone: Vortex adds a backtrace when there is one.
fn first_line(error: &VortexError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

fn innermost(error: &VortexError) -> &VortexError {
    match error {
        VortexError::Context(_, inner) => innermost(inner),
        VortexError::Shared(inner) => innermost(inner),
        other => other,
    }
}

/// The error inside `error` if it was one of this crate.
fn carried(error: &VortexError) -> Option<Error> {
    match innermost(error) {
        VortexError::Io(io, _) => {
            let inner = io.get_ref()?.downcast_ref::<Error>()?;
            // Errors cannot be cloned; these are the ones a read can give.
            Some(match inner {
                Error::Corrupt { file, offset, what } => {
                    Error::Corrupt { file: file.clone(), offset: *offset, what: what.clone() }
                }
                Error::Io { file, source } => Error::Io {
                    file: file.clone(),
                    source: std::io::Error::new(source.kind(), source.to_string()),
                },
                other => Error::Invalid(other.to_string()),
            })
        }
        _ => None,
    }
}
