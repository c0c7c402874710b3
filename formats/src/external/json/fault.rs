//! What is wrong with a value, and where in the text.

use arrow::datatypes::DataType;

use super::super::reader::NOT_A_VALUE;
use super::cursor::Cursor;
use crate::sql_name;

/// Result of reading a token or a value.
pub(super) type Parsed<T> = Result<T, Box<Fault>>;

/// Why a row is not read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Where in the text, in bytes.
    pub(super) at: usize,
    pub(super) what: What,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum What {
    /// The text is not JSON.
    Syntax(&'static str),
    /// The value at the place does not fit what is wanted.
    Misfit(String),
    /// The object at the place lacks a value that it must have.
    Missing(String),
    /// An object has a key twice: the row is read again, carefully.
    Twice,
}

impl Fault {
    pub(super) fn syntax(at: usize, what: &'static str) -> Box<Self> {
        Box::new(Self { at, what: What::Syntax(what) })
    }

    #[cold]
    pub(super) fn misfit(at: usize, wanted: &DataType) -> Box<Self> {
        Self::unfit(at, format!("{NOT_A_VALUE} {}", sql_name(wanted)))
    }

    /// `what` says, after the value, why it is not one.
    #[cold]
    pub(super) fn unfit(at: usize, what: String) -> Box<Self> {
        Box::new(Self { at, what: What::Misfit(what) })
    }

    #[cold]
    pub(super) fn not_null(at: usize) -> Box<Self> {
        Box::new(Self { at, what: What::Misfit("stands where a value must be".to_owned()) })
    }

    #[cold]
    pub(super) fn missing(object: usize, name: &str) -> Box<Self> {
        Box::new(Self { at: object, what: What::Missing(name.to_owned()) })
    }

    /// For people; `text` is what the place is in.
    pub(super) fn message(&self, text: &str) -> String {
        match &self.what {
            What::Syntax(what) => match nearby(text, self.at) {
                "" => format!("not JSON: {what}"),
                found => format!("not JSON at '{}': {what}", shown(found)),
            },
            What::Misfit(what) => format!("'{}' {what}", shown(value(text, self.at))),
            What::Missing(field) => {
                format!("the object has no value for '{field}', which must have one")
            }
            What::Twice => "a key is there twice".to_owned(),
        }
    }

    /// The value that does not fit, or the text that is no value.
    pub(super) fn value<'a>(&self, text: &'a str) -> &'a str {
        match self.what {
            What::Misfit(_) => value(text, self.at),
            _ => nearby(text, self.at),
        }
    }
}

fn value(text: &str, at: usize) -> &str {
    Cursor::new(text, at).skip().unwrap_or_else(|_| nearby(text, at))
}

/// The rest of the line.
fn nearby(text: &str, at: usize) -> &str {
    let rest = text.get(at..).unwrap_or_default();
    rest.lines().next().unwrap_or_default()
}

/// A value short enough for a message.
pub(super) fn shown(value: &str) -> String {
    const SHOWN: usize = 80;
    match value.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &value[..end]),
        None => value.to_owned(),
    }
}

/// The path of the value at `at`, such as `a.b[3]`, in the row that begins at `start`.
pub(super) fn path(text: &str, start: usize, at: usize) -> String {
    let mut path = String::new();
    let mut cursor = Cursor::new(text, start);
    // Values are passed until the one that has the place in it, which is entered. What
    // is not JSON ends the way: there the fault is.
    while cursor.at < at {
        let _ = match cursor.peek() {
            Some(b'{') => enter_object(&mut cursor, at, &mut path),
            Some(b'[') => enter_list(&mut cursor, at, &mut path),
            _ => break,
        };
    }
    path
}

/// The next byte after `end`, a fault or the value's end when nothing is inside.
fn enter_object(cursor: &mut Cursor<'_>, at: usize, path: &mut String) -> Parsed<()> {
    let result = (|| {
        cursor.open()?;
        while cursor.at < at {
            let key = cursor.unescaped()?;
            cursor.colon()?;
            let value = cursor.at;
            if cursor.skip().is_err() || at < cursor.at {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(&key);
                cursor.at = value;
                return Ok(true);
            }
            if !cursor.another(b'}')? {
                break;
            }
        }
        Ok(false)
    })();
    settle(cursor, at, result)
}

fn enter_list(cursor: &mut Cursor<'_>, at: usize, path: &mut String) -> Parsed<()> {
    let mut index = 0u64;
    let result = (|| {
        cursor.open()?;
        while cursor.at <= at {
            let value = cursor.at;
            if cursor.skip().is_err() || at < cursor.at {
                path.push_str(&format!("[{index}]"));
                cursor.at = value;
                return Ok(true);
            }
            index += 1;
            if !cursor.another(b']')? {
                break;
            }
        }
        Ok(false)
    })();
    settle(cursor, at, result)
}

/// Without a value to enter the way ends.
fn settle(cursor: &mut Cursor<'_>, at: usize, entered: Parsed<bool>) -> Parsed<()> {
    if !matches!(entered, Ok(true)) {
        cursor.at = at;
    }
    entered.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let text = r#"{"x":[1,2],"a":{"b":[0,1,{"c":7}]},"z":"#;
        let at = |needle: &str| path(text, 0, text.find(needle).unwrap());
        assert_eq!(at("7"), "a.b[2].c");
        assert_eq!(at("2]"), "x[1]");
        assert_eq!(at("[1"), "x");
        assert_eq!(path(text, 0, 0), "");
        assert_eq!(path(text, 0, text.len()), "z");
        assert_eq!(path("[[1,[nul]]]", 0, 5), "[0][1][0]");
    }
}
