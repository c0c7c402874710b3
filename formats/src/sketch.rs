//! Counting distinct values in four kilobytes: HyperLogLog.
//!
//! Flajolet et al., "HyperLogLog" (2007), with the estimator of Ertl, "New
//! cardinality estimation algorithms for HyperLogLog sketches" (2017), which
//! needs no tables for small and large counts. With 4096 registers the standard
//! error is 1.6 %. Sketches of the same column merge across segments, so the hash
//! of a value is part of the file format and must never change.

use std::fmt;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, PrimitiveArray, downcast_dictionary_array,
};
use arrow::datatypes::{
    ArrowDictionaryKeyType, ArrowPrimitiveType, DataType, Date32Type, Date64Type, Decimal32Type,
    Decimal64Type, Decimal128Type, Decimal256Type, DurationMicrosecondType,
    DurationMillisecondType, DurationNanosecondType, DurationSecondType, Float16Type, Float32Type,
    Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, IntervalDayTimeType,
    IntervalMonthDayNanoType, IntervalUnit, IntervalYearMonthType, Time32MillisecondType,
    Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use xxhash_rust::xxh3::xxh3_64;

use crate::{Error, Result};

/// Bits of the hash that choose a register.
const PRECISION: u32 = 12;
const REGISTERS: usize = 1 << PRECISION;
/// Largest value of a register: leading zeros of the remaining bits, plus one.
const RANK_MAX: u8 = (64 - PRECISION + 1) as u8;

const SPARSE: u8 = 1;
const DENSE: u8 = 2;
/// Above this many non-zero registers the dense form is smaller.
const SPARSE_MAX: usize = REGISTERS / 3;

/// A mergeable estimate of the number of distinct non-NULL values.
#[derive(Clone, PartialEq, Eq)]
pub struct DistinctSketch {
    registers: Box<[u8; REGISTERS]>,
}

impl Default for DistinctSketch {
    fn default() -> Self {
        Self { registers: Box::new([0; REGISTERS]) }
    }
}

impl fmt::Debug for DistinctSketch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DistinctSketch").field("estimate", &self.estimate()).finish()
    }
}

impl DistinctSketch {
    /// Heap bytes of a sketch.
    pub const SIZE_BYTES: usize = REGISTERS;

    /// An empty sketch.
    pub fn new() -> Self {
        Self::default()
    }

    /// True for the types whose values can be counted.
    pub fn supports(data_type: &DataType) -> bool {
        match data_type {
            DataType::Dictionary(_, value) => Self::supports(value),
            DataType::Null => false,
            other => !other.is_nested(),
        }
    }

