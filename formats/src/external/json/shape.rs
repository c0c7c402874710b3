//! Guesses the type of JSON values from a sample of them.

use arrow::datatypes::{DataType, Field, Fields};
use foldhash::HashMap;

use super::super::infer::ColumnGuess;
use super::cursor::Cursor;
use super::fault::Parsed;

/// Lists and structs inside each other; what is deeper becomes text.
const NESTING_MAX: u32 = 24;
/// Digits of the largest decimal.
const DECIMAL_DIGITS_MAX: usize = 38;
/// Objects with more distinct keys than this are maps, when most of the keys are rare.
const STRUCT_KEYS_MAX: usize = 200;
/// The share of the objects that have a key, on average, below which keys are rare.
const RARE: f64 = 0.1;

/// What values there were in one place.
#[derive(Debug, Default)]
pub(super) struct Shape {
    booleans: bool,
    integers: bool,
    /// Most digits of an integer beyond 64 bits.
    long_digits: usize,
    fractions: bool,
    texts: Option<Texts>,
    items: Option<Box<Shape>>,
    members: Option<Members>,
    /// Nested deeper than types may be, or a number that no type takes.
    beyond_types: bool,
}

#[derive(Debug)]
struct Texts {
    guess: ColumnGuess,
    /// All have the form that values are read in: year first.
    year_first: bool,
}

#[derive(Debug, Default)]
struct Members {
    objects: usize,
    values: usize,
    shapes: Vec<(String, Shape)>,
    places: HashMap<String, usize>,
}

impl Shape {
    /// Takes the value at the cursor.
    pub(super) fn see(&mut self, cursor: &mut Cursor<'_>) -> Parsed<()> {
        self.see_at_depth(cursor, 0)
    }

    /// Whether all values were objects, with a key at least.
    pub(super) fn is_table(&self) -> bool {
        let keys = self.members.as_ref().is_some_and(|members| !members.shapes.is_empty());
        keys && self.kinds() == 1
    }

    /// The columns of values that are all objects.
    pub(super) fn fields(&self) -> Fields {
        self.members.as_ref().map(Members::fields).unwrap_or_default()
    }

    fn see_at_depth(&mut self, cursor: &mut Cursor<'_>, depth: u32) -> Parsed<()> {
        match cursor.peek() {
            Some(b'{' | b'[') if depth == NESTING_MAX => {
                self.beyond_types = true;
                cursor.skip()?;
            }
            Some(b'{') => {
                let members = self.members.get_or_insert_default();
                members.see(cursor, depth + 1)?;
            }
            Some(b'[') => {
                let items = self.items.get_or_insert_default();
                cursor.open()?;
                let mut more = !cursor.take(b']');
                while more {
                    items.see_at_depth(cursor, depth + 1)?;
                    more = cursor.another(b']')?;
                }
                cursor.close();
            }
            Some(b'"') => {
                let text = cursor.unescaped()?;
                self.texts.get_or_insert_default().see(&text);
            }
            Some(b't' | b'f') => {
                cursor.skip()?;
                self.booleans = true;
            }
            Some(b'-' | b'0'..=b'9') => {
                let number = cursor.number()?;
                self.see_number(number);
            }
            _ => {
                cursor.skip()?;
            }
        }
        Ok(())
    }

    fn see_number(&mut self, number: &str) {
        if number.parse::<i64>().is_ok() {
            self.integers = true;
        } else if number.contains(['.', 'e', 'E']) {
            self.fractions = true;
            self.beyond_types |= number.parse().is_ok_and(f64::is_infinite);
        } else {
            self.integers = true;
            self.beyond_types |= number.parse().is_ok_and(f64::is_infinite);
            self.long_digits = self.long_digits.max(number.trim_start_matches('-').len());
        }
    }

    fn kinds(&self) -> usize {
        let numbers = self.integers || self.fractions;
        [self.booleans, numbers, self.texts.is_some(), self.items.is_some(), self.members.is_some()]
            .iter()
            .filter(|&&kind| kind)
            .count()
    }

    /// The type that takes all the values; text, which takes the JSON of any value,
    /// when they are of several kinds or there were none.
    pub(super) fn data_type(&self) -> DataType {
        if self.beyond_types || self.kinds() != 1 {
            return DataType::Utf8View;
        }
        if self.booleans {
            return DataType::Boolean;
        }
        if let Some(texts) = &self.texts {
            return texts.data_type();
        }
        if let Some(items) = &self.items {
            return DataType::new_list(items.data_type(), true);
        }
        if let Some(members) = &self.members {
            return members.data_type();
        }
        match self.long_digits {
            _ if self.fractions => DataType::Float64,
            0 => DataType::Int64,
            1..=DECIMAL_DIGITS_MAX => DataType::Decimal128(38, 0),
            _ => DataType::Float64,
        }
    }

    /// Takes what another place has seen.
    fn merge(&mut self, other: &Self) {
        self.booleans |= other.booleans;
        self.integers |= other.integers;
        self.long_digits = self.long_digits.max(other.long_digits);
        self.fractions |= other.fractions;
        self.beyond_types |= other.beyond_types;
        if let Some(texts) = &other.texts {
            match &mut self.texts {
                None => self.texts = Some(Texts { guess: texts.guess.clone(), ..*texts }),
                // Guesses do not merge: one type in both places is that type.
                Some(own) => own.year_first &= own.data_type() == texts.data_type(),
            }
        }
        if let Some(items) = &other.items {
            self.items.get_or_insert_default().merge(items);
        }
        if let Some(members) = &other.members {
            let own = self.members.get_or_insert_default();
            own.objects += members.objects;
            own.values += members.values;
            members.shapes.iter().for_each(|(key, shape)| own.shape(key).merge(shape));
        }
    }
}

