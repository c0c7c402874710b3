//! Keys whose columns ascend or descend, of every type that can be a key: rows come in the
//! order of a sorted list, wherever they are.

use std::cmp::Ordering;
use std::ops::Bound;
use std::sync::Arc;

use arrow::array::{AsArray, Float64Array, Int64Array, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use futures::TryStreamExt;
use futures::executor::block_on;
use sheaf_core::catalog::{ColumnOrder, NewTable, TableDef};
use sheaf_core::vfs::MemoryVfs;
use sheaf_core::{
    OnConflict, PartScan, Row, RowBuilder, RowRange, Store, TableSnapshot, Value, Write, WriteBatch,
};

use crate::support::{assert_verified, column, create, open, pairs, random};

const UP: ColumnOrder = ColumnOrder { descending: false, nulls_first: true };
/// Ranges that each check reads, beside the whole table.
const RANGES: usize = 2;

const DOWN: ColumnOrder = ColumnOrder { descending: true, nulls_first: true };

type Triple = [Value<'static>; 3];

/// A table of `x T, n BIGINT, v BIGINT`, its rows in key order as they should be, and a
/// store that is to have the same.
struct Table {
    store: Store,
    def: Arc<TableDef>,
    orders: [ColumnOrder; 2],
    model: Vec<Triple>,
}

impl Table {
    fn new(new: NewTable, orders: [ColumnOrder; 2]) -> Self {
        let store = open(&MemoryVfs::new(), 1);
        let new = NewTable {
            primary_key: vec!["x".into(), "n".into()],
            key_order: orders.to_vec(),
            ..new
        };
        let def = create(&store, new);
        Self { store, def, orders, model: Vec::new() }
    }

    fn compare(&self, a: &[Value<'_>], b: &[Value<'_>]) -> Ordering {
        let columns = a.iter().zip(b).zip(self.orders);
        let mut each = columns.map(|((a, b), order)| match order.descending {
            false => compare(a, b),
            true => compare(b, a),
        });
        each.find(|ordering| ordering.is_ne()).unwrap_or(Ordering::Equal)
    }

    fn place(&self, key: &[Value<'_>]) -> Result<usize, usize> {
        self.model.binary_search_by(|row| self.compare(&row[..2], &key[..2]))
    }

    fn put(&mut self, rows: Vec<Triple>) {
        let mut builder = RowBuilder::new(&self.def).unwrap();
        for row in &rows {
            builder.push(row).unwrap();
        }
        self.commit(Write::Put { rows: builder, on_conflict: OnConflict::Replace });
        for row in rows {
            match self.place(&row) {
                Ok(at) => self.model[at] = row,
                Err(at) => self.model.insert(at, row),
            }
        }
    }

    /// Deletes every so many rows.
    fn delete_every(&mut self, nth: usize) {
        let mut keys = RowBuilder::new(&self.def).unwrap();
        for row in self.model.iter().step_by(nth) {
            keys.push_key(&row[..2]).unwrap();
        }
        self.commit(Write::Delete { keys });
        let mut at = 0..;
        self.model.retain(|_| at.next().unwrap() % nth != 0);
    }

    fn commit(&self, write: Write) {
        self.store.commit(WriteBatch { writes: vec![write], ..WriteBatch::default() }).unwrap();
    }

    fn flush(&self) {
        self.store.flush(None).unwrap();
    }

    fn check(&self) {
        let table = self.store.snapshot().unwrap().table(self.def.id).unwrap();
        let all = || table.range(Bound::Unbounded, Bound::Unbounded).unwrap();
        assert_rows(all, &self.model);
        self.check_points(&table);
        let mut random = random(self.model.len() as u64);
        for _ in 0..RANGES {
            let mut at = || random(self.model.len() as u64) as usize;
            let (a, b) = (at(), at());
            self.check_range(&table, a.min(b), a.max(b));
        }
    }

    fn check_points(&self, table: &TableSnapshot) {
        let keys: Vec<_> = self.model.iter().map(|row| &row[..2]).collect();
        let found = table.rows(keys.iter().copied()).unwrap();
        for (row, found) in self.model.iter().zip(found) {
            assert_eq!(triple(&found.unwrap()), *row);
        }
        for row in self.model.iter().step_by(17) {
            assert_eq!(triple(&table.row(&row[..2]).unwrap().unwrap()), *row);
            let columns = table.columns(&row[..2], &[2]).unwrap().unwrap();
            assert_eq!(Value::from(columns.column(0).as_primitive::<Int64Type>().value(0)), row[2]);
            assert!(table.row(&[row[0].clone(), Value::from(-1_i64)]).unwrap().is_none());
        }
        let keys = scan(table, &[0, 1]);
        assert_eq!(table.get(&keys).unwrap().num_rows(), self.model.len());
    }

    /// The rows from one to another, by bounds of each kind.
    fn check_range(&self, table: &TableSnapshot, from: usize, to: usize) {
        let (first, last) = (&self.model[from], &self.model[to]);
        let range = |from: Bound<&[Value<'_>]>, to| table.range(from, to).unwrap();
        let rows = |columns: usize, with_from: bool, with_to: bool| -> Vec<Triple> {
            let after = |row: &Triple| self.compare(&row[..columns], &first[..columns]);
            let before = |row: &Triple| self.compare(&row[..columns], &last[..columns]);
            let is_in = |row: &&Triple| {
                (after(row).is_gt() || with_from && after(row).is_eq())
                    && (before(row).is_lt() || with_to && before(row).is_eq())
            };
            self.model.iter().filter(is_in).cloned().collect()
        };
        for columns in [1, 2] {
            let (from, to) = (&first[..columns], &last[..columns]);
            let (open_from, open_to) = (Bound::Excluded(from), Bound::Excluded(to));
            let (from, to) = (Bound::Included(from), Bound::Included(to));
            assert_rows(|| range(from, open_to), &rows(columns, true, false));
            assert_rows(|| range(open_from, to), &rows(columns, false, true));
            assert_rows(|| range(from, to), &rows(columns, true, true));
        }
        let of_prefix: Vec<Triple> =
            self.model.iter().filter(|row| row[0] == first[0]).cloned().collect();
        assert_rows(|| table.prefix(&first[..1]).unwrap(), &of_prefix);
    }
}

fn assert_rows(range: impl Fn() -> RowRange, wanted: &[Triple]) {
    let read = |range: RowRange| range.map(|row| triple(&row.unwrap())).collect::<Vec<_>>();
    assert_eq!(read(range()), wanted);
    let mut down = read(range().backward());
    down.reverse();
    assert_eq!(down, wanted);
}

fn triple(row: &Row) -> Triple {
    [0, 1, 2].map(|column| row.value(column).unwrap().into_owned())
}

fn scan(table: &TableSnapshot, projection: &[usize]) -> RecordBatch {
    let mut batches = Vec::new();
    for part in table.parts().unwrap() {
        let request = PartScan { projection: projection.to_vec(), ..PartScan::default() };
        let read: Vec<RecordBatch> = block_on(part.scan(request).unwrap().try_collect()).unwrap();
        batches.extend(read);
    }
    let schema = Arc::new(table.schema().project(projection).unwrap());
    concat_batches(&schema, &batches).unwrap()
}

fn compare(a: &Value<'_>, b: &Value<'_>) -> Ordering {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        (Value::Float(a), Value::Float(b)) if a == b => Ordering::Equal,
        (Value::Float(a), Value::Float(b)) => a.total_cmp(b),
        (Value::Text(a), Value::Text(b)) => a.cmp(b),
        (Value::Bytes(a), Value::Bytes(b)) => a.cmp(b),
        other => panic!("{other:?} do not compare"),
    }
}

/// A value for each number, many numbers the same.
fn value(data_type: &DataType, number: u64) -> Value<'static> {
    let small = number as i64 % 40 - 20;
    let text = || match number % 5 {
        0 => String::new(),
        1 => "a\0".repeat(number as usize % 3),
        2 => "long text ".repeat(number as usize % 12),
        _ => format!("{}", number % 30),
    };
    match data_type {
        DataType::Boolean => Value::Bool(number % 2 == 1),
        DataType::Int8 | DataType::Int16 | DataType::Int32 => Value::from(small * 5),
        DataType::Int64 | DataType::Timestamp(..) | DataType::Date32
            if number.is_multiple_of(11) =>
        {
            Value::from(if number.is_multiple_of(2) { i32::MIN } else { i32::MAX })
        }
        DataType::Float32 | DataType::Float64 => Value::from(match small {
            -20 => f64::NAN,
            -19 => f64::INFINITY,
            -18 => f64::NEG_INFINITY,
            -17 => -0.0,
            small => small as f64 / 4.0,
        }),
        DataType::Utf8View => Value::Text(text().into()),
        DataType::BinaryView => {
            let mut bytes = text().into_bytes();
            bytes.extend([0xff, 0xfe].iter().take(number as usize % 3));
            Value::Bytes(bytes.into())
        }
        DataType::FixedSizeBinary(_) => Value::Bytes(vec![(number % 36 * 7) as u8; 16].into()),
        DataType::Time64(_) => Value::from(small + 20),
        _ => Value::from(small),
    }
}

fn types() -> Vec<DataType> {
    vec![
        DataType::Boolean,
        DataType::Int8,
        DataType::Int16,
        DataType::Int32,
        DataType::Int64,
        DataType::Float32,
        DataType::Float64,
        DataType::Decimal128(20, 2),
        DataType::Date32,
        DataType::Time64(TimeUnit::Microsecond),
        DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Utf8View,
        DataType::BinaryView,
        DataType::FixedSizeBinary(16),
    ]
}

fn triples(data_type: DataType) -> NewTable {
    NewTable {
        columns: vec![
            column("x", data_type),
            column("n", DataType::Int64),
            column("v", DataType::Int64),
        ],
        ..pairs("t", true)
    }
}

fn rows(data_type: &DataType, seed: u64, count: usize) -> Vec<Triple> {
    let mut random = random(seed);
    (0..count)
        .map(|i| {
            let n = Value::from(random(9) as i64);
            [value(data_type, random(1 << 20)), n, Value::from(i as i64)]
        })
        .collect()
}

/// Memtables, several segments, and what compaction makes of them.
fn check_stages(mut table: Table, data_type: &DataType) {
    table.put(rows(data_type, 1, 200));
    table.check();
    table.flush();
    table.check();
    table.put(rows(data_type, 2, 150));
    table.delete_every(7);
    table.check();
    table.flush();
    table.put(rows(data_type, 3, 50));
    table.check();
    table.store.compact(None).unwrap();
    table.check();
    assert_verified(&table.store);
}

fn check_every_type(row_store: bool) {
    for data_type in types() {
        for orders in [[UP, DOWN], [DOWN, UP]] {
            let new = NewTable { row_store, ..triples(data_type.clone()) };
            check_stages(Table::new(new, orders), &data_type);
        }
    }
}

#[test]
fn columns_of_every_type_come_in_key_order_in_both_directions() {
    check_every_type(false);
}

#[test]
fn whole_rows_of_every_type_come_in_key_order_in_both_directions() {
    check_every_type(true);
}

#[test]
fn a_clustering_of_its_own_leaves_the_order_of_keys() {
    for cluster_order in [vec![UP, DOWN], vec![DOWN, UP]] {
        for (row_store, cluster_by) in
            [(false, ["v", "x"]), (true, ["v", "x"]), (false, ["x", "n"])]
        {
            let new = NewTable {
                row_store,
                cluster_by: cluster_by.map(String::from).to_vec(),
                cluster_order: cluster_order.clone(),
                ..triples(DataType::Utf8View)
            };
            check_stages(Table::new(new, [DOWN, UP]), &DataType::Utf8View);
        }
    }
}

#[test]
fn rows_of_a_segment_are_in_the_order_of_the_clustering() {
    let nulls_last = ColumnOrder { descending: true, nulls_first: false };
    for (order, wanted) in [
        (UP, [None, Some(-3), Some(1), Some(5)]),
        (DOWN, [None, Some(5), Some(1), Some(-3)]),
        (nulls_last, [Some(5), Some(1), Some(-3), None]),
        (ColumnOrder { nulls_first: false, ..UP }, [Some(-3), Some(1), Some(5), None]),
    ] {
        let store = open(&MemoryVfs::new(), 1);
        let new = NewTable {
            cluster_by: vec!["k".into()],
            cluster_order: vec![order],
            ..pairs("t", false)
        };
        let def = create(&store, new);
        // Two segments of two rows, then one of all.
        for keys in [[Some(5), None], [Some(1), Some(-3)]] {
            let nulls = arrow::array::StringViewArray::from(vec![None::<&str>; 2]);
            let columns: [arrow::array::ArrayRef; 2] =
                [Arc::new(Int64Array::from(keys.to_vec())), Arc::new(nulls)];
            let rows =
                RecordBatch::try_new(Arc::clone(def.arrow_schema()), columns.to_vec()).unwrap();
            let table = Arc::clone(&def);
            let write = Write::Insert { table, rows, on_conflict: OnConflict::Fail };
            store.commit(WriteBatch { writes: vec![write], ..WriteBatch::default() }).unwrap();
            store.flush(None).unwrap();
        }
        store.compact(None).unwrap();
        let table = store.snapshot().unwrap().table(def.id).unwrap();
        assert_eq!(table.parts().unwrap().len(), 1);
        let keys = scan(&table, &[0]);
        let found: Vec<_> = keys.column(0).as_primitive::<Int64Type>().iter().collect();
        assert_eq!(found, wanted, "{order:?}");
    }
}

#[test]
fn bulk_loads_of_odd_floats_come_in_key_order() {
    for orders in [[UP, DOWN], [DOWN, UP]] {
        let mut table = Table::new(triples(DataType::Float64), orders);
        let floats = [f64::NAN, -f64::NAN, -0.0, 0.0, 1.0, -1.0, f64::INFINITY];
        let ns = Int64Array::from_iter_values(0..floats.len() as i64);
        let columns: [arrow::array::ArrayRef; 3] =
            [Arc::new(Float64Array::from(floats.to_vec())), Arc::new(ns.clone()), Arc::new(ns)];
        let schema = Arc::clone(table.def.arrow_schema());
        let mut load = table.store.bulk_load(table.def.id).unwrap();
        load.push(RecordBatch::try_new(schema, columns.to_vec()).unwrap()).unwrap();
        load.finish().unwrap();
        for (n, float) in (0_i64..).zip(floats) {
            let float = if float.is_nan() { f64::NAN } else { float };
            let row = [Value::from(float), Value::from(n), Value::from(n)];
            let at = table.place(&row).unwrap_err();
            table.model.insert(at, row);
        }
        table.check();
        table.store.compact(None).unwrap();
        table.check();
    }
}

#[test]
fn a_definition_has_as_many_orders_as_columns() {
    let store = open(&MemoryVfs::new(), 1);
    let new = NewTable { key_order: vec![DOWN, DOWN], ..pairs("t", true) };
    let created = store.change_catalog(sheaf_core::catalog::CatalogChange::CreateTable(new));
    assert!(created.is_err());
}
