//! Rows of other types.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, GenericListArray, MapArray, OffsetSizeTrait,
    RecordBatch, RecordBatchOptions, StructArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{CastOptions, cast_with_options, take};
use arrow::datatypes::{
    BinaryType, DataType, FieldRef, Fields, LargeBinaryType, LargeUtf8Type, SchemaRef, Utf8Type,
};
use arrow::error::ArrowError;

use super::texts::joined;
use crate::{Result, shown_bytes};

/// What offsets of 32 bits reach.
const BYTES_MAX: usize = i32::MAX as usize;

/// Rows with the types of a schema, and its names. They become several batches where texts of
/// more than 2 GiB would be in one. A value that its column cannot have is an error.
pub fn cast_rows(rows: &RecordBatch, schema: &SchemaRef) -> Result<Vec<RecordBatch>> {
    if rows.num_columns() != schema.fields().len() {
        let error = "the rows have other columns than were announced".to_owned();
        return Err(ArrowError::SchemaError(error).into());
    }
    let mut all = Vec::with_capacity(1);
    in_parts(rows, &|rows| cast_batch(rows, schema), &mut all)?;
    Ok(all)
}

/// Why there is no array.
enum Refused {
    /// Its texts are more than offsets reach.
    TooLong {
        column: String,
    },
    Arrow(ArrowError),
}

impl From<ArrowError> for Refused {
    fn from(error: ArrowError) -> Self {
        Self::Arrow(error)
    }
}

/// Halves what is refused because it is too long.
fn in_parts(
    rows: &RecordBatch,
    cast: &impl Fn(&RecordBatch) -> Result<RecordBatch, Refused>,
    all: &mut Vec<RecordBatch>,
) -> Result<()> {
    let len = rows.num_rows();
    match cast(rows) {
        Ok(rows) => all.push(rows),
        Err(Refused::TooLong { .. }) if len > 1 => {
            in_parts(&rows.slice(0, len / 2), cast, all)?;
            in_parts(&rows.slice(len / 2, len - len / 2), cast, all)?;
        }
        Err(Refused::TooLong { column }) => {
            let error = format!("a value of '{column}' is longer than 2 GiB");
            return Err(ArrowError::InvalidArgumentError(error).into());
        }
        Err(Refused::Arrow(error)) => return Err(error.into()),
    }
    Ok(())
}

fn cast_batch(rows: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, Refused> {
    let columns = rows.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| cast_column(column, field));
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    let columns = columns.collect::<Result<_, _>>()?;
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}

fn cast_column(column: &ArrayRef, field: &FieldRef) -> Result<ArrayRef, Refused> {
    cast(column, field.data_type())?
        .ok_or_else(|| Refused::TooLong { column: field.name().clone() })
}

