//! Joins that are made in another order than the query names them.

use std::path::Path;

use proptest::prelude::*;
use sheafdb::{Database, Session};

use crate::support;

/// Keys `k`, and columns that refer to the keys of smaller tables; some are NULL.
const TABLES: [(&str, &str); 3] = [
    ("small", "SELECT k, nullif(k % 5, 4) AS g, 'n' || k AS s FROM generate_series(0, 19) t(k)"),
    (
        "middle",
        "SELECT k, nullif(k % 23, 22) AS g, 'n' || (k % 20) AS s FROM generate_series(0, 1999) t(k)",
    ),
    (
        "large",
        "SELECT k, nullif(k % 2100, 7) AS g, 'n' || (k % 40) AS s FROM generate_series(0, 19999) t(k)",
    ),
];

/// A database with the tables, and each of them as an Arrow file in `folder`: of files
/// the planner knows nothing, so it joins them as it is told.
fn database(folder: &Path) -> Session {
    let session = Database::in_memory().unwrap().session();
    for (name, query) in TABLES {
        let file = folder.join(format!("{name}.arrow"));
        for statement in [
            format!("CREATE TABLE {name} AS {query}"),
            format!("COPY {name} TO '{}'", file.display()),
            format!("CALL sheaf.flush('{name}')"),
        ] {
            session.execute_blocking(&statement).unwrap();
        }
    }
    session
}

fn rows(session: &Session, sql: &str) -> Vec<String> {
    let rows = session.block_on(support::rows(session, sql)).unwrap();
    rows.unwrap_or_else(|error| panic!("{error}\n{sql}"))
}

/// How a table is joined to one of those before it.
#[derive(Clone, Debug)]
struct Step {
    table: usize,
    to: prop::sample::Index,
    condition: usize,
    kind: usize,
    keys: (i64, i64),
}

fn step() -> impl Strategy<Value = Step> {
    let keys = (0_i64..40, 1_i64..60);
    (0..TABLES.len(), any::<prop::sample::Index>(), 0_usize..8, 0_usize..9, keys)
        .prop_map(|(table, to, condition, kind, keys)| Step { table, to, condition, kind, keys })
}

/// The query, over tables whose names `source` gives.
fn query(steps: &[Step], source: &dyn Fn(usize) -> String) -> String {
    let mut from = String::new();
    let mut conditions = Vec::new();
    let mut sums = vec!["count(*)".to_owned()];
    let mut joined: Vec<String> = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let (a, table) = (format!("t{index}"), source(step.table));
        let (first, length) = step.keys;
        if index == 0 {
            from = format!("{table} {a}");
        } else {
            let b = step.to.get(&joined);
            let on = match step.condition {
                0 | 1 => format!("{a}.k = {b}.k"),
                2 => format!("{a}.g = {b}.k"),
                3 => format!("{a}.g = {b}.g AND {a}.s = {b}.s"),
                4 => format!("{a}.k = {b}.g"),
                5 => format!("{a}.k = {b}.k + 1 AND {a}.g <> {b}.g"),
                6 => format!("{a}.s = {b}.s AND {a}.k < {b}.k + 7"),
                _ => format!("{a}.k = {b}.k AND {a}.g = {b}.g"),
            };
            let tested = format!("(SELECT 1 FROM {table} {a} WHERE {on} AND {a}.k >= {first})");
            match step.kind {
                0 => from = format!("{from} LEFT JOIN {table} {a} ON {on}"),
                1 => {
                    conditions.push(format!("EXISTS {tested}"));
                    continue;
                }
                2 => {
                    conditions.push(format!("NOT EXISTS {tested}"));
                    continue;
                }
                3 => {
                    conditions.push(format!("{b}.k IN (SELECT g FROM {table} WHERE k > {first})"));
                    continue;
                }
                4 => {
                    conditions.push(format!("(EXISTS {tested} OR {b}.k > {first})"));
                    continue;
                }
                5 => {
                    from = format!("{from} CROSS JOIN {table} {a}");
                    conditions.extend([on, format!("{a}.k < {}", first + 30)]);
                }
                _ => from = format!("{from} JOIN {table} {a} ON {on}"),
            }
        }
        if index == 0 || step.kind > 5 {
            conditions.push(format!("{a}.k BETWEEN {first} AND {}", first + length));
        }
        sums.extend([format!("sum({a}.k)"), format!("count({a}.g)"), format!("max({a}.s)")]);
        joined.push(a);
    }
    format!("SELECT {} FROM {from} WHERE {}", sums.join(", "), conditions.join(" AND "))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_order_returns_the_same(steps in prop::collection::vec(step(), 3..7)) {
        thread_local! {
            static OPEN: (tempfile::TempDir, Session) = {
                let folder = tempfile::tempdir().unwrap();
                let session = database(folder.path());
                (folder, session)
            };
        }
        OPEN.with(|(folder, session)| -> Result<(), TestCaseError> {
            let sql = query(&steps, &|table| TABLES[table].0.to_owned());
            let as_told = query(&steps, &|table| {
                format!("'{}'", folder.path().join(format!("{}.arrow", TABLES[table].0)).display())
            });
            prop_assert_eq!(rows(session, &sql), rows(session, &as_told), "{}", sql);
            Ok(())
        })?;
    }
}

