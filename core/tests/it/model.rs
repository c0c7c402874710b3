//! Random operations against a map: every snapshot ever taken stays what it was.

use std::collections::BTreeMap;

use proptest::prelude::*;
use sheaf_core::catalog::NewTable;
use sheaf_core::vfs::MemoryVfs;
use sheaf_core::{OnConflict, RowUpdate, Snapshot, Value, Write, WriteBatch};

use crate::support::{
    assert_verified, create, delete, delete_rows, get, insert, open_with, pairs, put, put_rows,
    range, row, rowids, scan,
};

#[derive(Clone, Debug)]
enum Step {
    Put(Vec<(i64, u8)>),
    Insert(i64, u8),
    Skip(Vec<(i64, u8)>),
    Delete(Vec<i64>),
    Update(Vec<(i64, u8)>),
    Bulk(Vec<i64>),
    Flush,
    Compact,
    Settle,
    Snapshot,
    Forget,
    PowerCut,
    Kill,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..24_i64;
    prop_oneof![
        6 => prop::collection::vec((key.clone(), any::<u8>()), 1..16).prop_map(Step::Put),
        2 => (key.clone(), any::<u8>()).prop_map(|(k, v)| Step::Insert(k, v)),
        2 => prop::collection::vec((key.clone(), any::<u8>()), 1..12).prop_map(Step::Skip),
        4 => prop::collection::vec(key.clone(), 1..12).prop_map(Step::Delete),
        3 => prop::collection::vec((key.clone(), any::<u8>()), 1..6).prop_map(Step::Update),
        2 => prop::collection::vec(key, 1..9).prop_map(Step::Bulk),
        4 => Just(Step::Flush),
        2 => Just(Step::Compact),
        4 => Just(Step::Settle),
        3 => Just(Step::Snapshot),
        1 => Just(Step::Forget),
        2 => Just(Step::PowerCut),
        1 => Just(Step::Kill),
        1 => Just(Step::Reopen),
    ]
}

type Model = BTreeMap<i64, String>;

fn listed(model: &Model) -> Vec<(i64, String)> {
    model.iter().map(|(k, v)| (*k, v.clone())).collect()
}

