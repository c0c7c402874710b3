//! Files that are read as one relation.
//!
//! The columns are those of the first file, or with `union_by_name` those of all of
//! them, then the columns that folder names give (`year=2013/…`), then the file name
//! when it is asked for. Files are opened when their turn comes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::vec;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringViewArray, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};

use super::infer::ColumnGuess;
use super::ordered::{self, Emit, Piece, Pieces};
use super::reader::{self, FileReader, Findings, NOT_A_VALUE};
use super::source::{Counted, Source};
use super::{Batches, Compression, Format, ReadOptions};
use crate::{Error, Result, sql_name};

/// Name of the column that says which file a row is from.
const FILENAME: &str = "filename";

/// A file and the values that the names of its folders give.
#[derive(Clone, Debug)]
pub struct Input {
    source: Arc<dyn Source>,
    folders: Vec<(String, Option<String>)>,
}

impl Input {
    /// A file. Parts of its path such as `year=2013` become values.
    pub fn new(source: Arc<dyn Source>) -> Self {
        let parts: Vec<&str> = source.name().split('/').collect();
        let folders = parts[..parts.len() - 1]
            .iter()
            .filter_map(|part| part.split_once('='))
            .filter(|(name, _)| !name.is_empty())
            .map(|(name, value)| {
                let value = (value != "__HIVE_DEFAULT_PARTITION__").then(|| unescaped(value));
                (unescaped(name), value)
            })
            .collect();
        Self { source, folders }
    }
}