impl Default for Texts {
    fn default() -> Self {
        Self { guess: ColumnGuess::default(), year_first: true }
    }
}

impl Texts {
    fn see(&mut self, text: &str) {
        if !self.year_first {
            return;
        }
        // A point in time or a date begins with a year of four digits, a time of day
        // with two.
        self.year_first = match text.as_bytes() {
            [y0, y1, y2, y3, b'-', ..] => [y0, y1, y2, y3].iter().all(|y| y.is_ascii_digit()),
            [h0, h1, b':', ..] => h0.is_ascii_digit() && h1.is_ascii_digit(),
            _ => false,
        };
        if self.year_first {
            self.guess.see(text);
        }
    }

    fn data_type(&self) -> DataType {
        match self.guess.data_type() {
            guessed if self.year_first && guessed.is_temporal() => guessed,
            _ => DataType::Utf8View,
        }
    }
}

impl Members {
    fn see(&mut self, cursor: &mut Cursor<'_>, depth: u32) -> Parsed<()> {
        self.objects += 1;
        cursor.open()?;
        let mut more = !cursor.take(b'}');
        while more {
            let key = cursor.unescaped()?;
            cursor.colon()?;
            self.values += 1;
            self.shape(&key).see_at_depth(cursor, depth)?;
            more = cursor.another(b'}')?;
        }
        cursor.close();
        Ok(())
    }

    fn shape(&mut self, key: &str) -> &mut Shape {
        let place = match self.places.get(key) {
            Some(&place) => place,
            None => {
                self.places.insert(key.to_owned(), self.shapes.len());
                self.shapes.push((key.to_owned(), Shape::default()));
                self.shapes.len() - 1
            }
        };
        &mut self.shapes[place].1
    }

    fn fields(&self) -> Fields {
        let field = |(name, shape): &(String, Shape)| Field::new(name, shape.data_type(), true);
        self.shapes.iter().map(field).collect()
    }

    fn data_type(&self) -> DataType {
        if self.shapes.is_empty() {
            // Arrow has structs without fields, but tables have no use for them.
            return DataType::Utf8View;
        }
        let share = self.values as f64 / self.objects as f64 / self.shapes.len() as f64;
        if self.shapes.len() <= STRUCT_KEYS_MAX || share >= RARE {
            return DataType::Struct(self.fields());
        }
        let mut values = Shape::default();
        self.shapes.iter().for_each(|(_, shape)| values.merge(shape));
        let key = Field::new("key", DataType::Utf8View, false);
        let value = Field::new("value", values.data_type(), true);
        let entry = DataType::Struct(Fields::from(vec![key, value]));
        DataType::Map(Field::new("entries", entry, false).into(), false)
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::TimeUnit;

    use super::*;

    fn guess(values: &[&str]) -> DataType {
        let mut shape = Shape::default();
        for value in values {
            shape.see(&mut Cursor::new(value, 0)).unwrap();
        }
        shape.data_type()
    }

    #[test]
    fn types() {
        use DataType::*;
        let micros = TimeUnit::Microsecond;
        assert_eq!(guess(&["1", "null", "-2"]), Int64);
        assert_eq!(guess(&["1", "2.5"]), Float64);
        assert_eq!(guess(&["1", "9223372036854775808"]), Decimal128(38, 0));
        assert_eq!(guess(&["1.5", "9223372036854775808"]), Float64);
        assert_eq!(guess(&[&"9".repeat(39)]), Float64);
        assert_eq!(guess(&[&"9".repeat(400)]), Utf8View);
        assert_eq!(guess(&["1e400"]), Utf8View);
        assert_eq!(guess(&["true", "false"]), Boolean);
        assert_eq!(guess(&["true", "1"]), Utf8View);
        assert_eq!(guess(&["null"]), Utf8View);
        assert_eq!(guess(&[]), Utf8View);
        assert_eq!(guess(&["\"1\"", "\"2\""]), Utf8View);
        assert_eq!(guess(&["\"true\""]), Utf8View);
        assert_eq!(guess(&["\"2024-02-29\"", "null"]), Date32);
        assert_eq!(guess(&["\"2024-02-29 01:02:03\""]), Timestamp(micros, None));
        assert_eq!(guess(&["\"2024-02-29T01:02:03Z\""]), Timestamp(micros, Some("UTC".into())));
        assert_eq!(guess(&["\"31.01.2024\""]), Utf8View);
        assert_eq!(guess(&["[1]", "[null]", "[2.5]"]), DataType::new_list(Float64, true));
        assert_eq!(guess(&["[]"]), DataType::new_list(Utf8View, true));
        assert_eq!(guess(&["[1]", "{}"]), Utf8View);
        assert_eq!(guess(&["{}"]), Utf8View);
        let fields = vec![Field::new("b", Int64, true), Field::new("a", Boolean, true)];
        assert_eq!(guess(&[r#"{"b":1}"#, r#"{"a":true,"b":null}"#]), Struct(fields.into()));
        let deep = "[".repeat(100) + &"]".repeat(100);
        assert!(matches!(guess(&[&deep]), List(_)));
    }

    #[test]
    fn objects_of_rare_keys_are_maps() {
        let objects: Vec<String> = (0..500).map(|i| format!("{{\"k{i}\":[{i}]}}")).collect();
        let objects: Vec<&str> = objects.iter().map(String::as_str).collect();
        let DataType::Map(entry, _) = guess(&objects) else { panic!("not a map") };
        let DataType::Struct(fields) = entry.data_type() else { panic!("no entries") };
        assert_eq!(*fields[1].data_type(), DataType::new_list(DataType::Int64, true));
    }
}
