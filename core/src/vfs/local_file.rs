//! A file of the real file system that is being written.
//!
//! A small write over bytes that the file has already is a store into a mapping of it: a
//! system call takes about as long as everything else that a commit does. The page cache
//! is the same either way, so what is written survives the process, and a sync makes it
//! durable.

use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;

use memmap2::{MmapMut, MmapOptions};

use super::WriteFile;

/// Larger writes are worth a system call.
const SMALL: usize = 32 << 10;

/// Bytes of a file that are mapped at a time.
const WINDOW: u64 = 1 << 20;

/// Mappings begin at multiples of this: the largest page of the machines that there are.
const PAGE: u64 = 64 << 10;

/// See the module's documentation.
pub(super) struct LocalFile {
    file: File,
    /// Bytes that were written at some place or other.
    len: u64,
    window: Option<Window>,
}

struct Window {
    range: Range<u64>,
    map: MmapMut,
}

impl LocalFile {
    /// A file of `len` bytes, open for reading and writing.
    pub(super) fn new(file: File, len: u64) -> Self {
        Self { file, len, window: None }
    }

    /// The mapped bytes of a range that the file holds.
    fn mapped(&mut self, range: Range<u64>) -> io::Result<&mut [u8]> {
        let covers = |w: &Window| w.range.start <= range.start && range.end <= w.range.end;
        let window = match self.window.take() {
            Some(window) if covers(&window) => window,
            _ => {
                let start = range.start / PAGE * PAGE;
                let end = (start + WINDOW).max(range.end).min(self.len);
                let mut options = MmapOptions::new();
                options.offset(start).len((end - start) as usize);
                // SAFETY: the file is ours alone while it is written, which the database's
                // lock sees to, and `set_len` gives the mapping up before it cuts.
                let map = unsafe { options.map_mut(&self.file)? };
                Window { range: start..end, map }
            }
        };
        let window = self.window.insert(window);
        let at = (range.start - window.range.start) as usize;
        Ok(&mut window.map[at..at + (range.end - range.start) as usize])
    }
}

impl Write for LocalFile {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.file.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl WriteFile for LocalFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let end = offset + bytes.len() as u64;
        if bytes.len() <= SMALL && end <= self.len {
            self.mapped(offset..end)?.copy_from_slice(bytes);
            return Ok(());
        }
        self.file.write_all_at(bytes, offset)?;
        self.len = self.len.max(end);
        Ok(())
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.window = None;
        self.file.set_len(len)?;
        self.len = len;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores_and_writes_are_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let open = || File::options().read(true).write(true).create_new(true).open(&path);
        let mut file = LocalFile::new(open().unwrap(), 0);
        let mut model = vec![0; 3 << 20];
        file.write_at(0, &model).unwrap();
        let mut random = 1_u64;
        for i in 0..2000_u32 {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let len = if i % 50 == 0 { 100_000 } else { (random >> 20) as usize % 300 };
            let at = (random >> 33) as usize % (model.len() - len);
            let bytes = vec![i as u8; len];
            file.write_at(at as u64, &bytes).unwrap();
            model[at..at + len].copy_from_slice(&bytes);
            if i == 1000 {
                // A cut in the middle of what is mapped, and zeros again.
                model[1 << 20..].fill(0);
                file.set_len(1 << 20).unwrap();
                file.write_at(1 << 20, &vec![0; 2 << 20]).unwrap();
            }
        }
        file.sync().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), model);
        // Past the end it grows.
        file.write_at(model.len() as u64 - 1, b"xy").unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), model.len() as u64 + 1);
    }
}
