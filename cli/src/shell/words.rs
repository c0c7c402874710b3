//! The words of a statement under the cursor: keywords, and names in the catalog.

use std::collections::BTreeSet;

use sheafdb::Database;

/// Words that SQL gives a meaning here, in the order people write them.
pub const KEYWORDS: &[&str] = &[
    "ADD",
    "ALL",
    "ALTER",
    "AND",
    "ANY",
    "AS",
    "ASC",
    "ASOF",
    "BEGIN",
    "BETWEEN",
    "BIGINT",
    "BOOLEAN",
    "BY",
    "CASCADE",
    "CASE",
    "CAST",
    "CLUSTER",
    "COLUMN",
    "COMMIT",
    "CONFLICT",
    "COPY",
    "CREATE",
    "CROSS",
    "DATE",
    "DEFAULT",
    "DELETE",
    "DESC",
    "DESCRIBE",
    "DISTINCT",
    "DO",
    "DOUBLE",
    "DROP",
    "ELSE",
    "END",
    "EXCEPT",
    "EXISTS",
    "EXPLAIN",
    "FALSE",
    "FILTER",
    "FIRST",
    "FROM",
    "FULL",
    "GROUP",
    "HAVING",
    "HNSW",
    "IF",
    "ILIKE",
    "IN",
    "INDEX",
    "INNER",
    "INSERT",
    "INTEGER",
    "INTERSECT",
    "INTERVAL",
    "INTO",
    "IS",
    "JOIN",
    "KEY",
    "LAST",
    "LATERAL",
    "LEFT",
    "LIKE",
    "LIMIT",
    "NOT",
    "NOTHING",
    "NULL",
    "NULLS",
    "NUMERIC",
    "OFFSET",
    "ON",
    "OR",
    "ORDER",
    "OUTER",
    "OVER",
    "PARTITION",
    "PRECISION",
    "PRIMARY",
    "REAL",
    "RETURNING",
    "RIGHT",
    "ROLLBACK",
    "SCHEMA",
    "SELECT",
    "SET",
    "SHOW",
    "SMALLINT",
    "TABLE",
    "TEXT",
    "THEN",
    "TIMESTAMP",
    "TIMESTAMPTZ",
    "TO",
    "TRUE",
    "TRUNCATE",
    "UNION",
    "UNIQUE",
    "UPDATE",
    "USING",
    "VALUES",
    "VECTOR",
    "VIEW",
    "WHEN",
    "WHERE",
    "WITH",
];

/// Whether a word, in either case, is a keyword.
pub fn is_keyword(word: &str) -> bool {
    KEYWORDS.binary_search(&word.to_ascii_uppercase().as_str()).is_ok()
}

/// Finds completions in the catalog as it is now.
pub struct Words {
    database: Option<Database>,
}

impl Words {
    /// Names come from `database`; of one that another process has open, none.
    pub fn new(database: Option<Database>) -> Self {
        Self { database }
    }

    /// Tables, views, columns and keywords that start with `prefix`, names first.
    /// Keywords follow the case of the prefix.
    pub fn starting_with(&self, prefix: &str) -> Vec<String> {
        let folded = prefix.to_lowercase();
        let mut words: Vec<String> =
            self.names().into_iter().filter(|name| name.starts_with(&folded)).collect();
        let lower = prefix.starts_with(|c: char| c.is_lowercase());
        words.extend(
            KEYWORDS
                .iter()
                .map(|k| if lower { k.to_lowercase() } else { (*k).to_owned() })
                .filter(|k| k.to_lowercase().starts_with(&folded) && k.len() > prefix.len()),
        );
        words
    }

    /// Every name a query can use; none while the database cannot be read.
    fn names(&self) -> BTreeSet<String> {
        let Some(database) = &self.database else { return BTreeSet::new() };
        let Ok(snapshot) = database.store().snapshot() else { return BTreeSet::new() };
        let catalog = snapshot.catalog();
        let tables = catalog.tables.values();
        tables
            .flat_map(|t| t.live_columns().map(|c| c.name.clone()).chain([t.name.clone()]))
            .chain(catalog.views.values().map(|v| v.name.clone()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_sorted_because_they_are_searched() {
        assert!(KEYWORDS.is_sorted());
        assert!(is_keyword("select"));
        assert!(!is_keyword("flights"));
    }
}
