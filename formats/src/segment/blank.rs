//! What lies in the slots of NULLs.
//!
//! Arrow leaves it open, and row decoding puts odd values there. Vortex narrows
//! decimals by their precision and reads non-nullable children without looking at
//! their parents, so both must find plain values.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, FixedSizeListArray, PrimitiveArray,
};
use arrow::datatypes::{DataType, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type};

use crate::Result;

/// `array` with plain values under its NULLs, where an encoding looks at them.
pub(super) fn blank_nulls(array: ArrayRef) -> Result<ArrayRef> {
    if array.null_count() == 0 {
        return Ok(array);
    }
    Ok(match array.data_type() {
        DataType::Decimal32(..) => zeroed::<Decimal32Type>(&array),
        DataType::Decimal64(..) => zeroed::<Decimal64Type>(&array),
        DataType::Decimal128(..) => zeroed::<Decimal128Type>(&array),
        DataType::Decimal256(..) => zeroed::<Decimal256Type>(&array),
        DataType::FixedSizeList(field, len) => {
            let list = array.as_fixed_size_list();
            let mut values = blank_nulls(list.values().clone())?;
            if !field.is_nullable() && values.null_count() > 0 {
                let whole = values.to_data().into_builder().nulls(None).build()?;
                values = arrow::array::make_array(whole);
            }
            let nulls = list.nulls().cloned();
            Arc::new(FixedSizeListArray::try_new(field.clone(), *len, values, nulls)?)
        }
        _ => array,
    })
}

fn zeroed<T: ArrowPrimitiveType>(array: &ArrayRef) -> ArrayRef {
    let array = array.as_primitive::<T>();
    let values = (0..array.len())
        .map(|i| if array.is_null(i) { T::default_value() } else { array.value(i) })
        .collect::<Vec<_>>();
    let blank = PrimitiveArray::<T>::new(values.into(), array.nulls().cloned());
    Arc::new(blank.with_data_type(array.data_type().clone()))
}