/// The tables of a plan in the order in which their scans are shown.
fn scans(session: &Session, sql: &str) -> Vec<String> {
    let plan = rows(session, &format!("EXPLAIN {sql}")).join("\n");
    let name = |part: &str| part.split(',').next().unwrap_or_default().to_owned();
    plan.split("SheafScan: table=public.").skip(1).map(name).collect()
}

#[test]
fn tables_are_joined_by_what_they_leave() {
    let folder = tempfile::tempdir().unwrap();
    let session = database(folder.path());
    // The two that have nothing in common would be compared row by row if they came first.
    let star = "SELECT count(*), max(l.s) FROM large l, middle m, small s \
        WHERE l.k = m.k AND l.g = s.k AND m.g = 3";
    assert_eq!(scans(&session, star), ["small", "middle", "large"]);
    // `large` and `middle` have many rows in common, `large` and `small` few.
    let chain = "SELECT count(*) FROM large l JOIN middle m ON l.g = m.g JOIN small s ON s.k = l.g";
    assert_eq!(scans(&session, chain), ["small", "large", "middle"]);
    // The test comes before the join that it makes smaller.
    let test = "SELECT count(*), max(m.s) FROM large l JOIN middle m ON l.g = m.k \
        WHERE m.k IN (SELECT k FROM small) AND m.g > 0";
    assert_eq!(scans(&session, test), ["small", "middle", "large"]);
}

#[test]
fn columns_that_nobody_wants_do_not_travel() {
    let folder = tempfile::tempdir().unwrap();
    let session = database(folder.path());
    let sql = "EXPLAIN SELECT count(*) FROM large l JOIN middle m ON l.g = m.k \
        JOIN small s ON m.g = s.k WHERE s.s = 'n3'";
    let plan = rows(&session, sql).join("\n");
    for scan in ["table=public.large", "table=public.middle", "table=public.small"] {
        let at = plan.find(scan).unwrap();
        let projection = plan[at..].split("projection=[").nth(1).unwrap();
        let columns = projection.split(']').next().unwrap();
        assert!(!columns.contains('s'), "{scan}: {columns}");
    }
}

#[test]
fn what_cannot_be_moved_stays() {
    let folder = tempfile::tempdir().unwrap();
    let session = database(folder.path());
    // NOT IN with a NULL on its right side is never true.
    let not_in = "SELECT count(*) FROM small s JOIN middle m ON m.k = s.k JOIN large l ON l.k = m.k \
        WHERE s.k NOT IN (SELECT g FROM middle)";
    assert_eq!(rows(&session, not_in), ["0"]);
    let random = "SELECT count(*) FROM small s JOIN middle m ON m.k = s.k JOIN large l ON l.k = m.k \
        AND random() >= 0";
    assert_eq!(rows(&session, random), ["20"]);
    let crossed =
        "SELECT count(*), sum(a.k) FROM small a, small b, small c WHERE a.k < 2 AND b.k < 3";
    assert_eq!(rows(&session, crossed), ["120 60"]);
}

/// All three tables of the inner joins have a `g` and an `s`; by its name, the filter on
/// those of `b` would reach `a`.
#[test]
fn a_filter_reaches_its_own_column() {
    let folder = tempfile::tempdir().unwrap();
    let session = database(folder.path());
    let sql = "SELECT count(*), sum(a.k), count(a.g), max(a.s), sum(b.k), count(c.s), sum(d.k) \
        FROM middle a LEFT JOIN middle b ON b.g = a.k JOIN small c ON c.g = a.k \
        JOIN small d ON d.g = b.g AND d.s = b.s \
        WHERE a.k BETWEEN 0 AND 7 AND c.k BETWEEN 0 AND 7 \
        AND EXISTS (SELECT 1 FROM large e WHERE e.k = d.k + 1 AND e.g <> d.g AND e.k >= 2)";
    assert_eq!(rows(&session, sql), ["108 154 108 n3 105839 108 1059"]);
}

