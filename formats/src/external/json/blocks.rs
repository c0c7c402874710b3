//! Cuts the text of a file into blocks of whole values.

use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

use memchr::{memchr_iter, memrchr};

use super::super::source::decompressed;
use super::super::{Compression, JsonLayout, ReadOptions, Source, io_error};
use super::cursor::Cursor;
use super::malformed;
use super::structure::{Cuts, Layout, Structure};
use crate::Result;

/// Bytes that are read at a time, of which a block is made.
const BLOCK_LEN: usize = 4 << 20;
/// Longest value that is read: one that does not end must not take all memory.
const VALUE_LEN_MAX: usize = 256 << 20;
/// Values that tell whether values have line ends in them.
const LAYOUT_VALUES: usize = 1000;

/// Whole values, with the commas between them in an array.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) bytes: Vec<u8>,
    /// The line that it begins in, counted from one.
    pub(super) line: u64,
}

pub(super) struct Blocks {
    name: String,
    stream: Box<dyn Read + Send>,
    block_len: usize,
    value_len_max: usize,
    layout: Layout,
    /// What was read and is not yet in a block.
    buffer: Vec<u8>,
    /// The line that it begins in.
    line: u64,
    /// The stream has ended.
    ended: bool,
    /// The array has ended.
    closed: bool,
    /// The buffer begins after a comma.
    after_comma: bool,
    spare: Spare,
}

/// Memory of blocks that were read, for further ones: fresh pages cost more than what
/// is read into them.
#[derive(Clone, Default)]
pub(super) struct Spare(Arc<Mutex<Vec<Vec<u8>>>>);

impl Spare {
    /// Takes the memory of a block.
    pub(super) fn give(&self, block: Block) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(block.bytes);
    }

    fn take(&self) -> Vec<u8> {
        let mut bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        bytes.iter_mut().for_each(Vec::clear);
        bytes.unwrap_or_default()
    }
}

impl Blocks {
    pub(super) fn open(source: &Arc<dyn Source>, options: &ReadOptions) -> Result<Self> {
        Self::with_len(source, options, BLOCK_LEN, VALUE_LEN_MAX)
    }

    fn with_len(
        source: &Arc<dyn Source>,
        options: &ReadOptions,
        block_len: usize,
        value_len_max: usize,
    ) -> Result<Self> {
        let name = source.name().to_owned();
        let compression = options.compression.unwrap_or_else(|| Compression::of_name(&name));
        let stream = source.stream().and_then(|stream| decompressed(stream, compression));
        let mut blocks = Self {
            stream: stream.map_err(io_error(&name))?,
            name,
            block_len,
            value_len_max,
            layout: Layout::Lines,
            buffer: Vec::new(),
            line: 1,
            ended: false,
            closed: false,
            after_comma: false,
            spare: Spare::default(),
        };
        blocks.read(BLOCK_LEN)?;
        blocks.begin(options.json.layout)?;
        Ok(blocks)
    }

    /// Where blocks go that were read.
    pub(super) fn spare(&self) -> Spare {
        self.spare.clone()
    }

    pub(super) fn layout(&self) -> Layout {
        self.layout
    }

    /// The begin of the file, as far as it is read, after the bracket of an array.
    pub(super) fn head(&self) -> &str {
        let head = self.buffer.as_slice();
        match std::str::from_utf8(head) {
            Ok(text) => text,
            Err(error) => std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default(),
        }
    }

    /// Finds the layout.
    fn begin(&mut self, wanted: Option<JsonLayout>) -> Result<()> {
        if self.buffer.starts_with(&[0xff, 0xfe]) || self.buffer.starts_with(&[0xfe, 0xff]) {
            return Err(malformed(
                &self.name,
                None,
                None,
                "the file is UTF-16: convert it to UTF-8",
            ));
        }
        if self.buffer.starts_with(b"\xef\xbb\xbf") {
            self.buffer.drain(..3);
        }
        let blanks = self.buffer.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let is_array = self.buffer.get(blanks) == Some(&b'[');
        match wanted {
            Some(JsonLayout::Array) if !is_array && blanks < self.buffer.len() => {
                let line = self.line + lines(&self.buffer[..blanks]);
                let what = "the file is not an array: it does not begin with [";
                return Err(malformed(&self.name, Some(line), None, what));
            }
            Some(JsonLayout::Array) | None
                if is_array && (wanted.is_some() || !self.another_array_follows(blanks)) =>
            {
                self.line += lines(&self.buffer[..blanks]);
                self.buffer.drain(..=blanks);
                self.layout = Layout::Array;
            }
            _ if self.has_line_ends_in_values() => self.layout = Layout::Values,
            _ => self.layout = Layout::Lines,
        }
        Ok(())
    }

