//! Where the shell remembers what was entered.

use std::path::PathBuf;

use reedline::{FileBackedHistory, History};

const ENTRIES_MAX: usize = 10_000;

/// The history in the user's data folder; `None` when there is no such folder or it
/// cannot be written, because a shell without history is better than none.
pub fn open() -> Option<Box<dyn History>> {
    let file = data_dir()?.join("sheaf").join("history");
    FileBackedHistory::with_file(ENTRIES_MAX, file).ok().map(|h| Box::new(h) as Box<dyn History>)
}

/// The XDG data folder.
fn data_dir() -> Option<PathBuf> {
    let absolute =
        |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    absolute("XDG_DATA_HOME").or_else(|| Some(absolute("HOME")?.join(".local/share")))
}
