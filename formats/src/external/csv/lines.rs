//! Physical lines of a file, for messages.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

/// The physical line, from one, of the record that begins at byte `offset` of the
/// file, empty lines before it skipped. Line ends are `\n`, `\r\n` and `\r`. The
/// file is read again: this is for messages only.
pub(super) fn line_of(path: &Path, offset: u64) -> io::Result<u64> {
    let mut line = 1;
    let mut after_return = false;
    for (at, byte) in BufReader::new(File::open(path)?).bytes().enumerate() {
        let byte = byte?;
        if at as u64 >= offset && !matches!(byte, b'\r' | b'\n') {
            break;
        }
        match byte {
            b'\n' if after_return => {}
            b'\n' | b'\r' => line += 1,
            _ => {}
        }
        after_return = byte == b'\r';
    }
    Ok(line)
}

/// Number of line ends in a field.
pub(super) fn line_ends(field: &[u8]) -> u64 {
    let returns = field.windows(2).filter(|pair| pair[0] == b'\r' && pair[1] != b'\n').count();
    let returns = returns + usize::from(field.last() == Some(&b'\r'));
    (returns + field.iter().filter(|&&byte| byte == b'\n').count()) as u64
}
