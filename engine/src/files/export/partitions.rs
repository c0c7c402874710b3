//! `COPY … TO 'folder' (PARTITION_BY (a, b))`: a file per pair of values, in folders
//! that are named after them as Hive does, `a=1/b=x%20y/data_0.parquet`.
//!
//! Rows are sorted by the keys first, so that one file at a time is open, whatever the
//! number of folders; sorting spills to disk where memory ends.

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::{cast, partition};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::common::Column;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use sheaf_formats::external::write::{NewFolder, Target, WriteOptions, Writer, Written};
use sheaf_formats::external::{Compression, Format};

use super::options::ExportOptions;
use super::{FileAccess, next, remote};
use crate::error::{Error, ErrorKind, Result};
use crate::session::{Context, blocking};

/// What Hive calls the folder of rows without a value.
const NULL_FOLDER: &str = "__HIVE_DEFAULT_PARTITION__";

pub(super) async fn write(
    context: &Context,
    plan: LogicalPlan,
    name: &str,
    options: &ExportOptions,
) -> Result<Written> {
    let keys = key_columns(&plan, &options.partition_by)?;
    let order = keys.iter().map(|&index| {
        Expr::Column(Column::from(plan.schema().qualified_field(index))).sort(true, false)
    });
    let order: Vec<_> = order.collect();
    let plan = LogicalPlanBuilder::from(plan).sort(order)?.build()?;
    let mut stream = context.stream(&plan).await?;
    let access = context.catalog.readings().access();
    let mut files = blocking(|| Files::new(access, name, &stream.schema(), keys, options))?;
    while let Some(batch) = next(&mut stream).await? {
        blocking(|| files.push(&batch))?;
    }
    blocking(|| files.finish())
}

/// Where the key columns are.
fn key_columns(plan: &LogicalPlan, names: &[String]) -> Result<Vec<usize>> {
    let fields = plan.schema().fields();
    let mut keys = Vec::with_capacity(names.len());
    for name in names {
        let index = fields.iter().position(|field| field.name() == name).ok_or_else(|| {
            Error::new(
                ErrorKind::UndefinedColumn,
                format!("column '{name}' of PARTITION_BY not found"),
            )
            .suggest(name, fields.iter().map(|field| field.name().as_str()))
        })?;
        if keys.contains(&index) {
            let what = format!("the column '{name}' is twice in PARTITION_BY");
            return Err(Error::new(ErrorKind::InvalidParameter, what));
        }
        if fields[index].data_type().is_nested() {
            let what = format!("PARTITION_BY a list, struct or map: '{name}'");
            return Err(Error::not_supported(what));
        }
        keys.push(index);
    }
    if keys.len() == fields.len() {
        return Err(Error::new(
            ErrorKind::InvalidParameter,
            "PARTITION_BY takes all columns: the files would have none",
        ));
    }
    Ok(keys)
}

/// Where the files go.
enum Place {
    Folder(NewFolder),
    /// The URL that their names begin with.
    Url(String),
}

impl Place {
    fn target(&self, file: &str) -> Result<Box<dyn Target>> {
        match self {
            Self::Folder(folder) => Ok(Box::new(folder.file(file)?)),
            Self::Url(url) => remote::target(&format!("{url}/{file}")),
        }
    }
}

/// Writes rows that are sorted by their keys.
struct Files {
    place: Place,
    keys: Vec<usize>,
    names: Vec<String>,
    /// Columns that are in the files.
    rest: Vec<usize>,
    schema: SchemaRef,
    file_name: String,
    options: WriteOptions,
    /// The folder that rows go to, and its file.
    open: Option<(String, Writer)>,
    written: Written,
}

