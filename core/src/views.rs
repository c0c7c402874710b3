//! Views into buffers that hold much else: a slice of a large batch shows a few of its
//! texts and holds on to all of them, and Arrow IPC writes all of them.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, GenericByteViewArray, GenericListArray, MapArray,
    OffsetSizeTrait, RecordBatch, RecordBatchOptions, StructArray,
};
use arrow::buffer::{Buffer, OffsetBuffer};
use arrow::datatypes::{ByteViewType, DataType, FieldRef};

use crate::error::Result;

/// The same rows; buffers of views hold a quarter more than the bytes that are shown at most.
pub fn compacted(rows: &RecordBatch) -> Result<RecordBatch> {
    let columns = rows.columns().iter().map(compact).collect::<Result<_>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    Ok(RecordBatch::try_new_with_options(rows.schema(), columns, &options)?)
}

fn compact(array: &ArrayRef) -> Result<ArrayRef> {
    Ok(match array.data_type() {
        DataType::Utf8View => Arc::new(of_views(array.as_string_view())),
        DataType::BinaryView => Arc::new(of_views(array.as_binary_view())),
        DataType::List(field) => Arc::new(of_lists::<i32>(array.as_list(), field)?),
        DataType::LargeList(field) => Arc::new(of_lists::<i64>(array.as_list(), field)?),
        DataType::FixedSizeList(field, len) => {
            let list = array.as_fixed_size_list();
            let items = compact(list.values())?;
            let (field, nulls) = (Arc::clone(field), list.nulls().cloned());
            Arc::new(FixedSizeListArray::try_new_with_length(
                field,
                *len,
                items,
                nulls,
                list.len(),
            )?)
        }
        DataType::Map(field, sorted) => {
            let map = array.as_map();
            let (first, last) = (map.offsets()[0] as usize, map.offsets()[map.len()] as usize);
            let entries: ArrayRef = Arc::new(map.entries().slice(first, last - first));
            let entries = compact(&entries)?.as_struct().clone();
            let lengths = OffsetBuffer::from_lengths(map.offsets().lengths());
            let (field, nulls) = (Arc::clone(field), map.nulls().cloned());
            Arc::new(MapArray::try_new(field, lengths, entries, nulls, *sorted)?)
        }
        DataType::Struct(fields) if !fields.is_empty() => {
            let parts = array.as_struct();
            let columns = parts.columns().iter().map(compact).collect::<Result<_>>()?;
            Arc::new(StructArray::try_new(fields.clone(), columns, parts.nulls().cloned())?)
        }
        _ => Arc::clone(array),
    })
}

fn of_lists<O: OffsetSizeTrait>(
    list: &GenericListArray<O>,
    field: &FieldRef,
) -> Result<GenericListArray<O>> {
    let offsets = list.offsets();
    let (first, last) = (offsets[0].as_usize(), offsets[list.len()].as_usize());
    let items = compact(&list.values().slice(first, last - first))?;
    let lengths = OffsetBuffer::from_lengths(offsets.lengths());
    Ok(GenericListArray::try_new(Arc::clone(field), lengths, items, list.nulls().cloned())?)
}

fn of_views<T: ByteViewType + ?Sized>(array: &GenericByteViewArray<T>) -> GenericByteViewArray<T> {
    let held: usize = array.data_buffers().iter().map(Buffer::len).sum();
    let shown = array.total_buffer_bytes_used();
    if held > shown + shown / 4 { array.gc() } else { array.clone() }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int32Array, ListArray, StringViewArray};
    use arrow::datatypes::Field;

    use super::*;

    #[test]
    fn slices_let_go_of_what_they_do_not_show() {
        let words: Vec<String> = (0..1_000).map(|n| format!("a text that is long: {n}")).collect();
        let texts: ArrayRef = Arc::new(StringViewArray::from_iter_values(&words));
        let lists: ArrayRef = Arc::new(
            ListArray::try_new(
                Arc::new(Field::new_list_field(DataType::Utf8View, true)),
                OffsetBuffer::from_lengths([10; 100]),
                Arc::clone(&texts),
                None,
            )
            .unwrap(),
        );
        let parts: ArrayRef = Arc::new(StructArray::from(vec![
            (Arc::new(Field::new("t", DataType::Utf8View, true)), texts.slice(0, 100)),
            (
                Arc::new(Field::new("n", DataType::Int32, true)),
                Arc::new(Int32Array::from_iter_values(0..100)) as ArrayRef,
            ),
        ]));
        let columns = [("text", texts.slice(500, 100)), ("list", lists), ("struct", parts)];
        let whole = RecordBatch::try_from_iter(columns).unwrap();
        let slice = whole.slice(40, 3);
        let found = compacted(&slice).unwrap();
        assert_eq!(found, slice);
        let bytes = |array: &ArrayRef| array.as_string_view().get_buffer_memory_size();
        assert!(bytes(slice.column(0)) > 10_000 && bytes(found.column(0)) < 200);
        assert!(bytes(found.column(1).as_list::<i32>().values()) < 2_000);
        assert!(bytes(found.column(2).as_struct().column(0)) < 200);
        // What shows most of its bytes stays as it is.
        let most = RecordBatch::try_from_iter([("text", texts.slice(0, 900))]).unwrap();
        let same = compacted(&most).unwrap();
        let buffer =
            |batch: &RecordBatch| batch.column(0).as_string_view().data_buffers()[0].as_ptr();
        assert_eq!(buffer(&same), buffer(&most));
    }
}
