//! Rows that are changed depending on what they are: some columns, counters,
//! compare-and-set; and deletions of ranges.

use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{DataType, TimeUnit};
use sheaf_core::catalog::{CatalogChange, NewColumn, NewTable, TableDef, TimeToLive};
use sheaf_core::clock::ManualClock;
use sheaf_core::partition::BucketWidth;
use sheaf_core::vfs::MemoryVfs;
use sheaf_core::{
    Commit, Environment, Error, OnConflict, Options, RowBuilder, RowUpdate, Snapshot, Store, Value,
    Write, WriteBatch,
};

use crate::support::{
    assert_verified, column, create, def, environment, manual, open, pairs, put, scan,
};

/// `k BIGINT PRIMARY KEY, hits INTEGER NOT NULL, score DOUBLE, label TEXT`
fn counters(row_store: bool) -> NewTable {
    NewTable {
        row_store,
        columns: vec![
            column("k", DataType::Int64),
            NewColumn { nullable: false, ..column("hits", DataType::Int32) },
            column("score", DataType::Float64),
            column("label", DataType::Utf8View),
        ],
        ..pairs("c", true)
    }
}

fn commit(store: &Store, writes: Vec<Write>) -> Result<Commit, Error> {
    store.commit(WriteBatch { writes, ..WriteBatch::default() })
}

fn update(t: &Arc<TableDef>, k: i64) -> RowUpdate {
    RowUpdate::new(t, &[Value::from(k)]).unwrap()
}

fn new_row(k: i64) -> [Value<'static>; 4] {
    [Value::from(k), Value::from(1), Value::Null, Value::from("new")]
}

/// What a row's columns after the key say.
fn shown(snapshot: &Snapshot, t: &TableDef, k: i64) -> String {
    match snapshot.table(t.id).unwrap().row(&[Value::from(k)]).unwrap() {
        Some(row) => (1..4).map(|i| format!("{:?} ", row.value(i).unwrap())).collect(),
        None => "nothing".into(),
    }
}

#[test]
fn columns_that_are_not_named_stay() {
    for row_store in [false, true] {
        let store = open(&MemoryVfs::new(), 1);
        let t = create(&store, counters(row_store));
        let hit = |k| {
            let hit = update(&t, k).add("hits", Value::from(2)).unwrap();
            Write::Update(hit.or_insert(&new_row(k)).unwrap())
        };
        // New, then in the memtable, then in a segment.
        assert_eq!(commit(&store, vec![hit(1)]).unwrap().inserted, 1);
        assert_eq!(commit(&store, vec![hit(1)]).unwrap().replaced, 1);
        store.flush(None).unwrap();
        commit(&store, vec![hit(1)]).unwrap();
        let named = update(&t, 1).set("label", Value::from("named")).unwrap();
        let named = named.set("score", Value::from(0.5)).unwrap();
        commit(&store, vec![Write::Update(named)]).unwrap();
        let scored = update(&t, 1).add("score", Value::from(2)).unwrap();
        commit(&store, vec![Write::Update(scored)]).unwrap();
        let now = store.snapshot().unwrap();
        assert_eq!(shown(&now, &t, 1), "Int(5) Float(2.5) Text(\"named\") ");
        let absent = update(&t, 9).add("hits", Value::from(1)).unwrap();
        let done = commit(&store, vec![Write::Update(absent)]).unwrap();
        assert_eq!((done.inserted, done.skipped), (0, 1));
        assert_verified(&store);
    }
}

#[test]
fn updates_of_one_batch_see_each_other() {
    let vfs = MemoryVfs::new();
    let store = open(&vfs, 1);
    let t = create(&store, counters(false));
    let hit = |k| {
        let hit = update(&t, k).add("hits", Value::from(1)).unwrap();
        Write::Update(hit.or_insert(&new_row(k)).unwrap())
    };
    let delete = |k: i64| {
        let mut keys = RowBuilder::new(&t).unwrap();
        keys.push_key(&[Value::from(k)]).unwrap();
        Write::Delete { keys }
    };
    let put = |k: i64, hits: i64| {
        let mut rows = RowBuilder::new(&t).unwrap();
        rows.push(&[Value::from(k), Value::from(hits), Value::Null, Value::Null]).unwrap();
        Write::Put { rows, on_conflict: OnConflict::Replace }
    };
    let done = commit(&store, vec![hit(1), hit(1), put(2, 40), hit(2), delete(2), hit(2), hit(2)]);
    assert_eq!(done.unwrap().replaced, 0);
    commit(&store, vec![delete(1), hit(1), hit(1), hit(1)]).unwrap();
    for store in [store, open(&vfs.power_cut(), 2)] {
        let now = store.snapshot().unwrap();
        assert_eq!(shown(&now, &t, 1), "Int(3) Null Text(\"new\") ");
        assert_eq!(shown(&now, &t, 2), "Int(2) Null Text(\"new\") ");
        store.flush(None).unwrap();
        assert_verified(&store);
    }
}