/// `%41` as `A`.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match code.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(|_| byte == b'%') {
            Some(code) => {
                bytes.push(code);
                rest = &after[2..];
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Where a column of a dataset comes from.
#[derive(Clone, Debug)]
enum Origin {
    /// The files.
    File,
    /// The folder with this name.
    Folder(String),
    /// The file's name.
    Filename,
}

/// Files that are read as one relation.
#[derive(Debug)]
pub struct Dataset {
    files: Vec<OneFile>,
    schema: SchemaRef,
    origins: Vec<Origin>,
    format: Format,
    options: ReadOptions,
    findings: Findings,
    /// Other readers of the format can be trusted with the first file.
    ordinary: bool,
    progress: Arc<Progress>,
}

#[derive(Clone, Debug)]
struct OneFile {
    input: Input,
    /// The columns of the dataset that it has; `None` when it must have all.
    has: Option<SchemaRef>,
}

/// How far a reading is, in bytes of the files as they are stored.
#[derive(Debug)]
pub struct Progress {
    total: u64,
    done: AtomicU64,
}

impl Progress {
    /// Bytes of all files.
    pub fn total_bytes(&self) -> u64 {
        self.total
    }

    /// Bytes read so far.
    pub fn done_bytes(&self) -> u64 {
        self.done.load(Ordering::Relaxed).min(self.total)
    }

    pub(super) fn add(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Dataset {
    /// Reads as much of the files as it takes to know their columns.
    pub fn open(inputs: Vec<Input>, options: &ReadOptions) -> Result<Self> {
        let Some(first) = inputs.first() else {
            return Err(Error::Invalid("there are no files to read".to_owned()));
        };
        if options.batch_rows == 0 {
            return Err(Error::Invalid("batches of a file must have at least one row".to_owned()));
        }
        let format = match options.format {
            Some(format) => format,
            None => Format::of_name(first.source.name())?,
        };
        let folders = folder_columns(&inputs, options)?;
        let mut origins: Vec<(FieldRef, Origin)> = Vec::new();
        let is_folder = |name: &str| folders.iter().any(|field: &FieldRef| field.name() == name);

        let (schema, files, findings, ordinary) = match &options.schema {
            Some(wanted) => {
                for field in wanted.fields() {
                    let origin = match field.name().as_str() {
                        name if is_folder(name) => Origin::Folder(name.to_owned()),
                        FILENAME if options.filename => Origin::Filename,
                        _ => Origin::File,
                    };
                    origins.push((Arc::clone(field), origin));
                }
                let files = inputs.into_iter().map(|input| OneFile { input, has: None });
                let mut files: Vec<OneFile> = files.collect();
                if options.union_by_name {
                    for file in &mut files {
                        let own = found(&file.input, format, options)?;
                        file.has = Some(common(wanted, own.schema()));
                    }
                }
                (wanted.clone(), files, Findings::new(), true)
            }
            None => {
                let opened = found(first, format, options)?;
                let (findings, ordinary) = (opened.findings(), opened.is_ordinary());
                let mut fields: Vec<FieldRef> = opened.schema().fields().iter().cloned().collect();
                if inputs.len() > 1 {
                    // That this file has no NULL says nothing of the others.
                    fields.iter_mut().for_each(nullable);
                }
                let mut files: Vec<OneFile> = inputs
                    .iter()
                    .map(|input| OneFile { input: input.clone(), has: None })
                    .collect();
                if options.union_by_name {
                    let mut own = vec![opened.schema().clone()];
                    for input in &inputs[1..] {
                        let schema = found(input, format, options)?.schema().clone();
                        merge(&mut fields, &schema);
                        own.push(schema);
                    }
                    let union = Arc::new(Schema::new(fields.clone()));
                    for (file, own) in files.iter_mut().zip(&own) {
                        file.has = Some(common(&union, own));
                    }
                }
                fields.retain(|field| !is_folder(field.name()));
                origins.extend(fields.into_iter().map(|field| (field, Origin::File)));
                for field in &folders {
                    origins.push((Arc::clone(field), Origin::Folder(field.name().clone())));
                }
                if options.filename {
                    let field = Arc::new(Field::new(FILENAME, DataType::Utf8View, false));
                    origins.push((field, Origin::Filename));
                }
                let fields: Vec<FieldRef> =
                    origins.iter().map(|(field, _)| field.clone()).collect();
                (Arc::new(Schema::new(fields)), files, findings, ordinary)
            }
        };
        let total = files.iter().map(|file| file.input.source.size()).sum();
        Ok(Self {
            files,
            schema,
            origins: origins.into_iter().map(|(_, origin)| origin).collect(),
            format,
            options: options.clone(),
            findings,
            ordinary,
            progress: Arc::new(Progress { total, done: AtomicU64::new(0) }),
        })
    }

    /// The columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The format of the files.
    pub fn format(&self) -> Format {
        self.format
    }

    /// How many files there are.
    pub fn files(&self) -> usize {
        self.files.len()
    }

    /// The columns that the names of folders give.
    pub fn folder_columns(&self) -> Vec<FieldRef> {
        let fields = self.schema.fields().iter().zip(&self.origins);
        fields.filter(|(_, o)| matches!(o, Origin::Folder(_))).map(|(f, _)| f.clone()).collect()
    }

    /// Whether every row is read as it stands in its file: no types, names or columns
    /// were asked for, and any reader of the format gives the same.
    pub fn is_plain(&self) -> bool {
        let ReadOptions { schema, types, rejects, union_by_name, filename, .. } = &self.options;
        self.ordinary
            && schema.is_none()
            && types.is_empty()
            && rejects.is_none()
            && !union_by_name
            && !filename
    }

    /// What was found out about how the first file is written.
    pub fn findings(&self) -> &Findings {
        &self.findings
    }

    /// How far the readings of this dataset are.
    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// The rows, in the order of the files; of all columns, or of those with these
    /// indices.
    pub fn read(&self, columns: Option<&[usize]>) -> Result<Batches> {
        let all: Vec<usize> = (0..self.schema.fields().len()).collect();
        // Which rows are skipped must not depend on the columns that are asked for.
        if self.options.rejects.is_some()
            && let Some(columns) = columns.filter(|columns| **columns != all)
        {
            let columns = columns.to_vec();
            let project = move |batch: RecordBatch| Ok(batch.project(&columns)?);
            return Ok(Box::new(self.read(None)?.map(move |batch| batch.and_then(&project))));
        }
        let columns = columns.unwrap_or(&all);
        let files = Files {
            waiting: self.files.clone().into_iter(),
            current: None,
            schema: Arc::new(self.schema.project(columns)?),
            file_schema: self.file_schema()?,
            origins: columns.iter().map(|&index| self.origins[index].clone()).collect(),
            format: self.format,
            options: self.options.clone(),
            guessed: self.options.schema.is_none(),
            progress: Arc::clone(&self.progress),
        };
        Ok(ordered::read(Box::new(files), self.options.threads))
    }

    /// The columns that come from the files themselves.
    fn file_schema(&self) -> Result<SchemaRef> {
        let own: Vec<usize> = (0..self.origins.len())
            .filter(|&index| matches!(self.origins[index], Origin::File))
            .collect();
        Ok(Arc::new(self.schema.project(&own)?))
    }
}

/// A file's own columns.
fn found(input: &Input, format: Format, options: &ReadOptions) -> Result<Box<dyn FileReader>> {
    reader::open(
        Arc::clone(&input.source),
        format,
        &ReadOptions { schema: None, ..options.clone() },
    )
}

/// The columns that the names of folders give: those that all files have.
fn folder_columns(inputs: &[Input], options: &ReadOptions) -> Result<Vec<FieldRef>> {
    let names = |input: &Input| -> Vec<String> {
        input.folders.iter().map(|(name, _)| name.clone()).collect()
    };
    let first = names(&inputs[0]);
    let same = inputs.iter().all(|input| names(input) == first);
    match options.hive {
        Some(false) => return Ok(Vec::new()),
        None if !same => return Ok(Vec::new()),
        Some(true) if !same => {
            return Err(Error::Invalid(
                "the files do not have the same folders with '=' in their names".to_owned(),
            ));
        }
        _ => {}
    }
    let field = |name: &String| {
        let mut guess = ColumnGuess::default();
        for (_, value) in inputs.iter().flat_map(|input| &input.folders).filter(|(n, _)| n == name)
        {
            value.iter().for_each(|value| guess.see(value));
        }
        let given = options.types.iter().find(|(typed, _)| typed == name);
        let data_type = given.map_or_else(|| guess.data_type(), |(_, given)| given.clone());
        Arc::new(Field::new(name, data_type, true))
    };
    Ok(first.iter().map(field).collect())
}

/// The columns of `all` that a file with the columns `own` has.
fn common(all: &SchemaRef, own: &SchemaRef) -> SchemaRef {
    let fields: Vec<FieldRef> = all
        .fields()
        .iter()
        .filter(|field| own.fields().iter().any(|o| o.name().eq_ignore_ascii_case(field.name())))
        .cloned()
        .collect();
    Arc::new(Schema::new(fields))
}

/// Adds the columns of another file; a column of two types gets one that holds both.
fn merge(fields: &mut Vec<FieldRef>, other: &SchemaRef) {
    for field in other.fields() {
        match fields.iter_mut().find(|f| f.name().eq_ignore_ascii_case(field.name())) {
            None => {
                fields.push(Arc::clone(field));
                fields.last_mut().into_iter().for_each(nullable);
            }
            Some(known) if known.data_type() == field.data_type() => {}
            Some(known) => {
                let wider = super::infer::wider(known.data_type(), field.data_type());
                *known = Arc::new(Field::new(known.name(), wider, true));
            }
        }
    }
}

fn nullable(field: &mut FieldRef) {
    *field = Arc::new(Field::clone(field).with_nullable(true));
}

/// The pieces of all files, one file after the other.
struct Files {
    waiting: vec::IntoIter<OneFile>,
    current: Option<(Arc<Arrange>, Box<dyn Pieces>)>,
    schema: SchemaRef,
    file_schema: SchemaRef,
    origins: Vec<Origin>,
    format: Format,
    options: ReadOptions,
    /// The types were found out.
    guessed: bool,
    progress: Arc<Progress>,
}

impl Files {
    fn open(&self, file: OneFile) -> Result<(Arc<Arrange>, Box<dyn Pieces>)> {
        let has = file.has.clone().unwrap_or_else(|| Arc::clone(&self.file_schema));
        let compression = self
            .options
            .compression
            .unwrap_or_else(|| Compression::of_name(file.input.source.name()));
        let options = ReadOptions {
            schema: Some(has.clone()),
            compression: Some(compression),
            ..self.options.clone()
        };
        let source = Arc::clone(&file.input.source);
        let counted = Arc::new(Counted::new(source, Arc::clone(&self.progress)));
        let reader = reader::open(counted, self.format, &options)?;
        // Which columns to read, and where each column of a batch comes from.
        let mut read = Vec::new();
        let mut from = Vec::with_capacity(self.origins.len());
        for (field, origin) in self.schema.fields().iter().zip(&self.origins) {
            from.push(match origin {
                Origin::File => match has.index_of(field.name()) {
                    Ok(index) => {
                        read.push(index);
                        From::File(read.len() - 1)
                    }
                    Err(_) => From::Text(None),
                },
                Origin::Folder(name) => {
                    let value = file.input.folders.iter().find(|(folder, _)| folder == name);
                    From::Text(value.and_then(|(_, value)| value.clone()))
                }
                Origin::Filename => From::Text(Some(file.input.source.name().to_owned())),
            });
        }
        let arrange = Arrange {
            file: file.input.source.name().to_owned(),
            schema: Arc::clone(&self.schema),
            from,
        };
        Ok((Arc::new(arrange), reader.pieces(&read)?))
    }
}

impl Pieces for Files {
    fn next_piece(&mut self) -> Result<Option<Piece>> {
        loop {
            if self.current.is_none() {
                let Some(file) = self.waiting.next() else { return Ok(None) };
                self.current = Some(self.open(file)?);
            }
            let Some((arrange, pieces)) = &mut self.current else { continue };
            match pieces.next_piece()? {
                Some(piece) => {
                    let arrange = Arc::clone(arrange);
                    let guessed = self.guessed;
                    return Ok(Some(Box::new(move |emit: Emit<'_>| {
                        let mut failed = None;
                        piece(&mut |batch| match arrange.apply(&batch) {
                            Ok(batch) => emit(batch),
                            Err(error) => {
                                failed = Some(error);
                                false
                            }
                        })
                        .map_err(|error| if guessed { hinted(error) } else { error })?;
                        failed.map_or(Ok(()), Err)
                    })));
                }
                None => self.current = None,
            }
        }
    }
}

/// Adds to an error about a value how to read it in spite of the type that was guessed.
fn hinted(error: Error) -> Error {
    match error {
        Error::Malformed { file, line, column: Some(column), what }
            if what.contains(NOT_A_VALUE) =>
        {
            let what = format!(
                "{what}, as the rows before it are; give the column another type with types => \
                 {{'{column}': 'VARCHAR'}}, or guess from all rows with sample_size => -1"
            );
            Error::Malformed { file, line, column: Some(column), what }
        }
        other => other,
    }
}

/// Where the values of a column come from.
enum From {
    /// The column of the file's batches with this index.
    File(usize),
    /// A text that is the same in all rows, as the column's type.
    Text(Option<String>),
}

/// Makes batches of the dataset out of batches of one file.
struct Arrange {
    file: String,
    schema: SchemaRef,
    from: Vec<From>,
}

impl Arrange {
    fn apply(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let rows = batch.num_rows();
        let columns = self
            .from
            .iter()
            .zip(self.schema.fields())
            .map(|(from, field)| match from {
                From::File(index) => Ok(Arc::clone(batch.column(*index))),
                From::Text(None) => Ok(new_null_array(field.data_type(), rows)),
                From::Text(Some(text)) => self.constant(text, field, rows),
            })
            .collect::<Result<Vec<ArrayRef>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }

    fn constant(&self, text: &str, field: &Field, rows: usize) -> Result<ArrayRef> {
        let texts: ArrayRef =
            Arc::new(StringViewArray::from_iter_values(std::iter::repeat_n(text, rows)));
        let values = cast(&texts, field.data_type())?;
        if rows > 0 && values.is_null(0) {
            return Err(Error::Malformed {
                file: self.file.clone(),
                line: None,
                column: Some(field.name().clone()),
                what: format!(
                    "the folder's '{text}' is not a value of type {}",
                    sql_name(field.data_type())
                ),
            });
        }
        Ok(values)
    }
}
