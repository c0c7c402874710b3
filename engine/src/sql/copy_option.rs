//! Options of COPY, `name [=] value`, and of functions that read files,
//! `name => value`: what a value says, and errors that show where.

use datafusion::sql::sqlparser::ast::Ident;

use super::names::{fold, ident_position};
use crate::error::{Error, ErrorKind, Result};

/// The options of one COPY or one function, in the order in which they were written.
#[derive(Clone, Debug, Default)]
pub(crate) struct CopyOptions(pub(super) Vec<CopyOption>);

/// One option.
#[derive(Clone, Debug)]
pub(crate) struct CopyOption {
    /// Its name as it was written.
    pub name: Ident,
    /// Its value.
    pub value: OptionValue,
    /// Line and column where the value begins.
    pub value_at: Option<(u64, u64)>,
}

/// A value before anybody knows what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OptionValue {
    /// None is written: `HEADER`.
    Absent,
    /// A word: `csv`.
    Name(Ident),
    /// `'text'`
    Text(String),
    /// A number, perhaps with a sign.
    Number(String),
    /// `true` or `false`
    Boolean(bool),
    /// `(a, b)`
    List(Vec<Ident>),
    /// `{'a': 'INT', 'b': 'TEXT'}`
    Pairs(Vec<(String, String)>),
    /// `*`
    All,
}

impl CopyOptions {
    pub fn new(options: Vec<CopyOption>) -> Self {
        Self(options)
    }

    /// Adds an option that nobody wrote, unless somebody did.
    pub fn push_default(&mut self, name: &str, value: OptionValue) {
        if !self.iter().any(|option| option.key() == name) {
            self.0.push(CopyOption { name: Ident::new(name), value, value_at: None });
        }
    }

    pub fn iter(&self) -> std::slice::Iter<'_, CopyOption> {
        self.0.iter()
    }

    /// Refuses options outside `known` (in lower case), and those that come twice.
    pub fn check(&self, known: &[&str]) -> Result<()> {
        for (index, option) in self.0.iter().enumerate() {
            let key = option.key();
            let error = if !known.contains(&key.as_str()) {
                let list = known.iter().map(|name| name.to_uppercase()).collect::<Vec<_>>();
                let what = format!("the option {}", option.name.value.to_uppercase());
                Error::not_supported(what)
                    .hint(format!("the options are {}", list.join(", ")))
                    .suggest(&key, known.iter().copied())
            } else if self.0[..index].iter().any(|other| other.key() == key) {
                let what = format!("the option {} is given twice", key.to_uppercase());
                Error::new(ErrorKind::Syntax, what)
            } else {
                continue;
            };
            return Err(error.at(ident_position(&option.name)));
        }
        Ok(())
    }
}

impl CopyOption {
    /// The name in lower case.
    pub fn key(&self) -> String {
        self.name.value.to_lowercase()
    }

    /// True when there is no value; `on`, `off`, 1 and 0 are taken too.
    pub fn boolean(&self) -> Result<bool> {
        let text = match &self.value {
            OptionValue::Absent => return Ok(true),
            OptionValue::Boolean(value) => return Ok(*value),
            OptionValue::Name(name) => name.value.as_str(),
            OptionValue::Text(text) | OptionValue::Number(text) => text,
            OptionValue::List(_) | OptionValue::Pairs(_) | OptionValue::All => "",
        };
        match text.to_lowercase().as_str() {
            "true" | "on" | "1" => Ok(true),
            "false" | "off" | "0" => Ok(false),
            _ => Err(self.refused("true or false")),
        }
    }

    /// A text in quotes, or a word.
    pub fn text(&self) -> Result<String> {
        match &self.value {
            OptionValue::Text(text) => Ok(text.clone()),
            OptionValue::Name(name) => Ok(fold(name)),
            _ => Err(self.refused("a text")),
        }
    }

    /// One ASCII character; `'\t'` is a tab.
    pub fn character(&self) -> Result<u8> {
        let OptionValue::Text(text) = &self.value else {
            return Err(self.refused("one character in quotes"));
        };
        match text.as_bytes() {
            [byte] if byte.is_ascii() => Ok(*byte),
            br"\t" => Ok(b'\t'),
            _ => Err(self.refused(&format!("one ASCII character, not '{text}'"))),
        }
    }

    /// A whole number from 1.
    pub fn count(&self) -> Result<usize> {
        let number = match &self.value {
            OptionValue::Number(digits) => digits.replace('_', "").parse().ok(),
            _ => None,
        };
        number.filter(|n| *n > 0).ok_or_else(|| self.refused("a whole number from 1"))
    }

    /// One name or a list of them, folded.
    pub fn names(&self) -> Result<Vec<String>> {
        match &self.value {
            OptionValue::Name(name) => Ok(vec![fold(name)]),
            OptionValue::Text(text) => Ok(vec![text.clone()]),
            OptionValue::List(names) => Ok(names.iter().map(fold).collect()),
            _ => Err(self.refused("a list of names, as in (a, b)")),
        }
    }

    /// A text, or a list of them as they are written.
    pub fn texts(&self) -> Result<Vec<String>> {
        match &self.value {
            OptionValue::List(names) => Ok(names.iter().map(|name| name.value.clone()).collect()),
            _ => Ok(vec![self.text()?]),
        }
    }

    /// A whole number from 0.
    pub fn number(&self) -> Result<u64> {
        self.number_or_all()?.ok_or_else(|| self.refused("a whole number from 0"))
    }

    /// A whole number from 0, or none for -1.
    pub fn number_or_all(&self) -> Result<Option<u64>> {
        let digits = match &self.value {
            OptionValue::Number(digits) => digits.replace('_', ""),
            _ => String::new(),
        };
        if digits == "-1" {
            return Ok(None);
        }
        digits.parse().map(Some).map_err(|_| self.refused("a whole number from 0"))
    }

    /// Names with a text each, as they are written.
    pub fn pairs(&self) -> Result<Vec<(String, String)>> {
        match &self.value {
            OptionValue::Pairs(pairs) => Ok(pairs.clone()),
            _ => Err(self.refused("names with types, as in {'a': 'INT', 'b': 'TEXT'}")),
        }
    }

    /// An error that the value is not what the option takes.
    pub fn refused(&self, wanted: &str) -> Error {
        let what = format!("{} must be {wanted}", self.name.value.to_uppercase());
        Error::new(ErrorKind::InvalidParameter, what)
            .at(self.value_at.or_else(|| ident_position(&self.name)))
    }
}
