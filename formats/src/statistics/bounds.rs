//! Smallest and largest value of an array, cut to a bearable length.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowNumericType, AsArray, BinaryArray, BinaryViewArray, BooleanArray,
    FixedSizeBinaryArray, LargeBinaryArray, LargeStringArray, PrimitiveArray, StringArray,
    StringViewArray, downcast_primitive_array, make_comparator,
};
use arrow::compute::{self, SortOptions, cast};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Float16Type, Float32Type, Float64Type};

use crate::Result;

/// Longest text or binary bound that is kept, in bytes.
const CUT_LEN: usize = 64;

/// Bounds of some rows.
#[derive(Clone, Debug)]
pub(super) struct Bounds {
    /// No row had a value.
    pub(super) empty: bool,
    /// At most the smallest value.
    pub(super) min: Option<ArrayRef>,
    /// At least the largest value; `None` also when there is no short bound.
    pub(super) max: Option<ArrayRef>,
    /// Both bounds are values that occur.
    pub(super) exact: bool,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { empty: true, min: None, max: None, exact: true }
    }
}

impl Bounds {
    /// True for the types that have an order.
    pub(super) fn supports(data_type: &DataType) -> bool {
        match data_type {
            DataType::Dictionary(_, value) => Self::supports(value),
            DataType::Null | DataType::Interval(_) | DataType::RunEndEncoded(..) => false,
            other => !other.is_nested(),
        }
    }

    /// The bounds of `array`, empty for types without order.
    pub(super) fn of(array: &ArrayRef) -> Result<Self> {
        if let DataType::Dictionary(_, value) = array.data_type() {
            let mut bounds = Self::of(&cast(array, value)?)?;
            bounds.min = bounds.min.map(|min| cast(&min, array.data_type())).transpose()?;
            bounds.max = bounds.max.map(|max| cast(&max, array.data_type())).transpose()?;
            return Ok(bounds);
        }
        if !Self::supports(array.data_type()) || array.null_count() == array.len() {
            return Ok(Self::default());
        }
        Ok(ordered_bounds(array))
    }

    /// Widens these bounds to hold `other`'s rows too.
    pub(super) fn include(&mut self, other: Self) -> Result<()> {
        if other.empty {
            return Ok(());
        }
        if self.empty {
            *self = other;
            return Ok(());
        }
        self.min = choose(self.min.take(), other.min, Ordering::Greater)?;
        self.max = choose(self.max.take(), other.max, Ordering::Less)?;
        self.exact &= other.exact;
        Ok(())
    }
}

/// The one of two bounds that stays; `right` when `left` compares as `replace_on`.
fn choose(
    left: Option<ArrayRef>,
    right: Option<ArrayRef>,
    replace_on: Ordering,
) -> Result<Option<ArrayRef>> {
    let (Some(left), Some(right)) = (left, right) else {
        return Ok(None);
    };
    let order = make_comparator(&left, &right, SortOptions::default())?(0, 0);
    Ok(Some(if order == replace_on { right } else { left }))
}

fn ordered_bounds(array: &ArrayRef) -> Bounds {
    let dynamic: &dyn Array = array.as_ref();
    match array.data_type() {
        DataType::Float16 | DataType::Float32 | DataType::Float64 => float_bounds(array),
        DataType::Boolean => {
            let array = array.as_boolean();
            exact_bounds(compute::min_boolean(array), compute::max_boolean(array), |v| {
                Arc::new(BooleanArray::from(vec![v]))
            })
        }
        DataType::Utf8 => {
            let a = array.as_string::<i32>();
            text_bounds(compute::min_string(a), compute::max_string(a), |v| {
                Arc::new(StringArray::from(vec![v]))
            })
        }
        DataType::LargeUtf8 => {
            let a = array.as_string::<i64>();
            text_bounds(compute::min_string(a), compute::max_string(a), |v| {
                Arc::new(LargeStringArray::from(vec![v]))
            })
        }
        DataType::Utf8View => {
            let a = array.as_string_view();
            text_bounds(compute::min_string_view(a), compute::max_string_view(a), |v| {
                Arc::new(StringViewArray::from(vec![v]))
            })
        }
        DataType::Binary => {
            let a = array.as_binary::<i32>();
            binary_bounds(compute::min_binary(a), compute::max_binary(a), |v| {
                Arc::new(BinaryArray::from(vec![v]))
            })
        }
        DataType::LargeBinary => {
            let a = array.as_binary::<i64>();
            binary_bounds(compute::min_binary(a), compute::max_binary(a), |v| {
                Arc::new(LargeBinaryArray::from(vec![v]))
            })
        }
        DataType::BinaryView => {
            let a = array.as_binary_view();
            binary_bounds(compute::min_binary_view(a), compute::max_binary_view(a), |v| {
                Arc::new(BinaryViewArray::from(vec![v]))
            })
        }
        DataType::FixedSizeBinary(_) => {
            let a = array.as_fixed_size_binary();
            // A fixed width cannot be cut.
            exact_bounds(
                compute::min_fixed_size_binary(a),
                compute::max_fixed_size_binary(a),
                |v| Arc::new(FixedSizeBinaryArray::new(v.len() as i32, v.into(), None)),
            )
        }
        _ => downcast_primitive_array!(
            dynamic => primitive_bounds(dynamic),
            _ => Bounds::default()
        ),
    }
}

fn primitive_bounds<T: ArrowNumericType>(array: &PrimitiveArray<T>) -> Bounds {
    exact_bounds(compute::min(array), compute::max(array), |v| {
        let one = PrimitiveArray::<T>::from_iter_values([v]);
        Arc::new(one.with_data_type(array.data_type().clone()))
    })
}

