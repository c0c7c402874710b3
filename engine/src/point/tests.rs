//! What is done without a planner is what the planner would have done: the same commands
//! run both ways, on databases of their own, say the same and leave the same rows.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use futures::TryStreamExt;

use sheaf_core::catalog::{CatalogChange, NewColumn, NewTable, SchemaId};
use sheaf_core::vfs::MemoryVfs;
use sheaf_core::{Durability, Environment, Options, Store};

use crate::session::{Output, Session, Settings};
use crate::{Database, Result};

/// Which way a statement is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Without a plan.
    Short,
    /// With one.
    Planned,
}

use Way::{Planned, Short};

struct Both {
    short: Session,
    planned: Session,
}

impl Both {
    async fn new(setup: &str) -> Self {
        let session = || Database::in_memory().unwrap().session();
        let both = Self { short: session(), planned: session() };
        both.execute(setup).await;
        both
    }

    async fn execute(&self, sql: &str) {
        for session in [&self.short, &self.planned] {
            session.execute(sql).await.unwrap_or_else(|error| panic!("{error}\n{sql}"));
        }
    }

    /// Runs a statement about the table `t` both ways and compares; returns what it said.
    async fn run(&self, way: Way, sql: &str, parameters: &[ScalarValue]) -> String {
        let at_once = match crate::sql::parse_one(sql).unwrap().point() {
            Some(point) => {
                let store = self.short.database().store();
                let settings = Settings::new(Arc::clone(store.memory()));
                point.run(store, &settings, parameters).transpose()
            }
            None => None,
        };
        let went = if at_once.is_some() { Short } else { Planned };
        assert_eq!(went, way, "{sql} {parameters:?}");
        let short = match at_once {
            Some(outcome) => outcome,
            None => self.short.query_with(sql, parameters.to_vec()).await,
        };
        let aliased = sql
            .replace("INSERT INTO t ", "INSERT INTO t AS t ")
            .replace("UPDATE t ", "UPDATE t AS t ")
            .replace("DELETE FROM t ", "DELETE FROM t AS t ");
        assert_ne!(aliased, sql);
        assert!(crate::sql::parse_one(&aliased).unwrap().point().is_none());
        let planned = said(self.planned.query_with(&aliased, parameters.to_vec()).await);
        assert_eq!(said(short), planned, "{sql} {parameters:?}");
        let [a, b] = [rows(&self.short).await, rows(&self.planned).await];
        assert_eq!(a, b, "after {sql} {parameters:?}");
        planned
    }
}

/// The command's tag, or the error's kind and text.
fn said(outcome: Result<Output>) -> String {
    match outcome {
        Ok(Output::Done { tag, .. }) => tag.to_string(),
        Ok(Output::Rows { .. }) => "rows".into(),
        Err(error) => format!("{:?}: {}", error.kind, error.message),
    }
}

async fn rows(session: &Session) -> String {
    let Output::Rows { stream, .. } = session.query("SELECT * FROM t").await.unwrap() else {
        panic!("no rows")
    };
    let batches: Vec<_> = stream.try_collect().await.unwrap();
    let text = arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string();
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines.join("\n")
}

const KEYED: &str = "CREATE TABLE t (k BIGINT PRIMARY KEY, n INT NOT NULL DEFAULT 7, v TEXT, \
     s SMALLINT, d DOUBLE, r REAL, e DECIMAL(10, 2), b BOOLEAN, at TIMESTAMP, day DATE, u UUID, \
     w VECTOR(2), made TIMESTAMPTZ DEFAULT '2026-01-01 00:00:00Z', bin BYTEA)";

fn int(value: i64) -> ScalarValue {
    ScalarValue::Int64(Some(value))
}

fn text(value: &str) -> ScalarValue {
    ScalarValue::Utf8(Some(value.into()))
}

