//! What the tests have in common: databases, rows as text.

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use sheafdb::{Database, Error, Session};

/// A session with a new database in memory.
pub fn session() -> Session {
    Database::in_memory().unwrap().session()
}

/// Rows as text: columns by a space, NULL by its name.
pub fn lines(batches: &[RecordBatch]) -> Vec<String> {
    let options = FormatOptions::default().with_null("NULL");
    let mut lines = Vec::new();
    for batch in batches {
        let columns: Vec<ArrayFormatter<'_>> =
            batch.columns().iter().map(|c| ArrayFormatter::try_new(c, &options).unwrap()).collect();
        for row in 0..batch.num_rows() {
            lines.push(
                columns.iter().map(|c| c.value(row).to_string()).collect::<Vec<_>>().join(" "),
            );
        }
    }
    lines
}

/// Runs one statement and gives its rows as text.
pub async fn rows(session: &Session, sql: &str) -> Result<Vec<String>, Error> {
    Ok(lines(&session.query(sql).await?.collect().await?))
}

/// Runs statements that must succeed.
pub async fn run(session: &Session, sql: &str) {
    for output in session.execute(sql).await.unwrap_or_else(|error| panic!("{error}\n{sql}")) {
        output.collect().await.unwrap_or_else(|error| panic!("{error}\n{sql}"));
    }
}
