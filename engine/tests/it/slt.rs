//! Runs the files of `tests/slt`: each in a new database, once with rows in
//! memtables and once with every write flushed to segments before the next statement.
//! `UPDATE_SLT=1` rewrites the expected results instead.

use std::path::PathBuf;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use sheafdb::{Database, Error, Output, Session};
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, Runner};

struct Engine {
    session: Session,
    flush: bool,
}

#[async_trait::async_trait]
impl AsyncDB for Engine {
    type Error = Error;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Error> {
        match self.session.query(sql).await? {
            Output::Done { tag, .. } => {
                if self.flush && !self.session.database().store().is_read_only() {
                    self.session.database().store().flush(None)?;
                }
                Ok(DBOutput::StatementComplete(tag.rows.unwrap_or(0)))
            }
            Output::Rows { schema, stream } => {
                let types =
                    schema.fields().iter().map(|field| column_type(field.data_type())).collect();
                let batches = Output::Rows { schema, stream }.collect().await?;
                Ok(DBOutput::Rows { types, rows: batches.iter().flat_map(rows).collect() })
            }
        }
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &str {
        "sheaf"
    }
}

fn column_type(data_type: &DataType) -> DefaultColumnType {
    match data_type {
        t if t.is_integer() => DefaultColumnType::Integer,
        t if t.is_numeric() => DefaultColumnType::FloatingPoint,
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => DefaultColumnType::Text,
        _ => DefaultColumnType::Any,
    }
}

fn rows(batch: &RecordBatch) -> Vec<Vec<String>> {
    (0..batch.num_rows())
        .map(|row| batch.columns().iter().map(|column| cell(column, row)).collect())
        .collect()
}

fn cell(column: &dyn Array, row: usize) -> String {
    if column.is_null(row) {
        return "NULL".to_owned();
    }
    if let DataType::FixedSizeBinary(16) = column.data_type() {
        let hex: String =
            column.as_fixed_size_binary().value(row).iter().map(|b| format!("{b:02x}")).collect();
        return format!(
            "{}-{}-{}-{}-{}",
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..]
        );
    }
    let text =
        ArrayFormatter::try_new(column, &FormatOptions::default()).unwrap().value(row).to_string();
    if text.is_empty() { "(empty)".to_owned() } else { text }
}

fn check(name: &str) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/slt");
    let file = folder.join(format!("{name}.slt"));
    // Files of data are named relative to the folder of the tests.
    let data = folder.join("data");
    for flush in [false, true] {
        let connect = move || {
            let session = Database::in_memory().unwrap().session();
            async move { Ok(Engine { session, flush }) }
        };
        let mut runner = Runner::new(connect);
        runner.set_var("DATA".to_owned(), data.display().to_string());
        if std::env::var_os("UPDATE_SLT").is_some() {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime
                .block_on(runner.update_test_file(
                    &file,
                    " ",
                    sqllogictest::default_validator,
                    sqllogictest::default_normalizer,
                    sqllogictest::default_column_validator,
                ))
                .unwrap();
            return;
        }
        if let Err(error) = runner.run_file(&file) {
            panic!(
                "{} (flushed after each write: {flush})\n{}",
                file.display(),
                error.display(false)
            );
        }
    }
}

macro_rules! files {
    ($($name:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            check(stringify!($name));
        })*
    };
}

files!(
    alter,
    casts,
    copy,
    copy_to,
    create_table,
    ctas,
    defaults,
    delete,
    describe,
    errors,
    files,
    insert,
    limits,
    prepared,
    queries,
    returning,
    schemas,
    settings,
    system_views,
    time,
    ttl,
    transactions,
    types,
    update,
    upsert,
    uuid,
    vectors,
    views,
);
