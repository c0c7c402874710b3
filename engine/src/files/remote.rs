//! Files at URLs, through `object_store`: `s3://`, `gs://`, `az://`, `https://`,
//! `file://`. Credentials come from the environment variables that the stores' own
//! tools read.

use std::io::{self, Read, Write};
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, parse_url_opts};
use sheaf_formats::external::Source;
use sheaf_formats::external::write::Target;
use tokio::io::AsyncWriteExt;
use tokio::runtime::Handle;
use url::Url;

use super::inputs::no_files;
use crate::error::{Error, ErrorKind, Result};

/// Bytes of one request while a file is read from its begin.
const CHUNK_LEN: u64 = 8 << 20;

/// Prefixes of environment variables that may configure a store.
const CONFIGURING: [&str; 3] = ["AWS_", "GOOGLE_", "AZURE_"];

/// Whether a name is a URL.
pub(super) fn is_url(name: &str) -> bool {
    name.split_once("://").is_some_and(|(scheme, _)| {
        scheme.len() > 1 && scheme.chars().all(|c| c.is_ascii_alphanumeric())
    })
}

/// The files that a URL stands for; `*` and `[…]` in its path make it a pattern.
pub(super) async fn sources(name: &str) -> Result<Vec<Arc<dyn Source>>> {
    let (store, pattern) = store(name)?;
    let root = &name[..name.len() - pattern.as_ref().len().min(name.len())];
    // A question mark begins the query of a URL.
    if !name.contains(['*', '[']) {
        let meta = store.head(&pattern).await.map_err(|error| failed(name, &error))?;
        return Ok(vec![source(name.to_owned(), store, meta.location, meta.size)]);
    }
    let text = pattern.as_ref();
    let glob = glob::Pattern::new(text).map_err(|error| {
        Error::new(ErrorKind::InvalidParameter, format!("the pattern '{name}': {error}"))
    })?;
    let matching =
        glob::MatchOptions { require_literal_separator: true, ..glob::MatchOptions::default() };
    // Everything below the last folder without a pattern.
    let literal = text.find(['*', '?', '[']).unwrap_or(text.len());
    let folder = text[..literal].rfind('/').map(|end| Path::from(&text[..end]));
    let mut found: Vec<_> = store
        .list(folder.as_ref())
        .try_filter(|meta| {
            let matches = glob.matches_with(meta.location.as_ref(), matching);
            futures::future::ready(matches)
        })
        .try_collect()
        .await
        .map_err(|error| failed(name, &error))?;
    if found.is_empty() {
        return Err(no_files(name));
    }
    found.sort_by(|a, b| a.location.cmp(&b.location));
    Ok(found
        .into_iter()
        .map(|meta| {
            source(format!("{root}{}", meta.location), store.clone(), meta.location, meta.size)
        })
        .collect())
}

/// The store of a URL, and the path of the URL in it, with the characters of a
/// pattern as they are.
fn store(name: &str) -> Result<(Arc<dyn ObjectStore>, Path)> {
    let invalid = |error: &dyn std::fmt::Display| {
        Error::new(ErrorKind::InvalidParameter, format!("the URL '{name}': {error}"))
    };
    let url = Url::parse(name).map_err(|error| invalid(&error))?;
    let options = std::env::vars()
        .filter(|(variable, _)| CONFIGURING.iter().any(|prefix| variable.starts_with(prefix)))
        .map(|(variable, value)| (variable.to_ascii_lowercase(), value));
    let (store, path) = parse_url_opts(&url, options).map_err(|error| invalid(&error))?;
    Ok((Arc::from(store), path))
}

fn source(name: String, store: Arc<dyn ObjectStore>, location: Path, size: u64) -> Arc<dyn Source> {
    Arc::new(RemoteFile { name, store, location, size, runtime: Handle::current() })
}

fn failed(name: &str, error: &object_store::Error) -> Error {
    Error::new(ErrorKind::Io, format!("{name}: {error}"))
}

/// A file in an object store. Its methods wait for the network, so they are not
/// called on threads that run queries.
#[derive(Debug, Clone)]
struct RemoteFile {
    name: String,
    store: Arc<dyn ObjectStore>,
    location: Path,
    size: u64,
    runtime: Handle,
}

impl RemoteFile {
    fn range(&self, from: u64, to: u64) -> io::Result<Bytes> {
        let fetch = self.store.get_range(&self.location, from..to);
        // Readers have threads of their own; a statement that looks at a file's begin
        // has given its thread away already.
        self.runtime.block_on(fetch).map_err(io::Error::other)
    }
}

impl Source for RemoteFile {
    fn name(&self) -> &str {
        &self.name
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn stream(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(Stream { file: self.clone(), chunk: Bytes::new(), at: 0 }))
    }

    fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        if len == 0 {
            return Ok(Bytes::new());
        }
        let bytes = self.range(offset, offset + len as u64)?;
        if bytes.len() != len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(bytes)
    }
}

/// A remote file from its begin, fetched chunk by chunk.
struct Stream {
    file: RemoteFile,
    chunk: Bytes,
    at: u64,
}

impl Read for Stream {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.chunk.is_empty() {
            let end = (self.at + CHUNK_LEN).min(self.file.size);
            if self.at == end {
                return Ok(0);
            }
            self.chunk = self.file.range(self.at, end)?;
            self.at = end;
        }
        let len = out.len().min(self.chunk.len());
        out[..len].copy_from_slice(&self.chunk.split_to(len));
        Ok(len)
    }
}

/// A file to write at a URL, which is there once it is whole.
pub(super) fn target(name: &str) -> Result<Box<dyn Target>> {
    let (store, location) = store(name)?;
    let upload = BufWriter::with_capacity(store, location, CHUNK_LEN as usize);
    let name = name.to_owned();
    let runtime = Handle::current();
    Ok(Box::new(NewRemoteFile { name, upload: Some(upload), runtime, len: 0 }))
}

/// Refuses a URL that files are below of.
pub(super) fn check_empty(name: &str) -> Result<()> {
    let (store, folder) = store(name)?;
    let mut listed = store.list(Some(&folder));
    let first = Handle::current().block_on(listed.try_next());
    match first.map_err(|error| failed(name, &error))? {
        None => Ok(()),
        Some(_) => Err(Error::new(
            ErrorKind::Io,
            format!("there are files below {name}: name another folder"),
        )),
    }
}

/// A file on its way into an object store, in parts of which the store makes one. Like
/// [`RemoteFile`] it waits for the network.
struct NewRemoteFile {
    name: String,
    /// `None` once the file is there.
    upload: Option<BufWriter>,
    runtime: Handle,
    len: u64,
}

impl Write for NewRemoteFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(upload) = &mut self.upload else { return Ok(0) };
        self.runtime.block_on(upload.put(Bytes::copy_from_slice(bytes)))?;
        self.len += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Target for NewRemoteFile {
    fn name(&self) -> &str {
        &self.name
    }

    fn commit(mut self: Box<Self>) -> sheaf_formats::Result<u64> {
        if let Some(upload) = &mut self.upload {
            self.runtime
                .block_on(upload.shutdown())
                .map_err(|source| sheaf_formats::Error::Io { file: self.name.clone(), source })?;
        }
        self.upload = None;
        Ok(self.len)
    }
}

impl Drop for NewRemoteFile {
    fn drop(&mut self) {
        if let Some(mut upload) = self.upload.take() {
            // Parts that are there already cost money until they are given up. There
            // is nobody to tell if that fails.
            self.runtime.spawn(async move {
                let _ = upload.abort().await;
            });
        }
    }
}