/// Floats: a zero bound is widened to the zero of the other sign, so that pruning
/// is right for readers that tell the two apart and for those that do not.
fn float_bounds(array: &ArrayRef) -> Bounds {
    macro_rules! bounds {
        ($t:ty, $zero:expr) => {{
            type Native = <$t as ArrowPrimitiveType>::Native;
            let array = array.as_primitive::<$t>();
            let (min, max) = (compute::min(array), compute::max(array));
            let odd = |v: &Native| *v == $zero || v.is_nan();
            let exact = !min.iter().any(odd) && !max.iter().any(odd);
            let min = min.map(|v| if v == $zero { -$zero } else { v });
            let max = max.map(|v| if v == $zero { $zero } else { v });
            let one = |v: Native| Arc::new(PrimitiveArray::<$t>::from_iter_values([v])) as ArrayRef;
            Bounds { empty: min.is_none(), min: min.map(one), max: max.map(one), exact }
        }};
    }
    match array.data_type() {
        DataType::Float16 => bounds!(Float16Type, Native::ZERO),
        DataType::Float32 => bounds!(Float32Type, 0.0_f32),
        _ => bounds!(Float64Type, 0.0_f64),
    }
}

fn exact_bounds<V>(min: Option<V>, max: Option<V>, array: impl Fn(V) -> ArrayRef) -> Bounds {
    Bounds { empty: min.is_none(), min: min.map(&array), max: max.map(&array), exact: true }
}

fn text_bounds(min: Option<&str>, max: Option<&str>, array: impl Fn(&str) -> ArrayRef) -> Bounds {
    let (Some(min), Some(max)) = (min, max) else {
        return Bounds::default();
    };
    let exact = min.len() <= CUT_LEN && max.len() <= CUT_LEN;
    let upper = if max.len() <= CUT_LEN {
        Some(array(max))
    } else {
        text_end(cut_text(max)).map(|end| array(&end))
    };
    Bounds { empty: false, min: Some(array(cut_text(min))), max: upper, exact }
}

fn binary_bounds(
    min: Option<&[u8]>,
    max: Option<&[u8]>,
    array: impl Fn(&[u8]) -> ArrayRef,
) -> Bounds {
    let (Some(min), Some(max)) = (min, max) else {
        return Bounds::default();
    };
    let exact = min.len() <= CUT_LEN && max.len() <= CUT_LEN;
    let upper = if max.len() <= CUT_LEN {
        Some(array(max))
    } else {
        bytes_end(&max[..CUT_LEN]).map(|end| array(&end))
    };
    Bounds { empty: false, min: Some(array(&min[..min.len().min(CUT_LEN)])), max: upper, exact }
}

/// The longest prefix of at most [`CUT_LEN`] bytes that ends at a character.
fn cut_text(text: &str) -> &str {
    &text[..text.floor_char_boundary(CUT_LEN)]
}

/// The smallest text of the same length or shorter that is greater than every text
/// that starts with `prefix`; `None` when there is none.
fn text_end(prefix: &str) -> Option<String> {
    let mut end = prefix.to_owned();
    while let Some(last) = end.pop() {
        // The next character by code point is also the next by UTF-8 bytes;
        // surrogates are no characters and are jumped over.
        let next = match u32::from(last) {
            0xD7FF => Some('\u{E000}'),
            code => char::from_u32(code + 1),
        };
        if let Some(next) = next {
            end.push(next);
            return Some(end);
        }
    }
    None
}

/// Likewise for bytes.
fn bytes_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|&byte| byte != u8::MAX)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

/// The smallest text greater than every text that starts with `prefix`.
pub(crate) fn prefix_end(prefix: &str) -> Option<String> {
    text_end(prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upper_bounds_of_cut_texts_are_above_them() {
        assert_eq!(text_end("abc").as_deref(), Some("abd"));
        assert_eq!(text_end("ab\u{10FFFF}").as_deref(), Some("ac"));
        assert_eq!(text_end("a\u{D7FF}").as_deref(), Some("a\u{E000}"));
        assert_eq!(text_end("\u{10FFFF}"), None);
        assert_eq!(bytes_end(&[1, 255]), Some(vec![2]));
        assert_eq!(bytes_end(&[255, 255]), None);
    }

    #[test]
    fn long_texts_are_cut_at_a_character() {
        let long = "ä".repeat(60);
        let array: ArrayRef = Arc::new(StringViewArray::from(vec![long.as_str()]));
        let bounds = Bounds::of(&array).unwrap();
        let (min, max) = (bounds.min.unwrap(), bounds.max.unwrap());
        assert!(!bounds.exact);
        assert_eq!(min.as_string_view().value(0), "ä".repeat(32));
        assert!(max.as_string_view().value(0) > long.as_str());
        assert!(max.as_string_view().value(0).len() <= CUT_LEN);
    }

    #[test]
    fn zeros_are_widened_and_nan_is_largest() {
        let array: ArrayRef =
            Arc::new(PrimitiveArray::<Float64Type>::from(vec![0.0, 3.0, f64::NAN]));
        let bounds = Bounds::of(&array).unwrap();
        assert!(!bounds.exact);
        assert!(bounds.min.unwrap().as_primitive::<Float64Type>().value(0).is_sign_negative());
        assert!(bounds.max.unwrap().as_primitive::<Float64Type>().value(0).is_nan());
    }
}