    /// Adds all values of `array`; NULLs do not count, nor do types that
    /// [`supports`](Self::supports) refuses. Equal numbers of different width count
    /// once, as do 0.0 and -0.0, and all NaNs.
    pub fn add_array(&mut self, array: &ArrayRef) {
        use DataType as T;
        match array.data_type() {
            T::Boolean => self.add_booleans(array.as_boolean()),
            T::Int8 => self.add_numbers::<Int8Type>(array, |v| hash_i64(v.into())),
            T::Int16 => self.add_numbers::<Int16Type>(array, |v| hash_i64(v.into())),
            T::Int32 => self.add_numbers::<Int32Type>(array, |v| hash_i64(v.into())),
            T::Int64 => self.add_numbers::<Int64Type>(array, hash_i64),
            T::UInt8 => self.add_numbers::<UInt8Type>(array, |v| hash_i64(v.into())),
            T::UInt16 => self.add_numbers::<UInt16Type>(array, |v| hash_i64(v.into())),
            T::UInt32 => self.add_numbers::<UInt32Type>(array, |v| hash_i64(v.into())),
            T::UInt64 => self.add_numbers::<UInt64Type>(array, |v| hash_i64(v as i64)),
            T::Float16 => self.add_numbers::<Float16Type>(array, |v| hash_f64(v.into())),
            T::Float32 => self.add_numbers::<Float32Type>(array, |v| hash_f64(v.into())),
            T::Float64 => self.add_numbers::<Float64Type>(array, hash_f64),
            T::Decimal32(..) => self.add_numbers::<Decimal32Type>(array, |v| hash_i128(v.into())),
            T::Decimal64(..) => self.add_numbers::<Decimal64Type>(array, |v| hash_i128(v.into())),
            T::Decimal128(..) => self.add_numbers::<Decimal128Type>(array, hash_i128),
            T::Decimal256(..) => {
                self.add_numbers::<Decimal256Type>(array, |v| xxh3_64(&v.to_le_bytes()));
            }
            T::Date32 => self.add_numbers::<Date32Type>(array, |v| hash_i64(v.into())),
            T::Date64 => self.add_numbers::<Date64Type>(array, hash_i64),
            T::Time32(TimeUnit::Second) => {
                self.add_numbers::<Time32SecondType>(array, |v| hash_i64(v.into()));
            }
            T::Time32(_) => {
                self.add_numbers::<Time32MillisecondType>(array, |v| hash_i64(v.into()));
            }
            T::Time64(TimeUnit::Nanosecond) => {
                self.add_numbers::<Time64NanosecondType>(array, hash_i64);
            }
            T::Time64(_) => self.add_numbers::<Time64MicrosecondType>(array, hash_i64),
            T::Timestamp(unit, _) => match unit {
                TimeUnit::Second => self.add_numbers::<TimestampSecondType>(array, hash_i64),
                TimeUnit::Millisecond => {
                    self.add_numbers::<TimestampMillisecondType>(array, hash_i64);
                }
                TimeUnit::Microsecond => {
                    self.add_numbers::<TimestampMicrosecondType>(array, hash_i64);
                }
                TimeUnit::Nanosecond => {
                    self.add_numbers::<TimestampNanosecondType>(array, hash_i64);
                }
            },
            T::Duration(unit) => match unit {
                TimeUnit::Second => self.add_numbers::<DurationSecondType>(array, hash_i64),
                TimeUnit::Millisecond => {
                    self.add_numbers::<DurationMillisecondType>(array, hash_i64);
                }
                TimeUnit::Microsecond => {
                    self.add_numbers::<DurationMicrosecondType>(array, hash_i64);
                }
                TimeUnit::Nanosecond => {
                    self.add_numbers::<DurationNanosecondType>(array, hash_i64);
                }
            },
            T::Interval(IntervalUnit::YearMonth) => {
                self.add_numbers::<IntervalYearMonthType>(array, |v| hash_i64(v.into()));
            }
            T::Interval(IntervalUnit::DayTime) => {
                self.add_numbers::<IntervalDayTimeType>(array, |v| {
                    hash_i128(i128::from(v.days) << 64 | i128::from(v.milliseconds as u32))
                });
            }
            T::Interval(IntervalUnit::MonthDayNano) => {
                self.add_numbers::<IntervalMonthDayNanoType>(array, |v| {
                    let mut bytes = [0; 16];
                    bytes[..4].copy_from_slice(&v.months.to_le_bytes());
                    bytes[4..8].copy_from_slice(&v.days.to_le_bytes());
                    bytes[8..].copy_from_slice(&v.nanoseconds.to_le_bytes());
                    xxh3_64(&bytes)
                });
            }
            T::Utf8 => self.add_bytes(array.as_string::<i32>().iter().flatten()),
            T::LargeUtf8 => self.add_bytes(array.as_string::<i64>().iter().flatten()),
            T::Utf8View => self.add_bytes(array.as_string_view().iter().flatten()),
            T::Binary => self.add_bytes(array.as_binary::<i32>().iter().flatten()),
            T::LargeBinary => self.add_bytes(array.as_binary::<i64>().iter().flatten()),
            T::BinaryView => self.add_bytes(array.as_binary_view().iter().flatten()),
            T::FixedSizeBinary(_) => {
                self.add_bytes(array.as_fixed_size_binary().iter().flatten());
            }
            T::Dictionary(..) => self.add_dictionary(array),
            _ => {}
        }
    }