impl Files {
    fn new(
        access: &FileAccess,
        name: &str,
        schema: &SchemaRef,
        keys: Vec<usize>,
        options: &ExportOptions,
    ) -> Result<Self> {
        let format = match options.write.format {
            Some(format) => format,
            None => Format::of_name(name)?,
        };
        let file_name = format!("data_0.{format}{}", ending(&options.write, format)?);
        let name = &*access.name(name)?;
        let place = match remote::is_url(name) {
            true if options.overwrite => {
                return Err(Error::not_supported("OVERWRITE of files at a URL"));
            }
            true => {
                remote::check_empty(name)?;
                Place::Url(name.trim_end_matches('/').to_owned())
            }
            false => {
                access.check(Path::new(name))?;
                Place::Folder(NewFolder::create(Path::new(name), options.overwrite)?)
            }
        };
        let rest: Vec<usize> =
            (0..schema.fields().len()).filter(|index| !keys.contains(index)).collect();
        Ok(Self {
            place,
            names: keys.iter().map(|&index| escaped(schema.field(index).name())).collect(),
            keys,
            schema: Arc::new(Schema::new(schema.project(&rest)?.fields)),
            rest,
            file_name,
            options: WriteOptions { format: Some(format), ..options.write.clone() },
            open: None,
            written: Written { rows: 0, bytes: 0 },
        })
    }

    fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        let keys: Vec<ArrayRef> =
            self.keys.iter().map(|&index| Arc::clone(batch.column(index))).collect();
        let texts =
            keys.iter().map(|key| cast(key, &DataType::Utf8)).collect::<Result<Vec<_>, _>>()?;
        let rest = batch.project(&self.rest)?;
        for range in partition(&keys)?.ranges() {
            let folder = self.folder(&texts, range.start)?;
            let rows = rest.slice(range.start, range.len());
            let rows = RecordBatch::try_new(Arc::clone(&self.schema), rows.columns().to_vec())?;
            let mut writer = match self.open.take() {
                Some((open, writer)) if open == folder => writer,
                other => {
                    self.close(other)?;
                    let target = self.place.target(&format!("{folder}/{}", self.file_name))?;
                    Writer::new(target, &self.schema, &self.options)?
                }
            };
            writer.write(rows)?;
            self.open = Some((folder, writer));
        }
        Ok(())
    }

    /// `a=1/b=x`
    fn folder(&self, texts: &[ArrayRef], row: usize) -> Result<String> {
        let mut folder = String::new();
        for (name, text) in self.names.iter().zip(texts) {
            if !folder.is_empty() {
                folder.push('/');
            }
            let value = match text.is_null(row) {
                true => NULL_FOLDER.to_owned(),
                false => escaped(text.as_string::<i32>().value(row)),
            };
            write!(folder, "{name}={value}").map_err(|error| {
                Error::new(ErrorKind::Internal, format!("the name of a folder: {error}"))
            })?;
        }
        Ok(folder)
    }

    fn close(&mut self, open: Option<(String, Writer)>) -> Result<()> {
        if let Some((_, writer)) = open {
            let written = writer.finish()?;
            self.written.rows += written.rows;
            self.written.bytes += written.bytes;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Written> {
        let open = self.open.take();
        self.close(open)?;
        if let Place::Folder(folder) = self.place {
            folder.commit()?;
        }
        Ok(self.written)
    }
}

/// The ending of the compression of whole files.
fn ending(options: &WriteOptions, format: Format) -> Result<&'static str> {
    if format == Format::Parquet {
        return Ok("");
    }
    Ok(match options.compression("")? {
        Compression::None => "",
        Compression::Gzip => ".gz",
        Compression::Zstd => ".zst",
    })
}

/// A name or value in which nothing separates folders, names or values.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (index, character) in text.char_indices() {
        let special = character.is_control() || "\"#%'*/:=?\\[]{}^".contains(character);
        if special || (index == 0 && text == NULL_FOLDER) {
            let mut bytes = [0; 4];
            for byte in character.encode_utf8(&mut bytes).bytes() {
                out.push_str(&format!("%{byte:02X}"));
            }
        } else {
            out.push(character);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_folders_are_escaped() {
        assert_eq!(escaped("New York"), "New York");
        assert_eq!(escaped("a/b=100%"), "a%2Fb%3D100%25");
        assert_eq!(escaped("Köln\n"), "Köln%0A");
        assert_eq!(escaped(NULL_FOLDER), "%5F_HIVE_DEFAULT_PARTITION__");
    }
}
