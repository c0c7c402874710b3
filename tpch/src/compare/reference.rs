//! The right answers: DuckDB's over the same Parquet files. Stored answers would not do,
//! because generators differ in places. They are kept for as long as the query's text
//! stays the same.

use std::fs;
use std::path::PathBuf;

use super::protocol::Request;
use super::{Engine, Plan};
use crate::answer::Answer;
use crate::failure::{Failure, Result};
use crate::folders;
use crate::queries::Query;

/// Where the right answers are.
pub struct References {
    folder: PathBuf,
}

impl References {
    /// The right answer of a query of the plan.
    pub fn answer(&self, number: usize) -> Result<Answer> {
        Answer::read(&self.file(number))
    }

    fn file(&self, number: usize) -> PathBuf {
        self.folder.join(format!("q{number:02}.arrow"))
    }

    /// The text that the kept answer is of.
    fn text(&self, number: usize) -> PathBuf {
        self.folder.join(format!("q{number:02}.sql"))
    }

    fn has(&self, query: &Query) -> bool {
        self.file(query.number).exists()
            && fs::read_to_string(self.text(query.number)).is_ok_and(|text| text == query.sql)
    }
}

/// Makes the answers that are not there yet.
pub fn answers(plan: &Plan) -> Result<References> {
    let label = folders::label(plan.benchmark, plan.sf);
    let references = References { folder: folders::root()?.join("answers").join(label) };
    let missing: Vec<&Query> = plan.queries.iter().filter(|query| !references.has(query)).collect();
    if missing.is_empty() {
        return Ok(references);
    }
    fs::create_dir_all(&references.folder)?;
    let (mut process, _) = Engine::Reference.open(plan)?;
    for query in missing {
        let answer = references.file(query.number);
        let request = Request::Query { sql: query.sql.clone(), runs: 1, answer };
        if let Some(error) = process.ask(&request, plan.patience)?.error {
            return Err(Failure::new(format!("Q{} has no right answer: {error}", query.number)));
        }
        fs::write(references.text(query.number), &query.sql)?;
    }
    Ok(references)
}