#[tokio::test(flavor = "multi_thread")]
async fn inserts() {
    let both = Both::new(KEYED).await;
    let none = ScalarValue::Null;
    for (way, sql, parameters) in [
        (Short, "INSERT INTO t (k, n, v) VALUES (1, 10, 'one')", vec![]),
        (Short, "INSERT INTO t (v, k) VALUES ('two', 2), (NULL, 3), (DEFAULT, -4)", vec![]),
        (Short, "INSERT INTO t VALUES ($1, $2, $3)", vec![int(5), int(50), text("five")]),
        (Short, "INSERT INTO t VALUES ($1, DEFAULT, $2)", vec![int(6), none.clone()]),
        (Short, "INSERT INTO t (k, d, r, e) VALUES (7, 1.5, 2.25, 12.345)", vec![]),
        (Short, "INSERT INTO t (k, d, r, e) VALUES (8, 3, -4, 5)", vec![]),
        (Short, "INSERT INTO t (k, v, b, s) VALUES (9, 9, 'yes', '12')", vec![]),
        (
            Short,
            "INSERT INTO t (k, at, day, u, w) VALUES (10, '2026-01-02 03:04:05', '2026-01-02', \
             'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '[1, 2.5]')",
            vec![],
        ),
        (
            Short,
            "INSERT INTO t (k, at, day, d, b, bin) VALUES ($1, $2, $3, $4, $5, $6)",
            vec![
                ScalarValue::Int16(Some(11)),
                ScalarValue::TimestampMicrosecond(Some(1_000_000), None),
                ScalarValue::Date32(Some(20_000)),
                ScalarValue::Float64(Some(-f64::NAN)),
                ScalarValue::Boolean(Some(false)),
                ScalarValue::Binary(Some(vec![1, 2])),
            ],
        ),
        (
            Short,
            "INSERT INTO t (k, at, v, e) VALUES ($1, $2, $3, $4)",
            vec![
                int(12),
                ScalarValue::TimestampNanosecond(Some(1_234_567_891), None),
                ScalarValue::Float64(Some(0.5)),
                ScalarValue::Float64(Some(0.125)),
            ],
        ),
        (Short, "INSERT INTO t (k, v) VALUES ($1, $2)", vec![int(13), ScalarValue::Int32(None)]),
        (Short, "INSERT INTO t (k, d) VALUES (14, $1)", vec![ScalarValue::Float64(Some(-0.0))]),
        // Rows that give a column values of several types.
        (Planned, "INSERT INTO t (k, v) VALUES (20, 'a'), (21, 5)", vec![]),
        (Planned, "INSERT INTO t (k, d) VALUES (22, 1.5), (23, 5)", vec![]),
        (Short, "INSERT INTO t (k, d) VALUES (24, 1.5), (25, 2.5)", vec![]),
        // What is not a value.
        (Planned, "INSERT INTO t (k, n) VALUES (30, 1 + 1)", vec![]),
        (Planned, "INSERT INTO t (k, made) VALUES (31, DATE '2026-01-02')", vec![]),
        (Planned, "INSERT INTO t (k) SELECT 32", vec![]),
        (Planned, "INSERT INTO t (k) VALUES (33) RETURNING k", vec![]),
        // What is wrong.
        (Short, "INSERT INTO t (k, n) VALUES (1, 5)", vec![]),
        (Short, "INSERT INTO t (k, n) VALUES (40, 5), (40, 6)", vec![]),
        (Planned, "INSERT INTO t (k, n) VALUES (41, NULL)", vec![]),
        (Planned, "INSERT INTO t (k) VALUES (NULL)", vec![]),
        (Planned, "INSERT INTO t (n) VALUES (5)", vec![]),
        (Planned, "INSERT INTO t (k, n) VALUES (42, 3000000000)", vec![]),
        (Planned, "INSERT INTO t (k, n) VALUES (42, 'many')", vec![]),
        (Planned, "INSERT INTO t (k, b) VALUES (42, 1)", vec![]),
        (Planned, "INSERT INTO t (k, w) VALUES (42, '[1, 2, 3]')", vec![]),
        (Planned, "INSERT INTO t (k, s) VALUES (42, $1)", vec![int(70_000)]),
        (Planned, "INSERT INTO t (k, n) VALUES (42, $1)", vec![ScalarValue::Boolean(None)]),
        (Planned, "INSERT INTO t (k, n) VALUES (42, $2)", vec![int(1)]),
        (Planned, "INSERT INTO t (k, nothing) VALUES (42, 1)", vec![]),
        (Planned, "INSERT INTO t (k, k) VALUES (42, 1)", vec![]),
        (Planned, "INSERT INTO t (k, n) VALUES (42)", vec![]),
        (Planned, "INSERT INTO t (k, n) VALUES (42, 1), (43)", vec![]),
    ] {
        both.run(way, sql, &parameters).await;
    }
    both.execute("CALL sheaf.flush()").await;
    let said = both.run(Short, "INSERT INTO t (k, n) VALUES (1, 5)", &[]).await;
    assert_eq!(said, "UniqueViolation: duplicate key (k)=(1) in table 't'");
}

