//! Validating a write against the state, and applying it to memtables.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::RecordBatch;
use bytes::Bytes;

use super::keys::Keys;
use super::prepare::{AppendWire, Prepared, PreparedOp, check_bytes};
use crate::catalog::{TableDef, TableId};
use crate::keyed_read::row_of;
use crate::log::{Change, Payload, Record, decode_batch};
use crate::lookup::{Place, find};
use crate::memtable::{KeyedMemtable, LIVE, Memtable};
use crate::partition::split;
use crate::row::{Row, RowBytes, RowCodec, key_hash};
use crate::segment::{SegmentHandle, Target, adapt};
use crate::snapshot::Columns;
use crate::state::{State, TableState};
use crate::write::{Commit, OnConflict};
use crate::{Error, Result};

/// Checks `prepared` against the newest state and, when all of it is right, applies
/// it at `seq`. Returns what to log. On an error nothing has changed.
///
/// The new versions are in memtables before they are durable, but no snapshot sees
/// them until their number is published.
pub(super) fn write(
    state: &State,
    prepared: Prepared,
    seq: u64,
    timestamp_us: i64,
) -> Result<(Record, Commit)> {
    let plan = validate(state, &prepared, seq)?;
    let mut commit = Commit { seq, ..Commit::default() };
    let mut changes = Vec::with_capacity(prepared.ops.len());
    for (op, plan) in prepared.ops.into_iter().zip(plan) {
        let def = Arc::clone(op.table());
        let table = table_of(state, &def)?;
        // Validation has let everything pass that can fail; what fails now leaves half
        // a transaction in memory, and only recovery can tell the halves apart.
        let payloads = perform(table, op, plan, seq, &mut commit)
            .map_err(|error| Error::Stopped(error.to_string()))?;
        changes.extend(payloads.into_iter().map(|(payload, compressed)| Change {
            table: def.id,
            version: def.version,
            payload,
            compressed,
        }));
    }
    Ok((Record { seq, timestamp_us, changes }, commit))
}

/// What validation found out for one operation.
enum Plan {
    /// Per row: what it ends, and whether the row is written at all.
    Put {
        ends: Vec<End>,
        kept: Option<Vec<usize>>,
    },
    Delete(Vec<End>),
    /// The row's packed columns, if it changes.
    Update(Option<(End, Bytes)>),
    Append,
    DeleteRows,
}

/// What a put or a deletion of a key ends.
enum End {
    Nothing,
    /// Rows in segments, which are looked for later.
    Unresolved,
    /// A row from before the commit.
    Row(Place),
    /// What an earlier operation of the same commit may have put.
    Own,
}

impl End {
    /// Of a key that is at `place`, or was changed `earlier` in the same commit.
    fn of(place: Option<Place>, earlier: bool) -> Self {
        match place {
            _ if earlier => Self::Own,
            Some(place) => Self::Row(place),
            None => Self::Nothing,
        }
    }
}

/// Ends what `ends` says for each key, at `seq`; returns how many of them were rows from
/// before the commit.
fn end_all(table: &TableState, keys: &Keys, ends: Vec<End>, seq: u64) -> u64 {
    let mut rows = 0;
    let mut in_segments: Vec<(Arc<SegmentHandle>, Vec<u32>)> = Vec::new();
    for (i, end) in ends.into_iter().enumerate() {
        rows += u64::from(matches!(end, End::Row(_)));
        match end {
            End::Nothing | End::Unresolved => {}
            End::Row(Place::Memtable { entry, .. }) => entry.get().end(seq),
            End::Row(Place::Segment { segment, ordinal }) => {
                match in_segments.iter_mut().find(|(s, _)| Arc::ptr_eq(s, &segment)) {
                    Some((_, ordinals)) => ordinals.push(ordinal),
                    None => in_segments.push((segment, vec![ordinal])),
                }
            }
            End::Own => {
                if let Memtable::Keyed(memtable) = &table.active {
                    end_own(memtable, keys.bytes.slice(i), keys.hashes[i], seq);
                }
            }
        }
    }
    for (segment, ordinals) in in_segments {
        segment.deletes.end_many(ordinals, seq);
    }
    rows
}

/// Keys that earlier operations of the same batch put, with packed columns, or deleted.
type Overlay = HashMap<(TableId, Bytes), Option<Bytes>>;

