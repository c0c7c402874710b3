//! What a program brings to its statements: relations, functions, and a moment to read at.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::DataType;
use arrow::util::display::array_value_to_string;
use sheafdb::datafusion::datasource::MemTable;
use sheafdb::datafusion::error::DataFusionError;
use sheafdb::datafusion::logical_expr::{ColumnarValue, Volatility, create_udf};
use sheafdb::datafusion::prelude::SessionContext;
use sheafdb::{Action, Change, ErrorKind, Relation, Relations, ScalarValue, Subquery};

use crate::support::{rows, run, session};

fn numbers(values: &[i64]) -> Relation {
    let column: ArrayRef = Arc::new(Int64Array::from(values.to_vec()));
    let batch = RecordBatch::try_from_iter([("n", column)]).unwrap();
    Relation::Table(Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap()))
}

fn relations<const N: usize>(named: [(&str, Relation); N]) -> Relations {
    named.into_iter().map(|(name, relation)| (name.to_owned(), relation)).collect()
}

#[tokio::test]
async fn statements_read_relations_of_the_program() {
    let session = session();
    run(&session, "CREATE TABLE t (n BIGINT PRIMARY KEY)").await;
    let known = session.with_relations(relations([("mine", numbers(&[1, 2, 3]))]));
    assert_eq!(
        rows(&known, "INSERT INTO t SELECT n FROM mine WHERE n > 1 RETURNING n").await.unwrap(),
        ["2", "3"]
    );
    assert_eq!(rows(&known, "SELECT count(*) FROM t JOIN mine USING (n)").await.unwrap(), ["2"]);
    // They come before tables, with and without a plan, and for this handle only.
    let known = session.with_relations(relations([("t", numbers(&[7]))]));
    assert_eq!(rows(&known, "SELECT n FROM t").await.unwrap(), ["7"]);
    assert_eq!(rows(&known, "SELECT n FROM t WHERE n = 7").await.unwrap(), ["7"]);
    assert_eq!(rows(&known, "SELECT n FROM public.t ORDER BY n").await.unwrap(), ["2", "3"]);
    assert_eq!(rows(&session, "SELECT n FROM t ORDER BY n").await.unwrap(), ["2", "3"]);
    // They are not for writing, and stored views do not stand on them.
    let error = known.query("DELETE FROM t").await.unwrap_err();
    assert!(error.message.contains("'t' is a relation of the program"), "{error}");
    let error = known.query("CREATE VIEW v AS SELECT n FROM t").await.unwrap_err();
    assert!(error.message.contains("cannot read the relation of the program 't'"), "{error}");
}

#[tokio::test]
async fn queries_stand_on_queries() {
    let session = session();
    run(&session, "CREATE TABLE t AS SELECT n FROM range(10) AS r(n)").await;
    let query = |sql: &str, parameters: Vec<ScalarValue>, relations| {
        Relation::Query(Arc::new(Subquery { sql: sql.into(), parameters, relations }))
    };
    let small = query("SELECT n FROM t WHERE n < $1", vec![5_i64.into()], Relations::default());
    let even = query(
        "SELECT n FROM this WHERE n % $1 = 0",
        vec![2_i64.into()],
        relations([("this", small)]),
    );
    let known = session.with_relations(relations([("this", even)]));
    assert_eq!(rows(&known, "SELECT sum(n) FROM this").await.unwrap(), ["6"]);
    // One plan: the conditions reach the table.
    let plan = rows(&known, "EXPLAIN SELECT n FROM this WHERE n > 1").await.unwrap().join("\n");
    let scan = plan.lines().find(|line| line.contains("SheafScan")).unwrap_or_default();
    assert!(scan.contains("n < 5") && scan.contains("n > 1"), "{plan}");
    // A stored view means what it meant when it was made.
    run(&session, "CREATE VIEW v AS SELECT count(*) AS c FROM t").await;
    let known = session.with_relations(relations([("t", numbers(&[]))]));
    assert_eq!(rows(&known, "SELECT c FROM v").await.unwrap(), ["10"]);
}

#[tokio::test]
async fn a_relation_cannot_stand_on_itself_without_end() {
    let session = session();
    let mut relation = numbers(&[1]);
    for _ in 0..40 {
        let sql = "SELECT n FROM this".to_owned();
        let relations = relations([("this", relation)]);
        relation = Relation::Query(Arc::new(Subquery { sql, parameters: vec![], relations }));
    }
    let known = session.with_relations(relations([("this", relation)]));
    let error = known.query("SELECT n FROM this").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::LimitExceeded);
}

