//! Statements that were recognised lately, by their text: what is run by text again and
//! again is parsed once.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::PointStatement;

/// Statements that are remembered.
const STATEMENTS_MAX: usize = 256;

/// See the module's documentation. The sessions of a database share one.
#[derive(Debug, Default)]
pub(crate) struct PointCache(Mutex<Recent>);

#[derive(Debug, Default)]
struct Recent {
    /// With the time of their last use.
    statements: HashMap<String, (Arc<PointStatement>, u64)>,
    /// Counts uses.
    time: u64,
}

impl PointCache {
    /// The statement that a text is known to be.
    pub fn get(&self, sql: &str) -> Option<Arc<PointStatement>> {
        let Recent { statements, time } = &mut *self.0.lock();
        let (statement, used) = statements.get_mut(sql)?;
        *time += 1;
        *used = *time;
        Some(Arc::clone(statement))
    }

    /// Remembers it, in the place of the one that was not used for longest.
    pub fn put(&self, sql: &str, statement: &Arc<PointStatement>) {
        let Recent { statements, time } = &mut *self.0.lock();
        if statements.len() >= STATEMENTS_MAX
            && let Some(oldest) = statements.iter().min_by_key(|(_, (_, used))| *used)
        {
            let oldest = oldest.0.clone();
            statements.remove(&oldest);
        }
        *time += 1;
        statements.insert(sql.to_owned(), (Arc::clone(statement), *time));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::parse_one;

    #[test]
    fn the_least_recently_used_goes_first() {
        let cache = PointCache::default();
        let text = |n: usize| format!("SELECT a FROM t WHERE k = {n}");
        let put = |n| {
            let statement = parse_one(&text(n)).unwrap().point().unwrap();
            cache.put(&text(n), &Arc::new(statement));
        };
        (0..STATEMENTS_MAX).for_each(put);
        assert!(cache.get(&text(0)).is_some());
        put(STATEMENTS_MAX);
        assert!(cache.get(&text(0)).is_some());
        assert!(cache.get(&text(1)).is_none());
        assert!(cache.get(&text(STATEMENTS_MAX)).is_some());
        assert_eq!(cache.0.lock().statements.len(), STATEMENTS_MAX);
    }
}