fn validate(state: &State, prepared: &Prepared, seq: u64) -> Result<Vec<Plan>> {
    let mut overlay: Option<Overlay> = (prepared.ops.len() > 1).then(HashMap::new);
    let mut plans = Vec::with_capacity(prepared.ops.len());
    let mut bytes = prepared.bytes;
    for op in &prepared.ops {
        let table = table_of(state, op.table())?;
        if prepared.read_at.is_some_and(|read_at| read_at < table.truncated_seq) {
            return Err(Error::Conflict { table: table.def.name.clone() });
        }
        plans.push(match op {
            PreparedOp::Put { table: def, keys, packed, on_conflict, .. } => {
                let mut ends = Vec::with_capacity(keys.len());
                let mut skipped = false;
                let mut kept = Vec::new();
                let lookup = keys.lookup(table);
                let lazy = prepared.is_lazy(op) && !table.segments.is_empty();
                for i in 0..keys.len() {
                    let found = match lazy {
                        true => lookup.find_in_memtables(i, seq - 1),
                        false => lookup.find(i, seq - 1, prepared.read_at)?,
                    };
                    let before = overlay.as_ref().and_then(|o| o.get(&(def.id, keys.bytes.get(i))));
                    let there = before.map_or(found.place.is_some(), Option::is_some);
                    if let (Some(read_at), None) = (prepared.read_at, before)
                        && found.changed > read_at
                    {
                        return Err(Error::Conflict { table: def.name.clone() });
                    }
                    if there && *on_conflict == OnConflict::Skip {
                        skipped = true;
                        continue;
                    }
                    if there && *on_conflict == OnConflict::Fail {
                        let key = def.key_codec()?.describe(def, keys.bytes.slice(i));
                        return Err(Error::DuplicateKey { table: def.name.clone(), key });
                    }
                    ends.push(match End::of(found.place, before.is_some()) {
                        End::Nothing if lazy => End::Unresolved,
                        end => end,
                    });
                    if let Some(overlay) = &mut overlay {
                        overlay.insert((def.id, keys.bytes.get(i)), Some(packed.get(i)));
                    }
                    kept.push(i);
                }
                Plan::Put { ends, kept: skipped.then_some(kept) }
            }
            PreparedOp::DeleteKeys { table: def, keys } => {
                let mut ends = Vec::with_capacity(keys.len());
                let lookup = keys.lookup(table);
                for i in 0..keys.len() {
                    let found = lookup.find(i, seq - 1, prepared.read_at)?;
                    if prepared.read_at.is_some_and(|read_at| found.changed > read_at) {
                        return Err(Error::Conflict { table: def.name.clone() });
                    }
                    let before = match &mut overlay {
                        Some(overlay) => overlay.insert((def.id, keys.bytes.get(i)), None),
                        None => None,
                    };
                    ends.push(End::of(found.place, before.is_some()));
                }
                Plan::Delete(ends)
            }
            PreparedOp::Update { update, keys } => {
                let def = &update.table;
                let found = keys.lookup(table).find(0, seq - 1, prepared.read_at)?;
                let at = (def.id, update.key.clone());
                let before = overlay.as_ref().and_then(|o| o.get(&at));
                if let (Some(read_at), None) = (prepared.read_at, before)
                    && found.changed > read_at
                {
                    return Err(Error::Conflict { table: def.name.clone() });
                }
                let row = match (before, &found.place) {
                    (Some(None), _) | (None, None) => None,
                    (Some(Some(packed)), _) => Some(Row::of_parts(def, &update.key, packed)?),
                    (None, Some(place)) => {
                        let target = Target::new(Arc::clone(def), Columns::Visible);
                        Some(row_of(&target, place)?)
                    }
                };
                let earlier = before.is_some();
                let packed = update.apply(row.as_ref())?;
                bytes += packed.as_ref().map_or(0, Bytes::len);
                check_bytes(bytes)?;
                Plan::Update(packed.map(|packed| {
                    if let Some(overlay) = &mut overlay {
                        overlay.insert(at, Some(packed.clone()));
                    }
                    (End::of(found.place, earlier), packed)
                }))
            }
            PreparedOp::Append { .. } => Plan::Append,
            PreparedOp::DeleteRows { table: def, rowids } => {
                if let Some(read_at) = prepared.read_at
                    && any_row_ended_after(table, rowids, read_at)?
                {
                    return Err(Error::Conflict { table: def.name.clone() });
                }
                Plan::DeleteRows
            }
        });
    }
    Ok(plans)
}

/// What the log gets: a payload, and its rows compressed where that was worth it.
type Logged = (Payload, Option<Bytes>);