#[test]
fn counters_count_everything_and_one_writer_wins_each_exchange() {
    const WRITERS: i64 = 8;
    const EACH: i64 = 200;
    let store = open(&MemoryVfs::new(), 1);
    let t = create(&store, counters(false));
    let mut rows = RowBuilder::new(&t).unwrap();
    rows.push(&[Value::from(2), Value::from(0), Value::Null, Value::Null]).unwrap();
    let on_conflict = OnConflict::Fail;
    commit(&store, vec![Write::Put { rows, on_conflict }]).unwrap();
    let won: i64 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..WRITERS)
            .map(|_| {
                let (store, t) = (store.clone(), Arc::clone(&t));
                scope.spawn(move || {
                    let mut won = 0;
                    for round in 0..EACH {
                        let hit = update(&t, 1).add("hits", Value::from(1)).unwrap();
                        let hit = hit.or_insert(&new_row(1)).unwrap();
                        let next = update(&t, 2).expect("hits", Value::from(round)).unwrap();
                        let next = next.set("hits", Value::from(round + 1)).unwrap();
                        commit(&store, vec![Write::Update(hit)]).unwrap();
                        won += commit(&store, vec![Write::Update(next)]).unwrap().replaced as i64;
                    }
                    won
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    let now = store.snapshot().unwrap();
    assert!(shown(&now, &t, 1).starts_with(&format!("Int({}) ", WRITERS * EACH)));
    // Whoever comes too late finds the next number, or an earlier one's.
    assert!(shown(&now, &t, 2).starts_with(&format!("Int({won}) ")));
}

#[test]
fn what_cannot_be_is_an_error_and_changes_nothing() {
    let store = open(&MemoryVfs::new(), 1);
    let t = create(&store, counters(false));
    let mut rows = RowBuilder::new(&t).unwrap();
    let full = [Value::from(1), Value::from(i32::MAX), Value::Null, Value::from("x")];
    rows.push(&full).unwrap();
    commit(&store, vec![Write::Put { rows, on_conflict: OnConflict::Fail }]).unwrap();
    let message = |result: Result<RowUpdate, Error>| {
        let result = result.and_then(|update| commit(&store, vec![Write::Update(update)]));
        result.unwrap_err().to_string()
    };
    let one = || Value::from(1);
    assert_says(&message(update(&t, 1).add("hits", one())), "hits");
    assert_says(&message(update(&t, 1).add("label", one())), "'label' holds a text");
    assert_says(&message(update(&t, 1).set("hits", Value::Null)), "hits");
    assert_says(&message(update(&t, 1).set("hits", Value::from("many"))), "hits");
    assert_says(&message(update(&t, 1).set("k", one())), "'k' is part of the key");
    assert_says(&message(update(&t, 1).set("height", one())), "'height' of table 'c'");
    assert_says(&message(update(&t, 1).or_insert(&new_row(2))), "another key");
    assert_says(&message(update(&t, 1).or_insert(&new_row(1)[..3])), "has 4 columns");
    let wrong_key = RowUpdate::new(&t, &[one(), one()]).unwrap_err().to_string();
    assert_says(&wrong_key, "has 1 columns, not 2");
    // NULL stays NULL, and a whole batch fails with one of its updates.
    let writes = vec![
        Write::Update(update(&t, 1).set("label", Value::from("y")).unwrap()),
        Write::Update(update(&t, 1).add("hits", one()).unwrap()),
    ];
    commit(&store, writes).unwrap_err();
    commit(&store, vec![Write::Update(update(&t, 1).add("score", one()).unwrap())]).unwrap();
    let now = store.snapshot().unwrap();
    assert_eq!(shown(&now, &t, 1), format!("Int({}) Null Text(\"x\") ", i32::MAX));
}

#[track_caller]
fn assert_says(message: &str, part: &str) {
    assert!(message.contains(part), "{message}");
}

#[test]
fn rows_from_before_a_change_of_the_table_are_updated_too() {
    let store = open(&MemoryVfs::new(), 1);
    let t = create(&store, counters(false));
    let mut rows = RowBuilder::new(&t).unwrap();
    for k in [1, 2] {
        rows.push(&new_row(k)).unwrap();
    }
    commit(&store, vec![Write::Put { rows, on_conflict: OnConflict::Fail }]).unwrap();
    store.flush(None).unwrap();
    let added = CatalogChange::AddColumn { table: t.id, column: column("extra", DataType::Int64) };
    store.change_catalog(added).unwrap();
    let old = update(&t, 1).add("hits", Value::from(1)).unwrap();
    let stale = commit(&store, vec![Write::Update(old)]).unwrap_err();
    assert!(matches!(stale, Error::SchemaChanged { .. }));
    let t = def(&store, "c");
    let both = update(&t, 1).add("hits", Value::from(1)).unwrap();
    let both = both.expect("extra", Value::Null).unwrap().set("extra", Value::from(7)).unwrap();
    commit(&store, vec![Write::Update(both)]).unwrap();
    let snapshot = store.snapshot().unwrap();
    assert_eq!(shown(&snapshot, &t, 1), "Int(2) Null Text(\"new\") ");
    let row = snapshot.table(t.id).unwrap().row(&[Value::from(1)]).unwrap().unwrap();
    assert_eq!(row.value(4).unwrap(), Value::from(7));
}

#[test]
fn a_range_of_keys_is_deleted_in_one_commit() {
    let store = open(&MemoryVfs::new(), 1);
    let t = create(&store, pairs("t", true));
    let all: Vec<(i64, &str)> = (0..300).map(|k| (k, "v")).collect();
    put(&store, &t, &all[..200]);
    store.flush(None).unwrap();
    put(&store, &t, &all[150..]);
    let snapshot = store.snapshot().unwrap();
    let (from, to) = ([Value::from(10)], [Value::from(290)]);
    let range = || {
        let table = snapshot.table(t.id).unwrap();
        table.range(Bound::Included(&from), Bound::Excluded(&to)).unwrap()
    };
    // Somebody changes a row of the range first.
    put(&store, &t, &[(50, "changed")]);
    let batch = |read_at| WriteBatch {
        writes: vec![Write::Delete { keys: range().into_keys().unwrap() }],
        read_at,
        durability: None,
    };
    let conflict = store.commit(batch(Some(snapshot.seq()))).unwrap_err();
    assert!(matches!(conflict, Error::Conflict { .. }));
    assert_eq!(store.commit(batch(None)).unwrap().deleted, 280);
    let left: Vec<i64> = scan(&store.snapshot().unwrap(), &t).into_iter().map(|(k, _)| k).collect();
    assert_eq!(left, (0..10).chain(290..300).collect::<Vec<_>>());
}

#[test]
fn rows_expire_by_themselves_and_for_good() {
    let vfs = MemoryVfs::new();
    let clock = Arc::new(ManualClock::default());
    clock.advance_us(1_000_000_000);
    let environment = |vfs| Environment { clock: Arc::clone(&clock) as _, ..environment(vfs, 1) };
    let store = Store::open_in(environment(&vfs), Options::default()).unwrap();
    let t = create(
        &store,
        NewTable {
            columns: vec![
                column("k", DataType::Int64),
                column("until", DataType::Timestamp(TimeUnit::Microsecond, None)),
            ],
            ttl: Some(("until".into(), None)),
            ..pairs("t", true)
        },
    );
    let mut rows = RowBuilder::new(&t).unwrap();
    for k in 0..100_i64 {
        rows.push(&[Value::from(k), Value::from(1_000_000_000 + k * 1_000_000)]).unwrap();
    }
    commit(&store, vec![Write::Put { rows, on_conflict: OnConflict::Fail }]).unwrap();
    let before = store.snapshot().unwrap();
    clock.advance_us(49_500_000);
    // The background thread looks once a second of this clock, and wakes up by itself.
    let live = |store: &Store| {
        let table = store.snapshot().unwrap().table(t.id).unwrap();
        table.range(Bound::Unbounded, Bound::Unbounded).unwrap().count()
    };
    let mut looks = 0;
    while live(&store) != 50 {
        looks += 1;
        assert!(looks < 100_000, "nothing expires");
        std::thread::yield_now();
    }
    let table = before.table(t.id).unwrap();
    assert_eq!(table.range(Bound::Unbounded, Bound::Unbounded).unwrap().count(), 100);
    store.close().unwrap();
    drop((table, before));
    let store = Store::open_in(environment(&vfs), manual()).unwrap();
    assert_eq!(live(&store), 50);
    assert_verified(&store);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "background work goes by the time of the machine")]
fn a_changed_time_to_live_is_looked_at_at_once() {
    let vfs = MemoryVfs::new();
    let clock = Arc::new(ManualClock::default());
    clock.advance_us(1_000_000_000);
    let environment = Environment { clock: Arc::clone(&clock) as _, ..environment(&vfs, 1) };
    let store = Store::open_in(environment, Options::default()).unwrap();
    let new = |ttl| NewTable {
        columns: vec![
            column("k", DataType::Int64),
            column("at", DataType::Timestamp(TimeUnit::Microsecond, None)),
        ],
        ttl: Some(("at".into(), Some(ttl))),
        ..pairs("t", true)
    };
    let hour = BucketWidth::Micros(3_600_000_000);
    let t = create(&store, new(hour));
    let mut rows = RowBuilder::new(&t).unwrap();
    rows.push(&[Value::from(1), Value::from(-9_000_000_000_i64)]).unwrap();
    rows.push(&[Value::from(2), Value::from(999_000_000_i64)]).unwrap();
    commit(&store, vec![Write::Put { rows, on_conflict: OnConflict::Fail }]).unwrap();
    let wait_for = |count| {
        let mut looks = 0;
        loop {
            let table = store.snapshot().unwrap().table(t.id).unwrap();
            if table.range(Bound::Unbounded, Bound::Unbounded).unwrap().count() == count {
                return;
            }
            looks += 1;
            assert!(looks < 10_000, "nothing expires");
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    // The table would be looked at again in a while of this clock, which stands.
    wait_for(1);
    let column = t.live_columns().nth(1).unwrap().id;
    let ttl = Some(TimeToLive { column, after: None });
    store.change_catalog(CatalogChange::SetTimeToLive { table: t.id, ttl }).unwrap();
    wait_for(0);
}
