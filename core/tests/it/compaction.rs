//! What background merges leave behind, and what they cost.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, TimeUnit};
use proptest::prelude::*;
use sheaf_core::catalog::{NewTable, TableDef};
use sheaf_core::clock::ManualClock;
use sheaf_core::partition::BucketWidth;
use sheaf_core::vfs::{MemoryVfs, Vfs};
use sheaf_core::{Environment, OnConflict, Store, Write, WriteBatch};

use crate::support::{
    assert_verified, column, create, delete, environment, manual, open_with, pairs, put, random,
    scan,
};

const SEGMENT_ROWS: usize = 64;

/// Commits, flushes and merges one turn at a time.
struct Table {
    vfs: MemoryVfs,
    store: Store,
    def: Arc<TableDef>,
    model: BTreeMap<i64, String>,
    last_job: u64,
    rows_put: u64,
    rows_merged: u64,
}

impl Table {
    fn new(row_store: bool) -> Self {
        let vfs = MemoryVfs::new();
        let store = open_with(&vfs, 1, SEGMENT_ROWS);
        let def = create(&store, NewTable { row_store, ..pairs("t", true) });
        let model = BTreeMap::new();
        Self { vfs, store, def, model, last_job: 0, rows_put: 0, rows_merged: 0 }
    }

    fn turn(&mut self, keys: &[i64]) {
        let texts: Vec<String> = keys.iter().map(|k| format!("{k} of {}", self.rows_put)).collect();
        let rows: Vec<(i64, &str)> =
            keys.iter().zip(&texts).map(|(k, v)| (*k, v.as_str())).collect();
        put(&self.store, &self.def, &rows);
        self.rows_put += keys.len() as u64;
        self.model.extend(keys.iter().copied().zip(texts));
        self.store.flush(None).unwrap();
        self.store.settle().unwrap();
        let jobs = self.store.jobs();
        let new = jobs.iter().filter(|job| job.id > self.last_job && job.kind == "compact");
        self.rows_merged += new.map(|job| job.rows_out).sum::<u64>();
        self.last_job = jobs.iter().map(|job| job.id).max().unwrap_or(0);
    }

    fn files(&self) -> usize {
        let table = format!("t/{}/all", self.def.id);
        let logs = self.vfs.list("wal").unwrap().len() + self.vfs.list("manifest").unwrap().len();
        self.vfs.list(&table).unwrap().len() + logs
    }

    fn check(&self) {
        let listed: Vec<_> = self.model.iter().map(|(k, v)| (*k, v.clone())).collect();
        assert_eq!(scan(&self.store.snapshot().unwrap(), &self.def), listed);
        assert_verified(&self.store);
    }
}

#[test]
fn a_day_of_single_rows_leaves_few_files() {
    let mut table = Table::new(true);
    let mut most = 0;
    for key in 0..1_440 {
        table.turn(&[key]);
        most = most.max(table.files());
    }
    table.check();
    // 1,440 rows are 23 full segments of three files each.
    assert!(most < 150, "{most} files");
    // Each row is merged once per doubling up to a full segment, or less often.
    let rewritten = table.rows_merged as f64 / table.rows_put as f64;
    assert!(rewritten < 8.0, "each row was merged {rewritten} times");
}

#[test]
fn random_keys_make_few_overlapping_runs() {
    let mut table = Table::new(false);
    let mut next = random(7);
    for _ in 0..400 {
        let mut keys: Vec<i64> = (0..16).map(|_| next(4_000) as i64).collect();
        keys.sort_unstable();
        keys.dedup();
        table.turn(&keys);
    }
    table.check();
    let segments = table.store.segments().unwrap();
    let rows: u64 = segments.iter().map(|s| s.rows).sum();
    // 3,200 live keys are 50 full segments; half as many again may be fresh or dead.
    assert!(segments.len() < 120 && rows < 6_000, "{} segments, {rows} rows", segments.len());
    let rewritten = table.rows_merged as f64 / table.rows_put as f64;
    assert!(rewritten < 8.0, "each row was merged {rewritten} times");
}

#[test]
fn runs_of_any_sizes_are_merged_in_the_end() {
    let mut table = Table::new(false);
    let mut next = random(3);
    for _ in 0..150 {
        let count = 5 + next(90);
        let mut keys: Vec<i64> = (0..count).map(|_| next(1_000_000) as i64).collect();
        keys.sort_unstable();
        keys.dedup();
        table.turn(&keys);
    }
    table.check();
    let jobs = table.store.jobs();
    assert!(jobs.iter().any(|job| job.reason == "runs of like size overlap"));
    let segments = table.store.segments().unwrap().len() as u64;
    // Settled ones are full, and each range of keys may have three runs above them.
    let full = table.rows_put / SEGMENT_ROWS as u64;
    assert!(segments < full * 2, "{segments} segments of {} rows", table.rows_put);
    let rewritten = table.rows_merged as f64 / table.rows_put as f64;
    assert!(rewritten < 8.0, "each row was merged {rewritten} times");
}

