//! `first(value, time)` and `last(value, time)`: the value at a group's smallest
//! or largest time.
//!
//! Rows whose time is NULL do not count; a NULL value does. Among rows of the same
//! time the first one seen wins. The state is the value and its time, so partial
//! results merge in any order.

mod groups;
mod single;

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::array::{Array, ArrayRef, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::common::plan_err;
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, GroupsAccumulator, Signature, Volatility,
};

use groups::GroupsWinner;
use single::Winner;

/// Which end of time wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum End {
    First,
    Last,
}

impl End {
    /// Whether a time beats another that came before it.
    #[inline]
    pub(crate) fn beats(self, time: i64, other: i64) -> bool {
        match self {
            Self::First => time < other,
            Self::Last => time > other,
        }
    }
}

/// The aggregate function `first` or `last`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct FirstLast {
    end: End,
    signature: Signature,
}

impl FirstLast {
    /// `first(value, time)`.
    pub fn first() -> Self {
        Self::new(End::First)
    }

    /// `last(value, time)`.
    pub fn last() -> Self {
        Self::new(End::Last)
    }

    fn new(end: End) -> Self {
        Self { end, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

/// Times as 64-bit numbers that order like them.
pub(crate) fn times(column: &ArrayRef) -> Result<Int64Array> {
    Ok(match column.data_type() {
        DataType::Int64 => column.as_primitive::<Int64Type>().clone(),
        _ => cast(column, &DataType::Int64)?.as_primitive::<Int64Type>().clone(),
    })
}

impl AggregateUDFImpl for FirstLast {
    fn name(&self) -> &str {
        match self.end {
            End::First => "first",
            End::Last => "last",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let name = self.name();
        let [value, time] = types else {
            return plan_err!("{name} takes a value and a time: {name}(value, time)");
        };
        let time = match time {
            DataType::Timestamp(..)
            | DataType::Date32
            | DataType::Date64
            | DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::UInt8
            | DataType::UInt16
            | DataType::UInt32 => time.clone(),
            DataType::Null => DataType::Int64,
            other => {
                return plan_err!(
                    "{name}: the second argument must be a time or an integer, not {other}"
                );
            }
        };
        Ok(vec![value.clone(), time])
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types.first() {
            Some(value) => Ok(value.clone()),
            None => plan_err!("{} takes a value and a time", self.name()),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let value =
            Field::new(format_state_name(args.name, "value"), args.return_type().clone(), true);
        let time = Field::new(format_state_name(args.name, "time"), DataType::Int64, true);
        Ok(vec![Arc::new(value), Arc::new(time)])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Winner::new(self.end, args.return_type())?))
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        !args.is_distinct && args.order_bys.is_empty()
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(GroupsWinner::new(self.end, args.return_type().clone())))
    }

    /// The time argument alone decides, never the order of rows.
    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}
