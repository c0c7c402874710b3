//! How many bytes arrays show of their buffers, which may hold much else: a slice of a large batch
//! is small.

use arrow::array::{Array, AsArray, GenericListArray, OffsetSizeTrait, RecordBatch};
use arrow::datatypes::DataType;

/// Bytes of the rows of a batch.
pub fn batch_bytes(batch: &RecordBatch) -> usize {
    batch.columns().iter().map(|column| shown_bytes(column)).sum()
}

/// Bytes of the values of an array, with their offsets, views and which of them are NULL.
pub fn shown_bytes(array: &dyn Array) -> usize {
    let values = match array.data_type() {
        DataType::Utf8View => 16 * array.len() + array.as_string_view().total_buffer_bytes_used(),
        DataType::BinaryView => 16 * array.len() + array.as_binary_view().total_buffer_bytes_used(),
        DataType::Struct(_) => {
            array.as_struct().columns().iter().map(|column| shown_bytes(column)).sum()
        }
        DataType::FixedSizeList(..) => shown_bytes(array.as_fixed_size_list().values()),
        DataType::List(_) => of_list::<i32>(array.as_list()),
        DataType::LargeList(_) => of_list::<i64>(array.as_list()),
        DataType::Map(..) => {
            let map = array.as_map();
            let (first, last) = (map.offsets()[0] as usize, map.offsets()[array.len()] as usize);
            4 * (array.len() + 1) + shown_bytes(&map.entries().slice(first, last - first))
        }
        _ => {
            let bytes = array.to_data().get_slice_memory_size();
            return bytes.unwrap_or_else(|_| array.get_array_memory_size());
        }
    };
    values + array.nulls().map_or(0, |nulls| nulls.len().div_ceil(8))
}

fn of_list<O: OffsetSizeTrait>(list: &GenericListArray<O>) -> usize {
    let (first, last) = (list.offsets()[0].as_usize(), list.offsets()[list.len()].as_usize());
    size_of::<O>() * (list.len() + 1) + shown_bytes(&list.values().slice(first, last - first))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, ListArray, StringArray, StringViewArray};
    use arrow::datatypes::Int64Type;

    use super::*;

    #[test]
    fn a_slice_has_the_bytes_that_it_shows() {
        let text = |n: usize| "x".repeat(100 * n);
        let views =
            StringViewArray::from_iter([Some(text(1)), None, Some(text(2)), Some("y".into())]);
        assert_eq!(shown_bytes(&views), 4 * 16 + 300 + 1);
        assert_eq!(shown_bytes(&views.slice(2, 1)), 16 + 200 + 1);
        let plain = StringArray::from_iter_values([text(1), text(2), text(3)]);
        assert_eq!(shown_bytes(&plain.slice(1, 1)), 2 * 4 + 200);
        let items = [Some(vec![Some(1), Some(2)]), Some(vec![]), Some(vec![Some(3)])];
        let lists = ListArray::from_iter_primitive::<Int64Type, _, _>(items);
        assert_eq!(shown_bytes(&lists.slice(1, 2)), 3 * 4 + 8);
        let columns: [(&str, ArrayRef); 2] =
            [("n", Arc::new(Int64Array::from(vec![1, 2]))), ("text", Arc::new(views.slice(2, 2)))];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        assert_eq!(batch_bytes(&batch), 2 * 8 + shown_bytes(&views.slice(2, 2)));
    }
}