fn perform(
    table: &TableState,
    op: PreparedOp,
    plan: Plan,
    seq: u64,
    commit: &mut Commit,
) -> Result<Vec<Logged>> {
    Ok(match (op, plan) {
        (PreparedOp::Put { keys, packed, compressed, .. }, Plan::Put { ends, kept }) => {
            let (keys, packed, compressed) = match kept {
                Some(kept) => {
                    commit.skipped += (keys.len() - kept.len()) as u64;
                    (Keys::new(keys.bytes.select(&kept)), packed.select(&kept), None)
                }
                None => (keys, packed, compressed),
            };
            let put = put(table, keys, packed, ends, seq, commit)?;
            put.map(|payload| (payload, compressed)).into_iter().collect()
        }
        (PreparedOp::Update { .. }, Plan::Update(None)) => {
            commit.skipped += 1;
            Vec::new()
        }
        (PreparedOp::Update { keys, .. }, Plan::Update(Some((end, packed)))) => {
            let len = packed.len() as u32;
            let packed = RowBytes::from_parts(packed, vec![0, len]);
            let put = put(table, keys, packed, vec![end], seq, commit)?;
            put.map(|payload| (payload, None)).into_iter().collect()
        }
        (PreparedOp::DeleteKeys { keys, .. }, Plan::Delete(ends)) => {
            commit.deleted += end_all(table, &keys, ends, seq);
            vec![(Payload::DeleteKeys(keys.bytes), None)]
        }
        (PreparedOp::Append { table: def, parts }, Plan::Append) => {
            let Memtable::Append(memtable) = &table.active else { return Err(other_kind(&def)) };
            let mut payloads = Vec::with_capacity(parts.len());
            for part in parts {
                let count = part.rows.num_rows() as u64;
                let first_rowid = table.next_rowid.fetch_add(count, Ordering::Relaxed);
                memtable.append(part.bucket, part.rows, first_rowid, seq)?;
                commit.inserted += count;
                let payload = match part.wire {
                    AppendWire::Rows(rows) => Payload::AppendRows { first_rowid, rows },
                    AppendWire::Ipc(ipc) => Payload::AppendBatch { first_rowid, ipc },
                };
                payloads.push((payload, part.compressed));
            }
            payloads
        }
        (PreparedOp::DeleteRows { rowids, .. }, Plan::DeleteRows) => {
            commit.deleted += end_rows(table, &rowids, seq)?;
            vec![(Payload::DeleteRows(rowids), None)]
        }
        (op, _) => return Err(other_kind(op.table())),
    })
}

/// Puts rows in place of what they end; `None` when there are none.
fn put(
    table: &TableState,
    keys: Keys,
    packed: RowBytes,
    ends: Vec<End>,
    seq: u64,
    commit: &mut Commit,
) -> Result<Option<Payload>> {
    let Memtable::Keyed(memtable) = &table.active else { return Err(other_kind(&table.def)) };
    let waits = |end: &End| matches!(end, End::Unresolved);
    let unresolved: Option<Vec<bool>> =
        ends.iter().any(waits).then(|| ends.iter().map(waits).collect());
    commit.replaced += end_all(table, &keys, ends, seq);
    for (i, packed) in packed.iter().enumerate() {
        let entry = memtable.insert(keys.bytes.slice(i), keys.hashes[i], packed, seq);
        if unresolved.as_ref().is_some_and(|waits| waits[i]) {
            table.unresolved.add(memtable.keep(entry), keys.hashes[i]);
        }
    }
    commit.inserted += keys.len() as u64;
    Ok((keys.len() > 0).then_some(Payload::Put { keys: keys.bytes, packed }))
}

/// Ends a version that the commit `seq` itself wrote.
fn end_own(memtable: &KeyedMemtable, key: &[u8], hash: u64, seq: u64) {
    if let Some(version) = memtable.versions(key, hash, seq).next()
        && version.seq() == seq
    {
        version.end(seq);
    }
}

fn other_kind(def: &TableDef) -> Error {
    Error::SchemaChanged { table: def.name.clone() }
}

/// The running table, if the writer's idea of it is current.
fn table_of<'a>(state: &'a State, def: &Arc<TableDef>) -> Result<&'a TableState> {
    match state.tables.get(&def.id) {
        Some(table) if table.def.version == def.version => Ok(table),
        Some(_) => Err(Error::SchemaChanged { table: def.name.clone() }),
        None => Err(Error::NotFound { what: format!("table '{}'", def.name) }),
    }
}

