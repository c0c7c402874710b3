//! Which columns the records of a CSV file have, from its begin or from the caller.

use std::sync::Arc;

use arrow::compute::can_cast_types;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use csv::ByteRecord;

use super::super::infer::ColumnGuess;
use super::super::{ReadOptions, sniff};
use super::{malformed, not_text};
use crate::Result;

/// Records that types are guessed from.
const SAMPLE_RECORDS: usize = 20_000;
/// What is known of the records before they are read.
pub(super) struct Layout {
    pub(super) header: bool,
    /// Fields per record.
    pub(super) width: usize,
    /// Field of a record that each column comes from.
    pub(super) columns: Vec<usize>,
    pub(super) schema: SchemaRef,
}

impl Layout {
    /// Reads the begin of the file in `sample`, all of it when `whole`.
    pub(super) fn find(
        name: &str,
        sample: &[u8],
        whole: bool,
        delimiter: u8,
        quote: u8,
        null: &str,
        options: &ReadOptions,
    ) -> Result<Self> {
        let mut records: Vec<ByteRecord> = sniff::records(sample, delimiter, quote)
            .into_byte_records()
            .take(SAMPLE_RECORDS + 1)
            .map_while(std::result::Result::ok)
            .collect();
        // The sample may end inside a record.
        if !whole && records.len() > 1 && records.len() <= SAMPLE_RECORDS {
            records.pop();
        }
        let Some(first) = records.first() else {
            return match &options.schema {
                Some(schema) => Self::of_schema(name, schema, None, schema.fields().len()),
                None => Err(malformed(
                    name,
                    None,
                    None,
                    "the file is empty: give the columns and types to read it anyway",
                )),
            };
        };
        let width = first.len();
        let texts: Vec<&str> = first
            .iter()
            .enumerate()
            .map(|(index, field)| {
                std::str::from_utf8(field).map_err(|_| {
                    let column = format!("column{index}");
                    malformed(name, Some(1), Some(&column), not_text(field))
                })
            })
            .collect::<Result<_>>()?;
        if let Some(schema) = &options.schema {
            let named = |field: &Arc<Field>| {
                texts.iter().any(|text| text.trim().eq_ignore_ascii_case(field.name()))
            };
            let header = options.csv.header.unwrap_or_else(|| schema.fields().iter().any(named));
            return Self::of_schema(name, schema, header.then_some(&texts), width);
        }
        let mut guesses = vec![ColumnGuess::default(); width];
        for record in &records[1..] {
            for (guess, field) in guesses.iter_mut().zip(record) {
                see(guess, field, null);
            }
        }
        let header = match options.csv.header {
            Some(header) => header,
            None if records.len() == 1 => texts.iter().all(|text| {
                let mut guess = ColumnGuess::default();
                guess.see(text);
                guess.is_text() && !text.trim().is_empty()
            }),
            None => sniff::has_header(&texts, &guesses),
        };
        let names = if header {
            sniff::names(&texts)
        } else {
            for (guess, text) in guesses.iter_mut().zip(&texts) {
                see(guess, text.as_bytes(), null);
            }
            (0..width).map(|index| format!("column{index}")).collect()
        };
        let fields: Vec<Field> = names
            .into_iter()
            .zip(&guesses)
            .map(|(name, guess)| Field::new(name, guess.data_type(), true))
            .collect();
        let schema = Arc::new(Schema::new(fields));
        Ok(Self { header, width, columns: (0..width).collect(), schema })
    }

    /// Columns of a given schema: by name where there is a header, else by place.
    fn of_schema(
        name: &str,
        schema: &SchemaRef,
        header: Option<&Vec<&str>>,
        width: usize,
    ) -> Result<Self> {
        for field in schema.fields() {
            // Arrow would make a list of one out of any text.
            let nested = field.data_type().is_nested();
            if nested || !can_cast_types(&DataType::Utf8, field.data_type()) {
                return Err(malformed(
                    name,
                    None,
                    Some(field.name()),
                    format!("text in a CSV file cannot become {}", field.data_type()),
                ));
            }
        }
        let columns = match header {
            None if schema.fields().len() != width => {
                return Err(malformed(
                    name,
                    Some(1),
                    None,
                    format!(
                        "the record has {width} fields where {} columns are expected",
                        schema.fields().len()
                    ),
                ));
            }
            None => (0..width).collect(),
            Some(header) => schema
                .fields()
                .iter()
                .map(|field| {
                    let place = |same: &dyn Fn(&str) -> bool| {
                        header.iter().position(|text| same(text.trim()))
                    };
                    place(&|text| text == field.name())
                        .or_else(|| place(&|text| text.eq_ignore_ascii_case(field.name())))
                        .ok_or_else(|| {
                            malformed(
                                name,
                                Some(1),
                                Some(field.name()),
                                format!(
                                    "the header has no such column, only {}",
                                    header.join(", ")
                                ),
                            )
                        })
                })
                .collect::<Result<_>>()?,
        };
        Ok(Self { header: header.is_some(), width, columns, schema: schema.clone() })
    }
}

fn see(guess: &mut ColumnGuess, field: &[u8], null: &str) {
    if field == null.as_bytes() {
        return;
    }
    // Bytes that are not text are reported when the record is read.
    guess.see(&String::from_utf8_lossy(field));
}
