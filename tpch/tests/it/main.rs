//! The way from nothing to checked answers, at a scale that a test can afford.

use datafusion::prelude::{ParquetReadOptions, SessionContext};
use sheaf_tpch::answer::{Answer, Ordering, Verdict, differ};
use sheaf_tpch::load::{load, sources};
use sheaf_tpch::measure::Engine;
use sheaf_tpch::{Benchmark, generate, queries};

const SF: f64 = 0.01;

/// Plain DataFusion on the files knows nothing of Sheaf's tables, rewrites and filters.
#[test]
fn tpch_answers_are_those_of_plain_datafusion() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let made = generate::generate(Benchmark::Tpch, SF, &data, 2).unwrap();
    assert!(made.files >= 8 && made.rows > 80_000, "{made:?}");
    let again = generate::generate(Benchmark::Tpch, SF, &data, 2).unwrap();
    assert_eq!((again.files, again.rows), (0, 0));

    for keys in [false, true] {
        let sources = sources(Benchmark::Tpch, SF, &data, keys).unwrap();
        let database = folder.path().join(format!("db-{keys}"));
        let mut tables = 0;
        let loaded = load(&sources, &database, |_| tables += 1).unwrap();
        assert_eq!((tables, loaded.rows), (8, made.rows));
        assert!(load(&sources, &database, |_| ()).is_err(), "it is there already");
        if keys {
            continue;
        }

        let runtime = tokio::runtime::Runtime::new().unwrap();
        let plain = SessionContext::new();
        for source in &sources {
            let file = source.files[0].to_str().unwrap();
            let register =
                plain.register_parquet(&source.name, file, ParquetReadOptions::default());
            runtime.block_on(register).unwrap();
        }
        let engine = Engine::open(&database, 2).unwrap();
        for query in queries::queries(Benchmark::Tpch, SF, &(1..=22).collect::<Vec<_>>()).unwrap() {
            let measured = engine.measure(&query.sql, 1).unwrap();
            let ours = Answer::new(&measured.schema, &measured.batches).unwrap();
            let frame = runtime.block_on(plain.sql(&query.sql)).unwrap();
            let schema = frame.schema().as_arrow().clone().into();
            let batches = runtime.block_on(frame.collect()).unwrap();
            let right = Answer::new(&schema, &batches).unwrap();
            let ordering = Ordering::of(&query.sql, &right.names).unwrap();
            let verdict = differ(&ordering, &ours, &right);
            assert!(matches!(verdict, Verdict::Same { .. }), "Q{}: {verdict:?}", query.number);
        }
        engine.close().unwrap();
    }
}

/// Every table of TPC-DS loads with the types that the queries expect.
#[test]
fn tpcds_loads() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let made = generate::generate(Benchmark::Tpcds, SF, &data, 2).unwrap();
    let sources = sources(Benchmark::Tpcds, SF, &data, true).unwrap();
    assert_eq!(sources.len(), 24);
    let loaded = load(&sources, &folder.path().join("db"), |_| ()).unwrap();
    assert_eq!(loaded.rows, made.rows);
}