/// `None` if texts are too long. Arrow's own cast would panic then, and is slower for texts.
fn cast(array: &ArrayRef, to: &DataType) -> Result<Option<ArrayRef>, ArrowError> {
    use DataType as T;
    Ok(match (array.data_type(), to) {
        (from, to) if from == to => Some(Arc::clone(array)),
        (T::Utf8View, T::Utf8) => shared(joined::<Utf8Type, _>(array.as_string_view())),
        (T::Utf8View, T::LargeUtf8) => shared(joined::<LargeUtf8Type, _>(array.as_string_view())),
        (T::BinaryView, T::Binary) => shared(joined::<BinaryType, _>(array.as_binary_view())),
        (T::BinaryView, T::LargeBinary) => {
            shared(joined::<LargeBinaryType, _>(array.as_binary_view()))
        }
        (T::List(_), T::List(item)) => of_list(array.as_list::<i32>(), item)?,
        (T::LargeList(_), T::LargeList(item)) => of_list(array.as_list::<i64>(), item)?,
        (T::FixedSizeList(_, len), T::FixedSizeList(item, same)) if len == same => {
            let lists = array.as_fixed_size_list();
            let Some(values) = cast(lists.values(), item.data_type())? else { return Ok(None) };
            let (item, nulls) = (Arc::clone(item), lists.nulls().cloned());
            let lists =
                FixedSizeListArray::try_new_with_length(item, *len, values, nulls, lists.len())?;
            shared(Some(lists))
        }
        (T::Struct(from), T::Struct(fields)) if are_named_alike(from, fields) => {
            shared(of_struct(array.as_struct(), fields)?)
        }
        (T::Map(..), T::Map(field, is_sorted)) if let T::Struct(fields) = field.data_type() => {
            let maps = array.as_map();
            let (offsets, first, len) = from_zero(maps.offsets());
            let entries = of_struct(&maps.entries().slice(first, len), fields)?;
            let Some(entries) = entries else { return Ok(None) };
            let (field, nulls) = (Arc::clone(field), maps.nulls().cloned());
            shared(Some(MapArray::try_new(field, offsets, entries, nulls, *is_sorted)?))
        }
        (T::ListView(item), T::List(_)) => {
            cast(&arrow_cast(array, &T::List(Arc::clone(item)))?, to)?
        }
        (T::LargeListView(item), T::LargeList(_)) => {
            cast(&arrow_cast(array, &T::LargeList(Arc::clone(item)))?, to)?
        }
        (T::Dictionary(_, value), to) if !matches!(to, T::Dictionary(..)) => {
            // A text that often comes is there once: of views, all are not written before `to`
            // says so. Arrow's own cast to views takes a NULL among the values for an empty text.
            let dictionary = array.as_any_dictionary();
            let values = arrow_cast(dictionary.values(), &viewed(value))?;
            cast(&take(&values, dictionary.keys(), None)?, to)?
        }
        (T::RunEndEncoded(_, value), to) if !matches!(to, T::RunEndEncoded(..)) => {
            cast(&arrow_cast(array, &viewed(value.data_type()))?, to)?
        }
        _ if shown_bytes(array) > BYTES_MAX && has_text(to) => None,
        _ => Some(arrow_cast(array, to)?),
    })
}

/// Views in place of text and bytes.
fn viewed(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
        other => other.clone(),
    }
}

/// Whether text or bytes are in it whose offsets are of 32 bits.
fn has_text(data_type: &DataType) -> bool {
    use DataType as T;
    match data_type {
        T::Utf8 | T::Binary => true,
        T::List(of) | T::LargeList(of) | T::ListView(of) | T::LargeListView(of) => {
            has_text(of.data_type())
        }
        T::FixedSizeList(of, _) | T::Map(of, _) => has_text(of.data_type()),
        T::Struct(fields) => fields.iter().any(|field| has_text(field.data_type())),
        T::Dictionary(_, value) => has_text(value),
        T::RunEndEncoded(_, value) => has_text(value.data_type()),
        _ => false,
    }
}

fn arrow_cast(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    cast_with_options(array, to, &CastOptions { safe: false, ..CastOptions::default() })
}

fn shared<A: Array + 'static>(array: Option<A>) -> Option<ArrayRef> {
    array.map(|array| Arc::new(array) as ArrayRef)
}

fn of_list<O: OffsetSizeTrait>(
    lists: &GenericListArray<O>,
    item: &FieldRef,
) -> Result<Option<ArrayRef>, ArrowError> {
    let (offsets, first, len) = from_zero(lists.offsets());
    let values = cast(&lists.values().slice(first, len), item.data_type())?;
    let Some(values) = values else { return Ok(None) };
    let (item, nulls) = (Arc::clone(item), lists.nulls().cloned());
    Ok(shared(Some(GenericListArray::try_new(item, offsets, values, nulls)?)))
}

fn are_named_alike(fields: &Fields, others: &Fields) -> bool {
    fields.iter().map(|field| field.name()).eq(others.iter().map(|field| field.name()))
}