    /// Whether the array that begins at `at` is the first value of several.
    fn another_array_follows(&self, at: usize) -> bool {
        let mut cursor = Cursor::new(self.head(), at);
        let passed = cursor.skip().is_ok();
        cursor.blanks();
        passed && cursor.peek() == Some(b'[')
    }

    fn has_line_ends_in_values(&self) -> bool {
        let mut cursor = Cursor::new(self.head(), 0);
        for _ in 0..LAYOUT_VALUES {
            cursor.blanks();
            let start = cursor.at;
            let passed = cursor.skip().is_ok();
            // The head may end inside a value.
            if (passed || cursor.is_at_end()) && cursor.since(start).contains('\n') {
                return true;
            }
            if !passed {
                return false;
            }
        }
        false
    }

    /// Reads at most `len` bytes.
    fn read(&mut self, len: usize) -> Result<()> {
        self.buffer.reserve(len);
        let read = self.stream.by_ref().take(len as u64).read_to_end(&mut self.buffer);
        self.ended = read.map_err(io_error(&self.name))? < len;
        Ok(())
    }

    /// The next block; none is empty.
    pub(super) fn next_block(&mut self) -> Result<Option<Block>> {
        let mut structure = Structure::default();
        let mut followed = 0;
        loop {
            if self.buffer.len() < self.block_len && !self.ended {
                self.read(self.block_len)?;
            }
            let cuts = match self.layout {
                Layout::Lines => Cuts {
                    last: memrchr(b'\n', &self.buffer[followed..]).map(|at| followed + at + 1),
                    end: None,
                },
                layout if !self.closed => structure.follow(&self.buffer, followed, layout),
                _ => Cuts::default(),
            };
            followed = self.buffer.len();
            if let Some(end) = cuts.end {
                return self.close(end);
            }
            if self.ended {
                return self.last();
            }
            if let Some(cut) = cuts.last {
                return Ok(Some(self.cut(cut)));
            }
            if self.closed {
                self.only_blanks()?;
                followed = 0;
            } else if followed > self.value_len_max {
                let what = format!(
                    "a value is longer than {} MiB: is a bracket or a quote never closed?",
                    self.value_len_max >> 20
                );
                return Err(malformed(&self.name, Some(self.line), None, what));
            } else {
                self.read(self.block_len)?;
            }
        }
    }

    /// Makes a block of the first bytes. The comma of an array goes.
    fn cut(&mut self, len: usize) -> Block {
        let rest = &self.buffer[len..];
        let mut tail = self.spare.take();
        tail.reserve(self.block_len + rest.len());
        tail.extend_from_slice(rest);
        let mut bytes = std::mem::replace(&mut self.buffer, tail);
        bytes.truncate(len);
        let line = self.line;
        self.line += lines(&bytes);
        self.after_comma = false;
        if self.layout == Layout::Array && !self.closed {
            self.buffer.drain(..1);
            self.after_comma = true;
        }
        Block { bytes, line }
    }

    /// The block before the end of the array.
    fn close(&mut self, end: usize) -> Result<Option<Block>> {
        let after_comma = self.after_comma;
        self.closed = true;
        let block = self.cut(end);
        self.buffer.drain(..1);
        self.only_blanks()?;
        if block.bytes.iter().all(u8::is_ascii_whitespace) {
            if after_comma {
                let what = "not JSON at ']': a value is expected after a comma";
                return Err(malformed(&self.name, Some(self.line), None, what));
            }
            return self.next_block();
        }
        Ok(Some(block))
    }

    /// The block at the end of the file.
    fn last(&mut self) -> Result<Option<Block>> {
        if self.closed {
            self.only_blanks()?;
            return Ok(None);
        }
        if self.layout == Layout::Array {
            let line = self.line + lines(&self.buffer);
            return Err(malformed(&self.name, Some(line), None, "the file ends inside the array"));
        }
        let block = self.cut(self.buffer.len());
        Ok((!block.bytes.is_empty()).then_some(block))
    }

    /// Nothing may follow the array.
    fn only_blanks(&mut self) -> Result<()> {
        if let Some(at) = self.buffer.iter().position(|byte| !byte.is_ascii_whitespace()) {
            let line = self.line + lines(&self.buffer[..at]);
            let what = "more text follows the end of the array";
            return Err(malformed(&self.name, Some(line), None, what));
        }
        self.line += lines(&self.buffer);
        self.buffer.clear();
        Ok(())
    }
}

/// Number of line ends.
pub(super) fn lines(bytes: &[u8]) -> u64 {
    memchr_iter(b'\n', bytes).count() as u64
}