#[test]
fn names_that_tables_share_come_out_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let session = database(folder.path());
    let sql = "SELECT * FROM small a JOIN small b USING (k) JOIN (SELECT k, s FROM middle) c \
        ON c.k = b.k WHERE a.k = 3";
    let output = session.query_blocking(sql, vec![]).unwrap();
    let schema = output.schema().cloned().unwrap();
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["k", "g", "s", "g", "s", "k", "s"]);
    assert_eq!(rows(&session, sql), ["3 3 n3 3 n3 3 n3"]);
    let grouped = "SELECT a.s, count(*) OVER (PARTITION BY b.g) AS n, max(b.k) FROM small a \
        JOIN middle b ON a.k = b.k JOIN large c ON c.k = b.k GROUP BY a.s, b.g \
        HAVING max(b.k) > 17 ORDER BY a.s, 3 LIMIT 3";
    assert_eq!(rows(&session, grouped), ["n18 1 18", "n19 1 19"]);
    let marks = "SELECT count(*) FROM small a JOIN small b USING (k) \
        WHERE EXISTS (SELECT 1 FROM middle m WHERE m.k = a.k AND m.g > 17) \
        OR EXISTS (SELECT 1 FROM large l WHERE l.k = b.k - 1 AND l.g < 1) \
        OR NOT EXISTS (SELECT 1 FROM small s WHERE s.g = b.k AND s.k < 18)";
    assert_eq!(rows(&session, marks), ["17"]);
}

/// What a join looks for goes to columns of both sides of a semi join below, and to each
/// input of a union: by position, whatever the names.
#[test]
fn a_filter_reaches_both_sides_of_a_test_and_all_of_a_union() {
    let folder = tempfile::tempdir().unwrap();
    let session = database(folder.path());
    for statement in [
        "CREATE TABLE nodes AS SELECT * FROM (VALUES (1, 'x'), (2, 'y')) t(id, kind)",
        "CREATE TABLE edges AS SELECT * FROM (VALUES (1, 2), (2, 1)) t(src, dst)",
    ] {
        session.execute_blocking(statement).unwrap();
    }
    let both_ways = "SELECT count(*) FROM nodes n JOIN (SELECT e.src FROM edges e WHERE EXISTS \
        (SELECT 1 FROM edges r WHERE r.src = e.dst AND r.dst = e.src)) s ON s.src = n.id \
        WHERE n.kind = 'x'";
    assert_eq!(rows(&session, both_ways), ["1"]);
    let swapped = "SELECT count(*), sum(u.g) FROM small s JOIN (SELECT k, g FROM middle \
        UNION ALL SELECT DISTINCT g, k FROM middle) u ON u.k = s.k WHERE s.s = 'n3'";
    assert_eq!(rows(&session, swapped), ["88 86307"]);
}

#[test]
fn what_is_computed_twice_has_two_names() {
    let folder = tempfile::tempdir().unwrap();
    let session = database(folder.path());
    let counted = "SELECT n, count(*) FROM (SELECT a.g, count(*) AS n FROM small a \
        JOIN middle b ON a.k = b.k GROUP BY a.g) s GROUP BY n ORDER BY n";
    assert_eq!(rows(&session, counted), ["4 5"]);
    let numbered = "SELECT count(*) FROM (SELECT row_number() OVER () AS m, s.* FROM (SELECT a.k, \
        row_number() OVER () AS n FROM small a JOIN middle b ON a.k = b.k) s) t WHERE m > 0";
    assert_eq!(rows(&session, numbered), ["20"]);
    let hidden = "SELECT count(*) FROM (SELECT l.k, l.g FROM large l JOIN (SELECT k AS x FROM small) t \
        ON l.k = x) u JOIN (SELECT k, g AS x FROM middle) c ON c.k = u.g";
    assert_eq!(rows(&session, hidden), ["19"]);
}

/// A filter that a sort has learned must not fail on rows that WHERE keeps from it.
#[test]
fn a_learned_filter_does_not_fail() {
    let session = Database::in_memory().unwrap().session();
    for statement in [
        "CREATE TABLE t AS SELECT k % 1000 AS x FROM generate_series(0, 699999) t(k)",
        "CALL sheaf.flush('t')",
    ] {
        session.execute_blocking(statement).unwrap();
    }
    let sql = "SELECT x FROM t WHERE abs(x) > 0 ORDER BY 10000 / x LIMIT 2";
    assert_eq!(rows(&session, sql).len(), 2);
}

#[test]
fn many_tables_are_planned_in_a_moment() {
    let folder = tempfile::tempdir().unwrap();
    let session = database(folder.path());
    let mut sql = "SELECT count(*) FROM small t0".to_owned();
    for table in 1..40 {
        sql.push_str(&format!(" JOIN small t{table} ON t{table}.k = t{}.k", table - 1));
    }
    assert_eq!(rows(&session, &sql), ["20"]);
}
