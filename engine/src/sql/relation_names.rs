//! The relations that a statement names.

use datafusion::common::TableReference;
use datafusion::sql::parser::Statement as PlannerStatement;
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::ast::{self, CopySource};

use super::statement::Statement;
use crate::error::Result;

/// The relations that a statement names without a schema, those of its WITH clauses apart.
pub(crate) fn relation_names(statement: &Statement) -> Result<Vec<String>> {
    let statement = match statement {
        Statement::Sql(statement) => statement.as_ref().clone(),
        Statement::Copy(copy) => match &copy.source {
            CopySource::Query(query) => ast::Statement::Query(query.clone()),
            CopySource::Table { .. } => return Ok(Vec::new()),
        },
        Statement::Cancel(_) | Statement::Checkpoint | Statement::User(_) => return Ok(Vec::new()),
    };
    let statement = PlannerStatement::Statement(Box::new(statement));
    let (references, _) = resolve_table_references(&statement, true)?;
    let bare = |reference| match reference {
        TableReference::Bare { table } => Some(table.to_string()),
        TableReference::Partial { .. } | TableReference::Full { .. } => None,
    };
    Ok(references.into_iter().filter_map(bare).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::parse;

    #[test]
    fn names_are_those_of_relations_without_a_schema() {
        for (sql, names) in [
            ("SELECT * FROM a JOIN s.b USING (x) WHERE x IN (SELECT y FROM \"C\")", "C a"),
            ("WITH w AS (SELECT 1) SELECT * FROM w, d", "d"),
            ("INSERT INTO t SELECT * FROM rows", "rows t"),
            ("UPDATE t SET x = 1 FROM rows WHERE rows.y = t.y", "rows t"),
            ("COPY (SELECT * FROM rows) TO 'x.csv'", "rows"),
            ("CREATE TABLE t AS FROM rows", "rows t"),
            ("SHOW TABLES", ""),
        ] {
            let statement = &parse(sql).unwrap()[0];
            let mut found = relation_names(statement).unwrap();
            found.sort();
            assert_eq!(found.join(" "), names, "{sql}");
        }
    }
}
