//! Time to live: rows whose time has come are deleted, by commits like all others.
//!
//! So a snapshot, a replica or a recovered log never disagree about which rows are there,
//! whatever their clocks say.

use arrow::array::{AsArray, RecordBatch, Scalar};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, UInt64Type};
use sheaf_formats::predicate::{CompareOp, Predicate};
use sheaf_formats::segment::collect;

use crate::Result;
use crate::catalog::{TableDef, TimeToLive};
use crate::partition::{BucketWidth, calendar};
use crate::row::{Value, one_element};
use crate::snapshot::{Columns, PartScan, TableSnapshot};
use crate::write::{Write, WriteBatch};

/// Rows that one commit deletes.
const BATCH: u64 = 50_000;

/// A deletion of rows of `table` that have expired at `now_us`, and whether there may be
/// more of them; `None` when there are none, or none ever expire.
pub(crate) fn deletion(table: TableSnapshot, now_us: i64) -> Result<Option<(WriteBatch, bool)>> {
    let def = table.def().clone();
    let Some(predicate) = expired(&def, now_us)? else { return Ok(None) };
    let table = table.with_columns(Columns::WithRowId);
    let wanted = match def.is_keyed() {
        true => def.key_indices(),
        false => vec![def.arrow_schema().fields().len()],
    };
    let schema = table.schema().project(&wanted)?.into();
    let mut found: Vec<RecordBatch> = Vec::new();
    let mut left = BATCH;
    for part in table.parts()? {
        let scan = PartScan {
            projection: wanted.clone(),
            predicate: Some(predicate.clone()),
            limit: Some(left),
            ..PartScan::default()
        };
        found.extend(collect(part.scan(scan)?)?);
        left = BATCH.saturating_sub(found.iter().map(|b| b.num_rows() as u64).sum());
        if left == 0 {
            break;
        }
    }
    let rows = concat_batches(&schema, &found)?;
    if rows.num_rows() == 0 {
        return Ok(None);
    }
    let read_at = Some(table.snapshot().seq());
    let write = match def.is_keyed() {
        true => Write::DeleteKeys { table: def, keys: rows },
        false => {
            let rowids = rows.column(0).as_primitive::<UInt64Type>().clone();
            Write::DeleteRows { table: def, rowids }
        }
    };
    // A row that somebody changes meanwhile may live on: then this fails, to be tried again.
    let batch = WriteBatch { writes: vec![write], read_at, durability: None };
    Ok(Some((batch, left == 0)))
}

/// How often a table is looked at, in microseconds: rows live a twentieth longer at most,
/// or a second.
pub(crate) fn look_every_us(ttl: &TimeToLive) -> i64 {
    match ttl.after {
        Some(BucketWidth::Micros(micros)) => (micros / 20).clamp(1_000_000, 60_000_000),
        Some(BucketWidth::Months(_)) => 60_000_000,
        None => 1_000_000,
    }
}

/// True for rows that have expired.
fn expired(def: &TableDef, now_us: i64) -> Result<Option<Predicate>> {
    let Some(ttl) = &def.ttl else { return Ok(None) };
    let Some(column) = def.live_index(ttl.column) else { return Ok(None) };
    let field = def.arrow_schema().field(column);
    let last = match field.data_type() {
        DataType::Date32 => last_expired(ttl, now_us).div_euclid(86_400_000_000),
        _ => last_expired(ttl, now_us),
    };
    let value = Scalar::new(one_element(field, &Value::from(last))?);
    Ok(Some(Predicate::Compare { column, op: CompareOp::LtEq, value }))
}

/// The latest time (microseconds since the Unix epoch) that has expired at `now_us`.
fn last_expired(ttl: &TimeToLive, now_us: i64) -> i64 {
    match ttl.after {
        None => now_us,
        Some(BucketWidth::Micros(micros)) => now_us.saturating_sub(micros),
        Some(BucketWidth::Months(months)) => calendar::months_before(now_us, months),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::ColumnId;

    #[test]
    fn months_are_those_of_the_calendar() {
        const DAY: i64 = 86_400_000_000;
        let day = |year, month, day| calendar::days_from_civil(year, month, day) * DAY;
        let before = |now| {
            let after = Some(BucketWidth::Months(1));
            last_expired(&TimeToLive { column: ColumnId(1), after }, now)
        };
        assert_eq!(before(day(2026, 11, 22) + 5), day(2026, 10, 22) + 5);
        assert_eq!(before(day(2026, 1, 1)), day(2025, 12, 1));
        // There is no 30th of February.
        assert_eq!(before(day(2026, 3, 30) + 5), day(2026, 2, 28) + 5);
    }
}