#[tokio::test]
async fn a_pinned_session_reads_one_moment() {
    let session = session();
    run(&session, "CREATE TABLE t (n BIGINT PRIMARY KEY, v TEXT)").await;
    run(&session, "INSERT INTO t VALUES (1, 'a'), (2, 'b')").await;
    let before = session.pinned().unwrap();
    run(&session, "UPDATE t SET v = 'z' WHERE n = 1").await;
    run(&session, "DELETE FROM t WHERE n = 2; CALL sheaf.flush('t'); CALL sheaf.compact('t')")
        .await;
    assert_eq!(rows(&before, "SELECT v FROM t ORDER BY n").await.unwrap(), ["a", "b"]);
    assert_eq!(rows(&before, "SELECT v FROM t WHERE n = 1").await.unwrap(), ["a"]);
    assert_eq!(
        before
            .prepare("SELECT v FROM t WHERE n = 2")
            .unwrap()
            .run(vec![])
            .await
            .unwrap()
            .collect()
            .await
            .unwrap()[0]
            .num_rows(),
        1
    );
    assert_eq!(rows(&session, "SELECT v FROM t").await.unwrap(), ["z"]);
    assert!(before.pinned_version() < session.pinned().unwrap().pinned_version());
    for sql in [
        "INSERT INTO t VALUES (3, 'c')",
        "UPDATE t SET v = 'y' WHERE n = 1",
        "CREATE TABLE u (n INT)",
        "DROP TABLE t",
        "CALL sheaf.flush('t')",
        "COPY t FROM 'x.csv'",
        "CREATE USER ada PASSWORD 'x'",
    ] {
        let error = before.execute(sql).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::ReadOnly, "{sql}: {error}");
    }
    run(&before, "SET statement_timeout = '10 s'").await;
}

#[tokio::test]
async fn functions_of_the_program_are_the_sessions() {
    let session = session();
    let double = create_udf(
        "double_it",
        vec![DataType::Int64],
        DataType::Int64,
        Volatility::Immutable,
        Arc::new(|arguments: &[ColumnarValue]| {
            let columns = ColumnarValue::values_to_arrays(arguments)?;
            Ok(ColumnarValue::Array(arrow::compute::kernels::numeric::add(
                &columns[0],
                &columns[0],
            )?))
        }),
    );
    session.register_function(double).unwrap();
    assert_eq!(
        rows(&session, "SELECT double_it(n) FROM (VALUES (1), (NULL)) AS t(n)").await.unwrap(),
        ["2", "NULL"]
    );
    run(&session, "RESET ALL").await;
    assert_eq!(rows(&session, "SELECT double_it(4)").await.unwrap(), ["8"]);
    let other = session.database().session();
    assert_eq!(
        other.query("SELECT double_it(1)").await.unwrap_err().kind,
        ErrorKind::UndefinedFunction
    );
}

#[tokio::test]
async fn names_that_the_database_knows() {
    let session = session();
    run(&session, "CREATE TABLE t (n INT); CREATE VIEW v AS SELECT 1 AS one").await;
    run(&session, "CREATE TEMPORARY TABLE mine (n INT)").await;
    for (name, known) in [("t", true), ("v", true), ("mine", true), ("other", false)] {
        assert_eq!(session.knows(name).unwrap(), known, "{name}");
    }
    assert!(!session.database().session().knows("mine").unwrap());
    assert_eq!(session.table("public.t").unwrap().name, "t");
    assert_eq!(session.table("nothing").unwrap_err().kind, ErrorKind::UndefinedTable);
    let statement = session.prepare("SELECT * FROM t, other").unwrap();
    assert!(statement.is_query());
    let mut names = statement.names().unwrap();
    names.sort();
    assert_eq!(names, ["other", "t"]);
}

#[tokio::test]
async fn tables_change_together_or_not_at_all() {
    let session = session();
    run(&session, "CREATE TABLE accounts (id BIGINT PRIMARY KEY, owner TEXT DEFAULT 'nobody')")
        .await;
    run(&session, "CREATE TABLE events (account BIGINT, what TEXT NOT NULL)").await;
    let change = |table: &str, action, columns: Vec<(&str, ArrayRef)>| Change {
        table: table.into(),
        action,
        rows: RecordBatch::try_from_iter(columns).unwrap(),
    };
    let ids = |ids: &[i32]| -> ArrayRef { Arc::new(Int32Array::from(ids.to_vec())) };
    let texts =
        |texts: &[Option<&str>]| -> ArrayRef { Arc::new(StringArray::from(texts.to_vec())) };
    let commit = session
        .write(vec![
            change("accounts", Action::Insert, vec![("id", ids(&[1, 2]))]),
            change(
                "events",
                Action::Insert,
                vec![("what", texts(&[Some("made")])), ("account", ids(&[1]))],
            ),
        ])
        .await
        .unwrap();
    assert_eq!(commit.inserted, 3);
    session
        .write(vec![
            change(
                "accounts",
                Action::Upsert,
                vec![("id", ids(&[2, 3])), ("owner", texts(&[Some("ada"), None]))],
            ),
            change("public.accounts", Action::Delete, vec![("id", ids(&[1, 9]))]),
        ])
        .await
        .unwrap();
    let accounts = "SELECT id, owner FROM accounts ORDER BY id";
    assert_eq!(rows(&session, accounts).await.unwrap(), ["2 ada", "3 NULL"]);
    for (refused, kind) in [
        (
            change(
                "events",
                Action::Insert,
                vec![("what", texts(&[None])), ("account", ids(&[1]))],
            ),
            ErrorKind::NotNullViolation,
        ),
        (change("accounts", Action::Insert, vec![("id", ids(&[3]))]), ErrorKind::UniqueViolation),
        (
            change("events", Action::Upsert, vec![("account", ids(&[3]))]),
            ErrorKind::InvalidStatement,
        ),
        (
            change("accounts", Action::Delete, vec![("owner", texts(&[Some("ada")]))]),
            ErrorKind::InvalidStatement,
        ),
        (
            change(
                "accounts",
                Action::Delete,
                vec![("id", ids(&[2])), ("owner", texts(&[Some("x")]))],
            ),
            ErrorKind::InvalidStatement,
        ),
        (change("accounts", Action::Insert, vec![("idd", ids(&[7]))]), ErrorKind::UndefinedColumn),
        (change("nothing", Action::Insert, vec![("id", ids(&[7]))]), ErrorKind::UndefinedTable),
    ] {
        let first = change("accounts", Action::Insert, vec![("id", ids(&[7]))]);
        let error = session.write(vec![first, refused]).await.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert_eq!(rows(&session, accounts).await.unwrap().len(), 2);
    }
    assert_eq!(
        session.pinned().unwrap().write(vec![]).await.unwrap_err().kind,
        ErrorKind::ReadOnly
    );
}