    /// Adds everything that `other` has seen.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.registers.iter_mut().zip(other.registers.iter()) {
            *mine = (*mine).max(*theirs);
        }
    }

    /// The number of distinct values seen, within a few per cent.
    pub fn estimate(&self) -> u64 {
        const Q: usize = (64 - PRECISION) as usize;
        let mut counts = [0_u32; Q + 2];
        for &rank in self.registers.iter() {
            counts[usize::from(rank)] += 1;
        }
        let m = REGISTERS as f64;
        let mut z = m * tau(1.0 - f64::from(counts[Q + 1]) / m);
        for &count in counts[1..=Q].iter().rev() {
            z = 0.5 * (z + f64::from(count));
        }
        z += m * sigma(f64::from(counts[0]) / m);
        // The constant is 1 / (2 ln 2).
        (m * m / (2.0 * std::f64::consts::LN_2 * z)).round() as u64
    }

    /// The sketch as bytes, short when few registers are in use.
    pub fn to_bytes(&self) -> Vec<u8> {
        let used = self.registers.iter().filter(|&&rank| rank != 0).count();
        if used > SPARSE_MAX {
            let mut out = Vec::with_capacity(1 + REGISTERS);
            out.push(DENSE);
            out.extend_from_slice(&self.registers[..]);
            return out;
        }
        let mut out = Vec::with_capacity(1 + used * 3);
        out.push(SPARSE);
        for (index, &rank) in self.registers.iter().enumerate().filter(|(_, rank)| **rank != 0) {
            out.extend_from_slice(&(index as u16).to_le_bytes());
            out.push(rank);
        }
        out
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let damaged = || Error::Invalid("the sketch of distinct values is damaged".to_owned());
        let mut sketch = Self::default();
        match bytes.split_first() {
            Some((&DENSE, registers)) if registers.len() == REGISTERS => {
                sketch.registers.copy_from_slice(registers);
            }
            Some((&SPARSE, entries)) if entries.len() % 3 == 0 => {
                for entry in entries.chunks_exact(3) {
                    let index = usize::from(u16::from_le_bytes([entry[0], entry[1]]));
                    *sketch.registers.get_mut(index).ok_or_else(damaged)? = entry[2];
                }
            }
            _ => return Err(damaged()),
        }
        if sketch.registers.iter().any(|&rank| rank > RANK_MAX) {
            return Err(damaged());
        }
        Ok(sketch)
    }

    fn add_hash(&mut self, hash: u64) {
        let index = (hash >> (64 - PRECISION)) as usize;
        // The set bit ends the run of zeros, so the rank never passes RANK_MAX.
        let rest = hash << PRECISION | 1 << (PRECISION - 1);
        let rank = rest.leading_zeros() as u8 + 1;
        let register = &mut self.registers[index];
        *register = (*register).max(rank);
    }

    fn add_numbers<T: ArrowPrimitiveType>(
        &mut self,
        array: &ArrayRef,
        hash: impl Fn(T::Native) -> u64,
    ) {
        let array: &PrimitiveArray<T> = array.as_primitive();
        match array.nulls().filter(|nulls| nulls.null_count() > 0) {
            None => array.values().iter().for_each(|&value| self.add_hash(hash(value))),
            Some(nulls) => {
                for index in nulls.valid_indices() {
                    self.add_hash(hash(array.values()[index]));
                }
            }
        }
    }

    fn add_booleans(&mut self, array: &BooleanArray) {
        if array.true_count() > 0 {
            self.add_hash(hash_i64(1));
        }
        if array.false_count() > 0 {
            self.add_hash(hash_i64(0));
        }
    }

    fn add_bytes<V: AsRef<[u8]>>(&mut self, values: impl Iterator<Item = V>) {
        for value in values {
            self.add_hash(xxh3_64(value.as_ref()));
        }
    }

    fn add_dictionary(&mut self, array: &ArrayRef) {
        downcast_dictionary_array!(
            array => {
                // Only values that a row refers to count.
                let used = used_keys(array.keys(), array.values().len());
                if let Ok(values) = arrow::compute::filter(array.values(), &used) {
                    self.add_array(&values);
                }
            },
            _ => {}
        );
    }
}

fn used_keys<K: ArrowDictionaryKeyType>(keys: &PrimitiveArray<K>, len: usize) -> BooleanArray {
    use arrow::datatypes::ArrowNativeType;
    let mut used = vec![false; len];
    for key in keys.iter().flatten() {
        if let Some(slot) = used.get_mut(key.as_usize()) {
            *slot = true;
        }
    }
    BooleanArray::from(used)
}

fn hash_i64(value: i64) -> u64 {
    xxh3_64(&value.to_le_bytes())
}