fn of_struct(rows: &StructArray, fields: &Fields) -> Result<Option<StructArray>, ArrowError> {
    let columns = rows.columns().iter().zip(fields);
    let columns = columns.map(|(column, field)| cast(column, field.data_type()));
    let Some(columns) = columns.collect::<Result<Option<_>, _>>()? else { return Ok(None) };
    let nulls = rows.nulls().cloned();
    Ok(Some(StructArray::try_new_with_length(fields.clone(), columns, nulls, rows.len())?))
}

/// Offsets into the values that they show, of which they show so many from the first on.
fn from_zero<O: OffsetSizeTrait>(offsets: &OffsetBuffer<O>) -> (OffsetBuffer<O>, usize, usize) {
    let (first, last) = (offsets[0], offsets[offsets.len() - 1]);
    let shown = offsets.iter().map(|offset| *offset - first).collect();
    (OffsetBuffer::new(shown), first.as_usize(), (last - first).as_usize())
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        DictionaryArray, Int32Array, LargeStringArray, ListArray, ListViewArray, MapBuilder,
        StringArray, StringViewArray, StringViewBuilder,
    };
    use arrow::buffer::{Buffer, ScalarBuffer};
    use arrow::datatypes::{Field, Int32Type};
    use arrow::util::pretty::pretty_format_batches;

    use super::super::{plain_schema, without_views};
    use super::*;

    fn plain(rows: &RecordBatch) -> Result<Vec<RecordBatch>> {
        cast_rows(rows, &Arc::new(plain_schema(rows.schema_ref(), &without_views)))
    }

    fn list(lens: [usize; 3], values: &ArrayRef) -> ArrayRef {
        let item = Arc::new(Field::new_list_field(values.data_type().clone(), true));
        let lists = OffsetBuffer::from_lengths(lens);
        Arc::new(ListArray::new(item, lists, Arc::clone(values), None))
    }

    #[test]
    fn views_are_plain_wherever_they_are() {
        let long = "a text that its view has no room for";
        let texts: ArrayRef = Arc::new(StringViewArray::from_iter([Some(long), None, Some("b")]));
        let bytes: ArrayRef = Arc::new(texts.as_string_view().clone().to_binary_view());
        let item = Arc::new(Field::new_list_field(DataType::Utf8View, true));
        let fixed = FixedSizeListArray::new(Arc::clone(&item), 1, Arc::clone(&texts), None);
        let (at, lens) = (ScalarBuffer::from(vec![2, 0, 0]), ScalarBuffer::from(vec![1, 2, 0]));
        let overlapping = ListViewArray::new(item, at, lens, Arc::clone(&texts), None);
        let of_texts = Arc::new(Field::new("t", DataType::Utf8View, true));
        let parts = StructArray::from(vec![(of_texts, Arc::clone(&texts))]);
        let mut maps = MapBuilder::new(None, StringViewBuilder::new(), StringViewBuilder::new());
        for entries in [&["a", "b"][..], &[], &["c"]] {
            for entry in entries {
                maps.keys().append_value(entry);
                maps.values().append_value(long);
            }
            maps.append(true).unwrap();
        }
        let rows = RecordBatch::try_from_iter([
            ("list", list([1, 0, 2], &texts)),
            ("list of lists", list([0, 2, 1], &list([1, 1, 1], &texts))),
            ("text", texts),
            ("bytes", bytes),
            ("array", Arc::new(fixed)),
            ("list view", Arc::new(overlapping)),
            ("parts", Arc::new(parts)),
            ("map", Arc::new(maps.finish())),
        ])
        .unwrap();
        for rows in [rows.clone(), rows.slice(1, 2), rows.slice(2, 1), rows.slice(1, 0)] {
            let all = plain(&rows).unwrap();
            let [plain] = all.as_slice() else { panic!("{} batches", all.len()) };
            assert!(!plain.schema_ref().to_string().contains("View"), "{}", plain.schema_ref());
            for column in plain.columns() {
                column.to_data().validate_full().unwrap();
            }
            let shown = [rows, plain.clone()]
                .map(|rows| pretty_format_batches(&[rows]).unwrap().to_string());
            assert_eq!(shown[0], shown[1]);
        }
    }

    #[test]
    fn words_become_values_with_their_nulls() {
        let words = [Some("a"), None, Some("a text that its view has no room for")];
        let shown = [Some("a"), None, words[2], None, Some("a")];
        let keys = Int32Array::from(vec![Some(0), Some(1), Some(2), None, Some(0)]);
        for words in [
            Arc::new(StringArray::from_iter(words)) as ArrayRef,
            Arc::new(LargeStringArray::from_iter(words)),
            Arc::new(StringViewArray::from_iter(words)),
        ] {
            let words: ArrayRef = Arc::new(DictionaryArray::new(keys.clone(), words));
            for to in [DataType::Utf8, DataType::LargeUtf8, DataType::Utf8View] {
                let values = cast(&words, &to).unwrap().unwrap();
                let values = arrow_cast(&values, &DataType::Utf8).unwrap();
                assert_eq!(values.as_string::<i32>().iter().collect::<Vec<_>>(), shown);
                let last = cast(&words.slice(3, 2), &to).unwrap().unwrap();
                assert!(last.is_null(0) && last.len() == 2);
            }
        }
    }

    #[test]
    fn what_is_too_long_is_halved() {
        let numbers: ArrayRef = Arc::new(Int32Array::from_iter_values(0..100));
        let rows = RecordBatch::try_from_iter([("n", numbers)]).unwrap();
        let refused = |column: &str| Err(Refused::TooLong { column: column.to_owned() });
        let up_to_ten = |rows: &RecordBatch| match rows.num_rows() {
            ..=10 => Ok(rows.clone()),
            _ => refused("n"),
        };
        let mut parts = Vec::new();
        in_parts(&rows, &up_to_ten, &mut parts).unwrap();
        assert_eq!(parts.len(), 16);
        assert_eq!(arrow::compute::concat_batches(rows.schema_ref(), &parts).unwrap(), rows);
        let error = in_parts(&rows, &|_| refused("n"), &mut Vec::new()).unwrap_err().to_string();
        assert!(error.contains("a value of 'n' is longer than 2 GiB"), "{error}");
    }

    #[test]
    fn texts_are_too_long_wherever_they_are() {
        // Views of one text, which takes no more than itself until they are plain.
        let text = "x".repeat(1 << 20);
        let view = StringViewArray::from_iter_values([&text]).views()[0];
        let texts: ArrayRef = Arc::new(StringViewArray::new(
            vec![view; 3000].into(),
            [Buffer::from(text.as_bytes())],
            None,
        ));
        let keys = Int32Array::from(vec![0; 3000]);
        let words = DictionaryArray::<Int32Type>::new(keys, texts.slice(0, 1));
        let columns =
            [list([0, 3000, 0], &texts), list([0, 3000, 0], &(Arc::new(words) as ArrayRef))];
        // Types that only Arrow can cast into one another.
        let wanted = Field::new_list_field(DataType::Utf8, true);
        let wanted = DataType::LargeList(Arc::new(wanted));
        assert!(cast(&columns[0], &wanted).unwrap().is_none());
        assert!(cast(&texts, &DataType::Binary).unwrap().is_none());
        for column in columns {
            let rows = RecordBatch::try_from_iter([("l", column)]).unwrap();
            let schema = plain_schema(rows.schema_ref(), &|data_type| match data_type {
                DataType::Dictionary(_, value) => Some(DataType::clone(value)),
                other => without_views(other),
            });
            let error = cast_rows(&rows, &Arc::new(schema)).unwrap_err().to_string();
            assert!(error.contains("a value of 'l' is longer than 2 GiB"), "{error}");
        }
    }
}
