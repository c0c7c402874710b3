//! Texts and bytes from views of them.

use arrow::array::types::{ByteArrayType, ByteViewType};
use arrow::array::{
    Array, ByteView, GenericByteArray, GenericByteViewArray, MAX_INLINE_VIEW_LEN, OffsetSizeTrait,
};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::ArrowNativeType;

/// Bytes that a view has room for.
const INLINE: usize = MAX_INLINE_VIEW_LEN as usize;

/// What views show, one value after the other; `None` where it is more than offsets of this
/// width reach. A NULL shows nothing, whatever its view says.
pub(super) fn joined<T, V>(views: &GenericByteViewArray<V>) -> Option<GenericByteArray<T>>
where
    T: ByteArrayType,
    V: ByteViewType<Native = T::Native>,
{
    let lens = views.views().iter().map(|view| *view as u32 as usize);
    let offsets: Vec<T::Offset> = match views.nulls() {
        None => ends(lens)?,
        Some(nulls) => ends(lens.zip(nulls).map(|(len, is_there)| if is_there { len } else { 0 }))?,
    };
    let buffers = views.data_buffers();
    let bytes = offsets[views.len()].as_usize();
    // A short value is written with all bytes of its view, which is quicker than a copy of so
    // many as it has; the next one overwrites the rest.
    let mut values = vec![0; bytes + INLINE];
    for (view, ends) in views.views().iter().zip(offsets.windows(2)) {
        let (at, end) = (ends[0].as_usize(), ends[1].as_usize());
        if end - at <= INLINE {
            values[at..at + INLINE].copy_from_slice(&view.to_le_bytes()[size_of::<u32>()..]);
        } else {
            let view = ByteView::from(*view);
            let from = view.offset as usize;
            let value = &buffers[view.buffer_index as usize][from..from + (end - at)];
            values[at..end].copy_from_slice(value);
        }
    }
    values.truncate(bytes);
    let (offsets, values) = (ScalarBuffer::from(offsets), Buffer::from(values));
    let nulls = views.nulls().cloned();
    // SAFETY: the offsets ascend from zero to the length of the values, and each value between
    // two of them is one of an array of the same kind of values, whole.
    Some(unsafe {
        GenericByteArray::new_unchecked(OffsetBuffer::new_unchecked(offsets), values, nulls)
    })
}

/// Zero, and where each value ends.
fn ends<O: OffsetSizeTrait>(lens: impl ExactSizeIterator<Item = usize>) -> Option<Vec<O>> {
    let mut ends = Vec::with_capacity(lens.len() + 1);
    let mut end = 0;
    ends.push(O::usize_as(0));
    ends.extend(lens.map(|len| {
        end += len;
        O::usize_as(end)
    }));
    O::from_usize(end).map(|_| ends)
}

#[cfg(test)]
mod tests {
    use arrow::array::{BinaryViewArray, StringArray, StringViewArray};
    use arrow::buffer::NullBuffer;
    use arrow::datatypes::{BinaryType, LargeUtf8Type, Utf8Type};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn texts_are_what_their_views_show(
            texts in prop::collection::vec(prop::option::of("[a-zäß]{0,30}"), 0..200),
            cut in 0..200_usize,
        ) {
            let views: StringViewArray = texts.iter().map(Option::as_deref).collect();
            let cut = cut.min(views.len());
            for views in [views.clone(), views.slice(cut, views.len() - cut)] {
                let plain = joined::<Utf8Type, _>(&views).unwrap();
                plain.to_data().validate_full().unwrap();
                prop_assert!(plain.iter().eq(views.iter()));
                let large = joined::<LargeUtf8Type, _>(&views).unwrap();
                prop_assert!(large.iter().eq(views.iter()));
                let bytes = views.to_binary_view();
                prop_assert!(joined::<BinaryType, _>(&bytes).unwrap().iter().eq(bytes.iter()));
            }
        }
    }

    #[test]
    fn the_view_of_a_null_shows_nothing() {
        let views = StringViewArray::from_iter_values(["abc", "x", "a text that is not short"]);
        let (views, buffers, _) = views.into_parts();
        let nulls = NullBuffer::from(vec![false, true, false]);
        let views = StringViewArray::new(views, buffers, Some(nulls));
        let plain = joined::<Utf8Type, _>(&views).unwrap();
        assert_eq!(plain, StringArray::from(vec![None, Some("x"), None]));
        assert_eq!(plain.value_data(), b"x");
    }

    #[test]
    fn more_than_offsets_reach_is_refused() {
        let value = vec![b'x'; 1 << 20];
        let view = BinaryViewArray::from_iter_values([&value]).views()[0];
        let many = BinaryViewArray::new(vec![view; 3000].into(), [Buffer::from(value)], None);
        assert!(joined::<BinaryType, _>(&many).is_none());
    }
}