#[tokio::test(flavor = "multi_thread")]
async fn inserts_into_append_tables() {
    let both = Both::new(
        "CREATE TABLE t (at TIMESTAMPTZ, n INT NOT NULL, v TEXT DEFAULT 'none', w VECTOR(2)) \
         PARTITION BY time_bucket('1 day', at)",
    )
    .await;
    let now = ScalarValue::TimestampMicrosecond(Some(5), Some("UTC".into()));
    for (way, sql, parameters) in [
        (Short, "INSERT INTO t VALUES ('2026-01-01 00:00:00Z', 1, 'a', '[1, 2]')", vec![]),
        (Short, "INSERT INTO t (n, at) VALUES (2, $1), (3, NULL), (4, $1)", vec![now]),
        (Short, "INSERT INTO t (n, w) VALUES (5, NULL), (6, '[3, 4]')", vec![]),
        (Planned, "INSERT INTO t (n) VALUES (NULL)", vec![]),
        (Planned, "INSERT INTO t (v) VALUES ('no n')", vec![]),
        (Planned, "INSERT INTO t (n) VALUES (1) ON CONFLICT DO NOTHING", vec![]),
        (Planned, "UPDATE t SET v = 'b' WHERE n = 1", vec![]),
        (Planned, "DELETE FROM t WHERE n = 2", vec![]),
    ] {
        both.run(way, sql, &parameters).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn upserts() {
    let both = Both::new(
        "CREATE TABLE t (a TEXT, b INT, n INT, m BIGINT NOT NULL DEFAULT 1, v TEXT, \
         PRIMARY KEY (b, a))",
    )
    .await;
    let all = "ON CONFLICT (a, b) DO UPDATE SET n = excluded.n, m = excluded.m, v = excluded.v";
    let add = "ON CONFLICT (b, a) DO UPDATE SET";
    let insert = |rest: &str| format!("INSERT INTO t (a, b, n) VALUES {rest}");
    for _ in 0..2 {
        for (way, sql, parameters) in [
            (Short, insert("('x', 1, 5) ON CONFLICT DO NOTHING"), vec![]),
            (Short, insert("('x', 1, 6), ('y', 1, 6) ON CONFLICT (a, b) DO NOTHING"), vec![]),
            (Short, insert("('z', 1, 6), ('z', 1, 7) ON CONFLICT (a, b) DO NOTHING"), vec![]),
            (Planned, insert("('x', 1, 6) ON CONFLICT (a) DO NOTHING"), vec![]),
            (Short, insert(&format!("('x', 1, 8), ('new', 1, 9) {all}")), vec![]),
            (Planned, insert(&format!("('x', 1, 8), ('x', 1, 9) {all}")), vec![]),
            (Planned, insert(&format!("('x', 1, 8) {all} WHERE t.n > 100")), vec![]),
            // Counters.
            (Short, insert(&format!("('c', 2, 1) {add} n = t.n + excluded.n")), vec![]),
            (Short, insert(&format!("('c', 2, 1) {add} n = excluded.n + t.n")), vec![]),
            (Short, insert(&format!("('c', 2, 1) {add} n = t.n - 5, v = 'seen'")), vec![]),
            (Short, insert(&format!("('c', 2, 1) {add} m = t.m + $1")), vec![int(7)]),
            (Short, insert(&format!("('d', 2, NULL) {add} n = t.n + excluded.n")), vec![]),
            (Short, insert(&format!("('c', 2, 1) {add} m = excluded.m, n = DEFAULT")), vec![]),
            (Planned, insert(&format!("('c', 2, 1) {add} n = n + 1")), vec![]),
            (Planned, insert(&format!("('c', 2, 1) {add} m = t.m + excluded.n")), vec![]),
            (Planned, insert(&format!("('c', 2, 1) {add} m = t.m * 2")), vec![]),
            (Planned, insert(&format!("('c', 2, 1) {add} b = 3")), vec![]),
            (Planned, insert(&format!("('c', 2, 1), ('d', 2, 1) {add} n = t.n + 1")), vec![]),
        ] {
            both.run(way, &sql, &parameters).await;
        }
        both.execute("CALL sheaf.flush()").await;
    }
    // What does not fit, the planner says.
    for sql in [
        insert(&format!("('c', 2, 1) {add} n = t.n + 2147483647")),
        insert(&format!("('c', 2, 2147483647) {add} n = t.n + excluded.n")),
        insert(&format!("('c', 2, 1) {add} m = NULL")),
        insert("(NULL, 2, 1) ON CONFLICT DO NOTHING"),
    ] {
        both.execute(
            "INSERT INTO t (a, b, n) VALUES ('c', 2, 9) ON CONFLICT (a, b) DO UPDATE SET n = 9",
        )
        .await;
        let said = both.run(Planned, &sql, &[]).await;
        assert!(said.contains("Violation") || said.contains("OutOfRange"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn updates() {
    let both = Both::new(&format!(
        "{KEYED}; INSERT INTO t (k, n, v, d, s) VALUES (1, 10, 'one', 1.5, 32000), \
         (2, 20, 'two', NULL, NULL), (3, 30, NULL, 0, 1)"
    ))
    .await;
    let float = ScalarValue::Float64(Some(1.5));
    for _ in 0..2 {
        for (way, sql, parameters) in [
            (Short, "UPDATE t SET v = 'uno' WHERE k = 1", vec![]),
            (Short, "UPDATE t SET v = $2, n = $1 WHERE $3 = k", vec![int(5), text("x"), int(2)]),
            (Short, "UPDATE t SET n = n + 1, s = s - $1 WHERE k = 1", vec![int(2)]),
            (Short, "UPDATE t SET n = 1 + t.n, v = NULL, at = '2026-01-01' WHERE k = 2", vec![]),
            (Short, "UPDATE t SET n = n - 100 WHERE k = 2", vec![]),
            (Short, "UPDATE t SET s = s + 1 WHERE k = 2", vec![]),
            (Short, "UPDATE t SET n = DEFAULT, made = DEFAULT, d = 2 WHERE k = 3", vec![]),
            (Short, "UPDATE t SET n = 1 WHERE k = 99", vec![]),
            (Planned, "UPDATE t SET n = NULL WHERE k = 99", vec![]),
            // Compare and set.
            (Short, "UPDATE t SET v = 'x' WHERE k = 3 AND v = 'y'", vec![]),
            (Short, "UPDATE t SET v = 'y' WHERE v = 'x' AND k = 2", vec![]),
            (Short, "UPDATE t SET v = $1 WHERE k = 1 AND v = $2", vec![text("1"), text("uno")]),
            (Short, "UPDATE t SET n = n + 1 WHERE k = 1 AND n = 99 AND v = '1'", vec![]),
            // For the planner.
            (Planned, "UPDATE t SET v = 'x' WHERE k = 1 AND v = NULL", vec![]),
            (Planned, "UPDATE t SET v = 'x' WHERE k = 1 AND d = $1", vec![float.clone()]),
            (Planned, "UPDATE t SET v = 'x' WHERE k = 1 AND n = 1.0", vec![]),
            (Planned, "UPDATE t SET v = 'x' WHERE k = 1 AND n > 1", vec![]),
            (Planned, "UPDATE t SET v = 'x' WHERE k = 1 AND k = 2", vec![]),
            (Planned, "UPDATE t SET v = 'x' WHERE k = $1", vec![ScalarValue::Int64(None)]),
            (Planned, "UPDATE t SET v = 'x' WHERE k = $1", vec![float.clone()]),
            (Planned, "UPDATE t SET v = 'x' WHERE k = '1'", vec![]),
            (Planned, "UPDATE t SET v = v || 'x' WHERE k = 1", vec![]),
            (Planned, "UPDATE t SET n = s + 1 WHERE k = 1", vec![]),
            (Planned, "UPDATE t SET d = d + 1 WHERE k = 1", vec![]),
            (Planned, "UPDATE t SET n = n + $1 WHERE k = 1", vec![ScalarValue::Int64(None)]),
            (Planned, "UPDATE t SET k = 4 WHERE k = 99", vec![]),
            (Planned, "UPDATE t SET v = 'x' WHERE n = 1", vec![]),
            (Planned, "UPDATE t SET n = 1 WHERE k = 1 RETURNING n", vec![]),
            // What is wrong.
            (Planned, "UPDATE t SET n = 3000000000 WHERE k = 1", vec![]),
            (Planned, "UPDATE t SET n = n + 2147483647 WHERE k = 1", vec![]),
            (Planned, "UPDATE t SET s = s + 32767 WHERE k = 1", vec![]),
            (Planned, "UPDATE t SET n = NULL WHERE k = 1", vec![]),
            (Planned, "UPDATE t SET n = 1, n = 2 WHERE k = 1", vec![]),
            (Planned, "UPDATE t SET n = 'many' WHERE k = 1", vec![]),
            (Planned, "UPDATE t SET m = 1 WHERE k = 1", vec![]),
            (Planned, "UPDATE t SET n = 1 WHERE m = 1", vec![]),
        ] {
            both.run(way, sql, &parameters).await;
        }
        both.execute("CALL sheaf.flush()").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deletes() {
    let both = Both::new(
        "CREATE TABLE t (a TEXT, b DOUBLE, n INT, PRIMARY KEY (a, b)); \
         INSERT INTO t VALUES ('x', 1, 1), ('y', 0.0, 2), ('z', 3, 3), ('w', 4, 4), ('v', 5, 5)",
    )
    .await;
    let float = |value| ScalarValue::Float64(Some(value));
    for (way, parameters, expected) in [
        (Short, vec![text("x"), float(1.0)], "DELETE 1"),
        (Short, vec![text("x"), float(1.0)], "DELETE 0"),
        (Short, vec![text("nobody"), float(1.0)], "DELETE 0"),
        (Planned, vec![text("y"), float(-0.0)], "DELETE 1"),
        (Planned, vec![text("z"), int(3)], "DELETE 1"),
        (Planned, vec![ScalarValue::Utf8(None), float(3.0)], "DELETE 0"),
    ] {
        let sql = "DELETE FROM t WHERE a = $1 AND b = $2";
        assert_eq!(both.run(way, sql, &parameters).await, expected, "{parameters:?}");
        both.execute("CALL sheaf.flush()").await;
    }
    for sql in [
        "DELETE FROM t WHERE a = 'v'",
        "DELETE FROM t WHERE a = 'w' AND b = 4.0 AND n = 5",
        "DELETE FROM t WHERE a = 'w' AND c = 4.0",
        "DELETE FROM t WHERE a = 'w' OR b = 4.0",
    ] {
        both.run(Planned, sql, &[]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn views_missing_tables_and_readers_are_the_planners() {
    let both = Both::new("CREATE VIEW t AS SELECT 1 AS k").await;
    assert!(both.run(Planned, "INSERT INTO t VALUES (1)", &[]).await.contains("is a view"));
    both.execute("DROP VIEW t").await;
    let sql = "DELETE FROM nowhere WHERE k = 1";
    let said = said(both.short.query(sql).await);
    assert_eq!(said, "UndefinedTable: table 'nowhere' not found");
}

#[test]
fn the_durability_is_the_sessions() {
    for (durability, survives) in [(None, true), (Some(Durability::None), false)] {
        let vfs = MemoryVfs::new();
        let open = |vfs: MemoryVfs| {
            let options = Options { background: false, ..Options::default() };
            Store::open_in(Environment::system(Arc::new(vfs)), options).unwrap()
        };
        let store = open(vfs.clone());
        let column = NewColumn {
            name: "k".into(),
            data_type: DataType::Int64,
            nullable: false,
            default_sql: None,
            missing: None,
        };
        let table = NewTable {
            primary_key: vec!["k".into()],
            ..NewTable::new(SchemaId(1), "t", vec![column])
        };
        store.change_catalog(CatalogChange::CreateTable(table)).unwrap();
        let settings = Settings { durability, ..Settings::new(Arc::clone(store.memory())) };
        let insert = crate::sql::parse_one("INSERT INTO t VALUES (1)").unwrap().point().unwrap();
        assert_eq!(said(insert.run(&store, &settings, &[]).map(Option::unwrap)), "INSERT 0 1");
        let delete = crate::sql::parse_one("DELETE FROM t WHERE k = 1").unwrap().point().unwrap();
        let left = open(vfs.power_cut());
        let found = said(delete.run(&left, &settings, &[]).map(Option::unwrap));
        assert_eq!(found, if survives { "DELETE 1" } else { "DELETE 0" });
    }
}