fn any_row_ended_after(table: &TableState, rowids: &[u64], seq: u64) -> Result<bool> {
    for memtable in table.memtables() {
        let Memtable::Append(memtable) = memtable else { continue };
        for rowid in rowids {
            let ended = memtable.find(*rowid).map_or(LIVE, |row| row.ended());
            if ended != LIVE && ended > seq {
                return Ok(true);
            }
        }
    }
    for segment in &table.segments {
        for (_, ordinal) in segment.find_rowids(rowids)? {
            let ended = segment.deletes.ended(ordinal);
            if ended != LIVE && ended > seq {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Ends rows of an append table; returns how many were live.
fn end_rows(table: &TableState, rowids: &[u64], seq: u64) -> Result<u64> {
    let mut ended = 0;
    for memtable in table.memtables() {
        let Memtable::Append(memtable) = memtable else { continue };
        for rowid in rowids {
            if let Some(row) = memtable.find(*rowid)
                && row.ended() == LIVE
            {
                row.end(seq);
                ended += 1;
            }
        }
    }
    for segment in &table.segments {
        for (_, ordinal) in segment.find_rowids(rowids)? {
            if segment.deletes.ended(ordinal) == LIVE {
                segment.deletes.end(ordinal, seq);
                ended += 1;
            }
        }
    }
    Ok(ended)
}

/// Applies a record of the log. It was validated when it was written, so what it
/// says is done; only tables that no longer exist, or that are flushed past it, are
/// left out.
pub(crate) fn replay(state: &State, record: &Record) -> Result<()> {
    for change in &record.changes {
        let Some(table) = state.tables.get(&change.table) else { continue };
        if record.seq <= table.flushed_seq {
            continue;
        }
        replay_change(table, change, record.seq)?;
    }
    Ok(())
}

fn replay_change(table: &TableState, change: &Change, seq: u64) -> Result<()> {
    let def = &table.def;
    match &change.payload {
        Payload::Put { keys, packed } => {
            let layout = def.row_layout_at(change.version)?;
            if change.version == def.version {
                return replay_put(table, keys, packed, seq);
            }
            let (keys, packed): (Vec<&[u8]>, Vec<&[u8]>) =
                (keys.iter().collect(), packed.iter().collect());
            let rows = layout.decode_all(&keys, &packed)?;
            let target = Target::new(Arc::clone(def), Columns::Visible);
            let rows = adapt(&target, change.version, &rows)?;
            let (keys, packed) = def.row_layout()?.encode(&rows)?;
            replay_put(table, &keys, &packed, seq)?;
        }
        Payload::PutSortable(rows) => {
            let batch = decode_rows(def, change.version, rows.iter())?;
            let (keys, packed) = def.row_layout()?.encode(&batch)?;
            replay_put(table, &keys, &packed, seq)?;
        }
        Payload::DeleteKeys(keys) => {
            for key in keys.iter() {
                replay_end(table, key, key_hash(key), seq)?;
            }
        }
        Payload::AppendRows { first_rowid, rows } => {
            let batch = decode_rows(def, change.version, rows.iter())?;
            replay_append(table, batch, *first_rowid, seq)?;
        }
        Payload::AppendBatch { first_rowid, ipc } => {
            let batch = decode_batch(ipc.clone())?;
            let target = Target::new(Arc::clone(def), Columns::Visible);
            replay_append(table, adapt(&target, change.version, &batch)?, *first_rowid, seq)?;
        }
        Payload::DeleteRows(rowids) => {
            end_rows(table, rowids, seq)?;
        }
    }
    Ok(())
}

fn replay_put(table: &TableState, keys: &RowBytes, packed: &RowBytes, seq: u64) -> Result<()> {
    let Memtable::Keyed(memtable) = &table.active else { return Err(other_kind(&table.def)) };
    for (key, packed) in keys.iter().zip(packed.iter()) {
        let hash = key_hash(key);
        replay_end(table, key, hash, seq)?;
        memtable.insert(key, hash, packed, seq);
    }
    Ok(())
}

/// Ends what a put or a deletion of `key` at `seq` ended.
fn replay_end(table: &TableState, key: &[u8], hash: u64, seq: u64) -> Result<()> {
    if let Some(place) = find(table, key, hash, seq - 1, None)?.place {
        place.end(seq);
    }
    if let Memtable::Keyed(memtable) = &table.active {
        end_own(memtable, key, hash, seq);
    }
    Ok(())
}

fn replay_append(table: &TableState, rows: RecordBatch, first_rowid: u64, seq: u64) -> Result<()> {
    let Memtable::Append(memtable) = &table.active else { return Err(other_kind(&table.def)) };
    let next = first_rowid + rows.num_rows() as u64;
    table.next_rowid.fetch_max(next, Ordering::Relaxed);
    // Rows were split by bucket before they were logged.
    for (bucket, rows) in split(&table.def, rows)? {
        memtable.append(bucket, rows, first_rowid, seq)?;
    }
    Ok(())
}

/// Rows as they were written under `version`, with the columns of today.
fn decode_rows<'a>(
    def: &Arc<TableDef>,
    version: u32,
    rows: impl Iterator<Item = &'a [u8]>,
) -> Result<RecordBatch> {
    let codec = RowCodec::new(def.arrow_schema_at(version))?;
    let batch = codec.decode(rows)?;
    if version == def.version {
        return Ok(batch);
    }
    adapt(&Target::new(Arc::clone(def), Columns::Visible), version, &batch)
}