/// Pairs with keys from `from` to before `to`, up and down.
fn listed_range(model: &Model, from: i64, to: i64) -> [Vec<(i64, String)>; 2] {
    let up: Vec<_> = model.range(from..to).map(|(k, v)| (*k, v.clone())).collect();
    let down = up.iter().rev().cloned().collect();
    [up, down]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn a_keyed_table_is_a_map_at_every_snapshot(
        steps in prop::collection::vec(step(), 1..90),
        row_store in any::<bool>(),
        lazy_upserts in any::<bool>(),
        segment_rows in prop::sample::select(vec![2, 5, 64]),
    ) {
        let open = |vfs: &MemoryVfs, seed| open_with(vfs, seed, segment_rows);
        let mut vfs = MemoryVfs::new();
        let mut store = open(&vfs, 1);
        let t = create(&store, NewTable { row_store, lazy_upserts, ..pairs("t", true) });
        let mut model = Model::new();
        let mut held: Vec<(Snapshot, Model)> = Vec::new();
        for (i, step) in steps.into_iter().enumerate() {
            match step {
                Step::Put(values) => {
                    let texts: Vec<(i64, String)> =
                        values.iter().map(|(k, v)| (*k, format!("v{v}-{i}"))).collect();
                    let rows: Vec<(i64, &str)> =
                        texts.iter().map(|(k, v)| (*k, v.as_str())).collect();
                    match i % 2 {
                        0 => put(&store, &t, &rows),
                        _ => put_rows(&store, &t, &rows),
                    };
                    model.extend(texts);
                }
                Step::Insert(k, v) => {
                    let value = format!("v{v}-{i}");
                    let done = insert(&store, &t, &[(k, &value)], OnConflict::Fail).is_ok();
                    prop_assert_eq!(done, !model.contains_key(&k));
                    model.entry(k).or_insert(value);
                }
                Step::Skip(values) => {
                    let texts: Vec<(i64, String)> =
                        values.iter().map(|(k, v)| (*k, format!("v{v}-{i}"))).collect();
                    let rows: Vec<(i64, &str)> =
                        texts.iter().map(|(k, v)| (*k, v.as_str())).collect();
                    insert(&store, &t, &rows, OnConflict::Skip).unwrap();
                    for (k, v) in texts {
                        model.entry(k).or_insert(v);
                    }
                }
                Step::Delete(keys) => {
                    delete(&store, &t, &keys);
                    model.retain(|k, _| !keys.contains(k));
                }
                Step::Update(values) => {
                    let mut batch = WriteBatch::default();
                    for (k, v) in values {
                        let value = format!("u{v}-{i}");
                        let row = [Value::from(k), Value::from(value.as_str())];
                        let mut update = RowUpdate::new(&t, &row[..1]).unwrap();
                        update = update.set("v", row[1].clone()).unwrap();
                        if v % 3 == 0 {
                            update = update.or_insert(&row).unwrap();
                        } else if v % 3 == 1 {
                            // What it is now, or what it never was.
                            let now = model.get(&k).map_or("never", |v| v.as_str());
                            update = update.expect("v", Value::from(now)).unwrap();
                        }
                        batch.writes.push(Write::Update(update));
                        if v % 3 == 0 || model.contains_key(&k) {
                            model.insert(k, value);
                        }
                    }
                    store.commit(batch).unwrap();
                }
                Step::Bulk(mut keys) => {
                    keys.sort_unstable();
                    keys.dedup();
                    let value = format!("bulk-{i}");
                    let rows: Vec<(i64, &str)> = keys.iter().map(|k| (*k, value.as_str())).collect();
                    let mut load = store.bulk_load(t.id).unwrap();
                    load.push(crate::support::rows(&t, &rows)).unwrap();
                    let done = load.finish().is_ok();
                    prop_assert_eq!(done, keys.iter().all(|k| !model.contains_key(k)));
                    if done {
                        model.extend(keys.iter().map(|k| (*k, value.clone())));
                    }
                }
                Step::Flush => store.flush(None).unwrap(),
                Step::Compact => store.compact(None).unwrap(),
                Step::Settle => store.settle().unwrap(),
                Step::Snapshot => held.push((store.snapshot().unwrap(), model.clone())),
                Step::Forget => {
                    held.pop();
                }
                Step::PowerCut => {
                    vfs = vfs.power_cut();
                    held.clear();
                    store = open(&vfs, i as u64 + 2);
                    assert_verified(&store);
                }
                Step::Kill => {
                    vfs = vfs.kill();
                    held.clear();
                    store = open(&vfs, i as u64 + 2);
                }
                Step::Reopen => {
                    held.clear();
                    store.close().unwrap();
                    drop(store);
                    store = open(&vfs, i as u64 + 2);
                }
            }
            let now = store.snapshot().unwrap();
            for k in 0..24 {
                prop_assert_eq!(row(&now, &t, k), model.get(&k).cloned(), "after step {}", i);
            }
            // Lookups know what scans make known; so scans come seldom.
            if lazy_upserts && i % 4 != 3 {
                continue;
            }
            prop_assert_eq!(scan(&now, &t), listed(&model), "after step {}", i);
            let (from, to) = (i as i64 % 20, i as i64 % 20 + 7);
            prop_assert_eq!(range(&now, &t, from, to), listed_range(&model, from, to));
            for (snapshot, then) in &held {
                prop_assert_eq!(scan(snapshot, &t), listed(then), "held, after step {}", i);
                for k in 0..24 {
                    prop_assert_eq!(get(snapshot, &t, k), then.get(&k).cloned());
                    prop_assert_eq!(row(snapshot, &t, k), then.get(&k).cloned());
                }
                prop_assert_eq!(range(snapshot, &t, 3, 11), listed_range(then, 3, 11));
            }
        }
        for k in 0..24 {
            prop_assert_eq!(get(&store.snapshot().unwrap(), &t, k), model.get(&k).cloned());
        }
        store.compact(None).unwrap();
        prop_assert_eq!(scan(&store.snapshot().unwrap(), &t), listed(&model));
        assert_verified(&store);
    }

    #[test]
    fn an_append_table_keeps_rows_by_id(
        steps in prop::collection::vec(step(), 1..90),
        segment_rows in prop::sample::select(vec![2, 5, 64]),
    ) {
        let open = |vfs: &MemoryVfs, seed| open_with(vfs, seed, segment_rows);
        let mut vfs = MemoryVfs::new();
        let mut store = open(&vfs, 1);
        let t = create(&store, pairs("log", false));
        // Row id to key.
        let mut model: BTreeMap<u64, i64> = BTreeMap::new();
        let mut held: Vec<(Snapshot, BTreeMap<u64, i64>)> = Vec::new();
        for (i, step) in steps.into_iter().enumerate() {
            match step {
                Step::Put(values) | Step::Skip(values) | Step::Update(values) => {
                    let rows: Vec<(i64, &str)> = values.iter().map(|(k, _)| (*k, "x")).collect();
                    put(&store, &t, &rows);
                }
                Step::Insert(k, _) => {
                    put(&store, &t, &[(k, "x")]);
                }
                Step::Bulk(keys) => {
                    let rows: Vec<(i64, &str)> = keys.iter().map(|k| (*k, "bulk")).collect();
                    let mut load = store.bulk_load(t.id).unwrap();
                    load.push(crate::support::rows(&t, &rows)).unwrap();
                    load.finish().unwrap();
                }
                Step::Delete(keys) => {
                    let ids: Vec<u64> = model
                        .iter()
                        .filter(|(_, k)| keys.contains(k))
                        .map(|(id, _)| *id)
                        .collect();
                    let commit = delete_rows(&store, &t, ids.clone());
                    prop_assert_eq!(commit.deleted, ids.len() as u64);
                    model.retain(|id, _| !ids.contains(id));
                }
                Step::Flush => store.flush(None).unwrap(),
                Step::Compact => store.compact(None).unwrap(),
                Step::Settle => store.settle().unwrap(),
                Step::Snapshot => held.push((store.snapshot().unwrap(), model.clone())),
                Step::Forget => {
                    held.pop();
                }
                Step::PowerCut => {
                    vfs = vfs.power_cut();
                    held.clear();
                    store = open(&vfs, i as u64 + 2);
                    assert_verified(&store);
                }
                Step::Kill => {
                    vfs = vfs.kill();
                    held.clear();
                    store = open(&vfs, i as u64 + 2);
                }
                Step::Reopen => {
                    held.clear();
                    store.close().unwrap();
                    drop(store);
                    store = open(&vfs, i as u64 + 2);
                }
            }
            let now: BTreeMap<u64, i64> =
                rowids(&store.snapshot().unwrap(), &t).into_iter().collect();
            // New rows have ids that were never used before.
            for (id, key) in &now {
                if let Some(before) = model.get(id) {
                    prop_assert_eq!(before, key);
                }
            }
            for id in model.keys() {
                prop_assert!(now.contains_key(id), "row {} is gone after step {}", id, i);
            }
            model = now;
            for (snapshot, then) in &held {
                let seen: BTreeMap<u64, i64> = rowids(snapshot, &t).into_iter().collect();
                prop_assert_eq!(&seen, then);
            }
        }
        assert_verified(&store);
    }
}
