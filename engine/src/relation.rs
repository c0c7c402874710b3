//! Relations of a program's own, by the names that its statements have for them: rows that it
//! holds, and queries that it has built. They are not in the catalog; only the statements of the
//! handle that they are given to know them ([`crate::Session::with_relations`]).

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::common::ScalarValue;

/// What a name of the program stands for.
#[derive(Clone, Debug)]
pub enum Relation {
    /// Rows that the program has.
    Table(Arc<dyn TableProvider>),
    /// A query, planned at the snapshot of the statement that names it.
    Query(Arc<Subquery>),
}

/// A query that stands for a relation.
#[derive(Clone, Debug, Default)]
pub struct Subquery {
    /// One query.
    pub sql: String,
    /// What its `$1`, `$2`… stand for.
    pub parameters: Vec<ScalarValue>,
    /// Relations that it names itself.
    pub relations: Relations,
}

/// Relations by name. They come before tables and views whose names have no schema.
#[derive(Clone, Debug, Default)]
pub struct Relations(Arc<HashMap<String, Relation>>);

impl Relations {
    /// The relation with this name.
    pub fn get(&self, name: &str) -> Option<&Relation> {
        self.0.get(name)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(String, Relation)> for Relations {
    fn from_iter<I: IntoIterator<Item = (String, Relation)>>(relations: I) -> Self {
        Self(Arc::new(relations.into_iter().collect()))
    }
}