#[test]
fn segments_that_were_merged_are_full_and_do_not_overlap() {
    let mut table = Table::new(false);
    for start in 0..100_i64 {
        let keys: Vec<i64> = (0..40).map(|i| i * 100 + start).collect();
        table.turn(&keys);
    }
    delete(&table.store, &table.def, &(1_000..1_500).collect::<Vec<_>>());
    table.model.retain(|k, _| !(1_000..1_500).contains(k));
    table.store.flush(None).unwrap();
    table.store.compact(None).unwrap();
    table.check();
    let segments = table.store.segments().unwrap();
    let full = SEGMENT_ROWS as u64 / 2..=SEGMENT_ROWS as u64 * 2;
    assert!(segments.iter().all(|s| full.contains(&s.rows) && s.deleted_rows == 0 && s.level == 2));
    assert!(segments.len() <= 3_500 / SEGMENT_ROWS + 1, "{} segments", segments.len());
    assert_eq!(table.store.tables().unwrap()[0].compaction_debt_rows, 0);
}

#[test]
fn what_is_no_longer_written_to_becomes_compact() {
    const HOUR_US: i64 = 3_600_000_000;
    let vfs = MemoryVfs::new();
    let clock = Arc::new(ManualClock::default());
    let environment = Environment { clock: Arc::clone(&clock) as _, ..environment(&vfs, 1) };
    let store = Store::open_in(environment, manual()).unwrap();
    let t = create(
        &store,
        NewTable {
            columns: vec![
                column("k", DataType::Int64),
                column("at", DataType::Timestamp(TimeUnit::Microsecond, None)),
            ],
            primary_key: vec!["at".into(), "k".into()],
            partition: Some(("at".into(), BucketWidth::Micros(HOUR_US))),
            cluster_by: vec!["k".into()],
            ..pairs("t", true)
        },
    );
    // Two flushes of the same devices in each of two hours.
    for at in [1, 2, HOUR_US + 1, HOUR_US + 2] {
        let keys = Int64Array::from_iter_values(0..10);
        let times = TimestampMicrosecondArray::from(vec![at; 10]);
        let rows = RecordBatch::try_new(
            Arc::clone(t.arrow_schema()),
            vec![Arc::new(keys), Arc::new(times)],
        );
        let on_conflict = OnConflict::Fail;
        let write = Write::Insert { table: Arc::clone(&t), rows: rows.unwrap(), on_conflict };
        store.commit(WriteBatch { writes: vec![write], ..WriteBatch::default() }).unwrap();
        store.flush(None).unwrap();
    }
    let levels = || {
        store.settle().unwrap();
        let mut levels: Vec<_> =
            store.segments().unwrap().iter().map(|s| (s.bucket_start.unwrap(), s.level)).collect();
        levels.sort_unstable();
        levels
    };
    let [first, second] = [levels()[0].0, levels()[2].0];
    assert_eq!(levels(), [(first, 0), (first, 0), (second, 0), (second, 0)]);
    // The first bucket is over, and has been left alone for a while.
    clock.advance_us(HOUR_US as u64 + 1);
    assert_eq!(levels()[0], (first, 2));
    let reasons: Vec<_> = store.jobs().iter().map(|job| job.reason).collect();
    assert!(reasons.contains(&"the bucket is closed"), "{reasons:?}");
    assert!(reasons.contains(&"no longer hot"), "{reasons:?}");
    assert_verified(&store);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    /// Whatever keys come, work ends: nothing is left to do after the work is done, and
    /// no snapshot of the past loses a row.
    #[test]
    fn merges_come_to_an_end(
        turns in prop::collection::vec(prop::collection::vec(0..300_i64, 1..60), 1..40),
        row_store in any::<bool>(),
    ) {
        let mut table = Table::new(row_store);
        let mut held = Vec::new();
        for mut keys in turns {
            keys.sort_unstable();
            keys.dedup();
            table.turn(&keys);
            held.push((table.store.snapshot().unwrap(), table.model.clone()));
            prop_assert_eq!(table.store.tables().unwrap()[0].compaction_debt_rows, 0);
        }
        for (snapshot, then) in &held {
            let listed: Vec<_> = then.iter().map(|(k, v)| (*k, v.clone())).collect();
            prop_assert_eq!(scan(snapshot, &table.def), listed);
        }
        table.store.compact(None).unwrap();
        table.check();
    }
}