#[tokio::test]
async fn another_datafusion_reads_queries() {
    let session = session();
    run(&session, "CREATE TABLE t (n BIGINT PRIMARY KEY, s TEXT)").await;
    run(&session, "INSERT INTO t SELECT n, 's' || n % 3 FROM range(1000) AS r(n)").await;
    let query = session.prepare("SELECT s, n FROM t WHERE n >= $1").unwrap();
    let mounted = query.mounted(vec![10_i64.into()]).await.unwrap();
    let other = SessionContext::new();
    other.register_table("theirs", mounted).unwrap();
    let ask = async |sql: &str| {
        let batches = other.sql(sql).await.unwrap().collect().await?;
        let text = |batch: &RecordBatch| {
            let column = batch.column(0);
            (0..column.len())
                .map(|row| array_value_to_string(column, row).unwrap())
                .collect::<Vec<_>>()
        };
        Ok::<_, DataFusionError>(batches.iter().flat_map(text).collect::<Vec<_>>())
    };
    assert_eq!(ask("SELECT count(*) FROM theirs").await.unwrap(), ["990"]);
    assert_eq!(ask("SELECT n FROM theirs WHERE n < 12 ORDER BY n").await.unwrap(), ["10", "11"]);
    assert_eq!(ask("SELECT n FROM theirs LIMIT 5").await.unwrap().len(), 5);
    let theirs = "SELECT sum(n) FROM theirs WHERE upper(s) = 'S1' AND n BETWEEN 10 AND 20";
    assert_eq!(ask(theirs).await.unwrap(), ["58"]);
    // Conditions go into the scan of the table, and are looked at again.
    let plan = other.sql("EXPLAIN SELECT n FROM theirs WHERE n < 12").await.unwrap();
    let plan = format!("{:?}", plan.collect().await.unwrap());
    assert!(plan.contains("partial_filters=[theirs.n < Int64(12)]"), "{plan}");
    // Each scan sees the newest rows.
    run(&session, "DELETE FROM t WHERE n > 10").await;
    assert_eq!(ask("SELECT s FROM theirs").await.unwrap(), ["s1"]);
}

#[tokio::test]
async fn what_is_no_query_of_distinct_columns_is_not_mounted() {
    let session = session();
    run(&session, "CREATE TABLE t (n BIGINT PRIMARY KEY, s TEXT)").await;
    for (sql, kind) in [
        ("SELECT a.n, b.n FROM t a, t b", ErrorKind::DuplicateObject),
        ("DELETE FROM t RETURNING n", ErrorKind::InvalidStatement),
        ("SHOW TABLES", ErrorKind::InvalidStatement),
    ] {
        let error = session.prepare(sql).unwrap().mounted(Vec::new()).await.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
    }
    let mounted = session.prepare("SELECT * FROM t").unwrap().mounted(Vec::new()).await.unwrap();
    run(&session, "ALTER TABLE t ADD COLUMN more INT").await;
    let other = SessionContext::new();
    other.register_table("theirs", mounted).unwrap();
    let error = other.sql("SELECT n FROM theirs").await.unwrap().collect().await.unwrap_err();
    assert!(error.to_string().contains("no longer what they were"), "{error}");
}

#[test]
fn statements_that_only_count_are_known() {
    let session = session();
    for (sql, only_counts) in [
        ("INSERT INTO t VALUES (1)", true),
        ("UPDATE t SET n = 1", true),
        ("DELETE FROM t", true),
        ("DELETE FROM t RETURNING n", false),
        ("SELECT 1", false),
        ("CREATE TABLE u (n INT)", false),
    ] {
        assert_eq!(session.prepare(sql).unwrap().only_counts(), only_counts, "{sql}");
    }
}