fn hash_i128(value: i128) -> u64 {
    xxh3_64(&value.to_le_bytes())
}

fn hash_f64(value: f64) -> u64 {
    let canonical = if value == 0.0 {
        0.0
    } else if value.is_nan() {
        f64::NAN
    } else {
        value
    };
    xxh3_64(&canonical.to_bits().to_le_bytes())
}

/// Ertl's series for registers that are still empty.
fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let mut y = 1.0;
    let mut z = x;
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z == before {
            return z;
        }
    }
}

/// Ertl's series for registers that are full.
fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let mut y = 1.0;
    let mut z = 1.0 - x;
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z == before {
            return z / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float64Array, Int32Array, Int64Array, StringArray, StringViewArray};

    use super::*;

    fn sketch_of(array: impl Array + 'static) -> DistinctSketch {
        let mut sketch = DistinctSketch::new();
        sketch.add_array(&(Arc::new(array) as ArrayRef));
        sketch
    }

    #[test]
    fn estimates_within_five_per_cent() {
        for count in [1_i64, 10, 100, 1_000, 5_000, 20_000, 100_000, 1_000_000] {
            let values = (0..count).chain(0..count / 2).map(|v| v * 7919);
            let estimate = sketch_of(Int64Array::from_iter_values(values)).estimate() as f64;
            let error = (estimate - count as f64).abs() / count as f64;
            assert!(error <= 0.05, "{count} distinct values were estimated as {estimate}");
        }
        assert_eq!(DistinctSketch::new().estimate(), 0);
    }

    #[test]
    fn text_counts_the_same_in_every_layout() {
        let words: Vec<String> = (0..3_000).map(|i| format!("word {i}")).collect();
        let plain = sketch_of(StringArray::from_iter_values(&words));
        let view = sketch_of(StringViewArray::from_iter_values(&words));
        assert_eq!(plain, view);
        let error = (plain.estimate() as f64 - 3_000.0).abs() / 3_000.0;
        assert!(error <= 0.05);
    }

    #[test]
    fn zeros_nans_and_nulls_are_normalised() {
        let nan = f64::from_bits(0xfff8_0000_0000_0001);
        let sketch = sketch_of(Float64Array::from(vec![
            Some(0.0),
            Some(-0.0),
            Some(f64::NAN),
            Some(nan),
            None,
        ]));
        assert_eq!(sketch.estimate(), 2);
    }

    #[test]
    fn width_does_not_matter() {
        assert_eq!(
            sketch_of(Int32Array::from(vec![-3, 9])),
            sketch_of(Int64Array::from(vec![-3, 9]))
        );
    }

    #[test]
    fn merging_equals_counting_together() {
        let mut left = sketch_of(Int64Array::from_iter_values(0..6_000));
        left.merge(&sketch_of(Int64Array::from_iter_values(3_000..9_000)));
        assert_eq!(left, sketch_of(Int64Array::from_iter_values(0..9_000)));
    }

    #[test]
    fn bytes_round_trip_and_hostile_bytes_are_refused() {
        for count in [0, 5, 500, 50_000] {
            let sketch = sketch_of(Int64Array::from_iter_values(0..count));
            let bytes = sketch.to_bytes();
            assert_eq!(DistinctSketch::from_bytes(&bytes).unwrap(), sketch);
            assert!(DistinctSketch::from_bytes(&bytes[..bytes.len() - 1]).is_err() || count == 0);
        }
        assert!(DistinctSketch::from_bytes(&[]).is_err());
        assert!(DistinctSketch::from_bytes(&[SPARSE, 0xff, 0xff, 1]).is_err());
        assert!(DistinctSketch::from_bytes(&[SPARSE, 0, 0, RANK_MAX + 1]).is_err());
    }

    /// The hash is part of the file format.
    #[test]
    fn hashes_never_change() {
        assert_eq!(sketch_of(Int64Array::from(vec![42])).to_bytes(), GOLDEN_INTEGER);
        assert_eq!(sketch_of(StringArray::from(vec!["sheaf"])).to_bytes(), GOLDEN_TEXT);
    }

    const GOLDEN_INTEGER: [u8; 4] = [SPARSE, 90, 13, 2];
    const GOLDEN_TEXT: [u8; 4] = [SPARSE, 152, 11, 1];
}
