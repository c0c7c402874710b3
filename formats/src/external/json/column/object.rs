//! Members of objects as columns: which key is which column.
//!
//! Objects of a file mostly have the same keys in the same order. The keys are
//! remembered as they are spelled, and each one is first compared with the one that
//! came after the last one; only when that fails it is looked up.

use std::sync::Arc;

use arrow::array::{ArrayRef, NullBufferBuilder, StructArray};
use arrow::datatypes::{DataType, FieldRef, Fields};
use foldhash::{HashMap, HashMapExt};

use super::super::cursor::Cursor;
use super::super::fault::{Fault, Parsed, What};
use super::{Column, Slot, not_this};
use crate::Result;

/// Keys that are remembered beyond those that are columns.
const OTHERS_MAX: usize = 4096;

/// A key as a file spells it.
struct Known {
    /// With its quotes and colon: `"key":`.
    token: Box<[u8]>,
    place: Option<Place>,
}

#[derive(Clone, Copy)]
struct Place {
    slot: usize,
    /// The key is the column's name in this case too.
    exact: bool,
}

/// The columns that members of an object become.
pub(in super::super) struct Members {
    slots: Vec<Slot>,
    /// The slot of each name, none of those that are not read.
    exact: HashMap<String, Option<usize>>,
    folded: HashMap<String, usize>,
    known: Vec<Known>,
    /// Index of each known key by its spelling without quotes.
    spelled: HashMap<Box<str>, usize>,
    /// The known key that is expected next.
    next: usize,
    /// The last object that had a value for each slot, by number.
    seen: Vec<u64>,
    object: u64,
}

impl Members {
    /// Columns for `fields`, which are some of those with the names `all`. A field that
    /// JSON cannot become is the error.
    pub(in super::super) fn new<'a>(
        fields: &[FieldRef],
        all: impl Iterator<Item = &'a str>,
    ) -> Result<Self, FieldRef> {
        let mut slots = Vec::with_capacity(fields.len());
        let mut exact: HashMap<String, Option<usize>> =
            all.map(|name| (name.to_owned(), None)).collect();
        let mut folded = HashMap::new();
        for (index, field) in fields.iter().enumerate() {
            slots.push(Slot::new(field).ok_or_else(|| Arc::clone(field))?);
            exact.insert(field.name().clone(), Some(index));
            folded.entry(field.name().to_lowercase()).or_insert(index);
        }
        Ok(Self {
            seen: vec![0; slots.len()],
            object: 0,
            slots,
            exact,
            folded,
            known: Vec::new(),
            spelled: HashMap::new(),
            next: 0,
        })
    }

    /// Takes the object at the cursor. Each slot gets one value, whatever happens.
    pub(in super::super) fn append(&mut self, cursor: &mut Cursor<'_>) -> Parsed<()> {
        let start = cursor.at;
        self.object += 1;
        let mut filled = 0;
        let mut result = match cursor.careful {
            false => self.append_members(cursor, &mut filled),
            true => self.append_last_members(cursor, &mut filled),
        };
        if filled < self.slots.len() {
            for (slot, seen) in self.slots.iter_mut().zip(&self.seen) {
                if *seen != self.object {
                    let missing = slot.append_missing(start);
                    result = result.and(missing);
                }
            }
        }
        result
    }

    pub(in super::super) fn append_null(&mut self) {
        self.slots.iter_mut().for_each(Slot::append_null);
    }

    pub(in super::super) fn finish(&mut self) -> Result<Vec<ArrayRef>> {
        self.slots.iter_mut().map(Slot::finish).collect()
    }

    fn append_members(&mut self, cursor: &mut Cursor<'_>, filled: &mut usize) -> Parsed<()> {
        cursor.open()?;
        self.next = 0;
        let mut more = !cursor.take(b'}');
        while more {
            let key_at = cursor.at;
            match self.key(cursor)? {
                None => {
                    cursor.skip()?;
                }
                Some(Place { slot, .. }) => {
                    if self.seen[slot] == self.object {
                        return Err(Box::new(Fault { at: key_at, what: What::Twice }));
                    }
                    self.seen[slot] = self.object;
                    *filled += 1;
                    self.slots[slot].append(cursor)?;
                }
            }
            more = cursor.another(b'}')?;
        }
        cursor.close();
        Ok(())
    }

    /// As `append_members`, where keys may be there twice: the last one counts, and
    /// one that is the column's name in this case too before one that is not.
    fn append_last_members(&mut self, cursor: &mut Cursor<'_>, filled: &mut usize) -> Parsed<()> {
        let mut last: Vec<Option<(usize, bool)>> = vec![None; self.slots.len()];
        cursor.open()?;
        self.next = 0;
        let mut more = !cursor.take(b'}');
        while more {
            if let Some(Place { slot, exact }) = self.key(cursor)?
                && (exact || !last[slot].is_some_and(|(_, exact)| exact))
            {
                last[slot] = Some((cursor.at, exact));
            }
            cursor.skip()?;
            more = cursor.another(b'}')?;
        }
        let end = cursor.at;
        for (slot, value) in last.into_iter().enumerate() {
            if let Some((at, _)) = value {
                cursor.at = at;
                self.seen[slot] = self.object;
                *filled += 1;
                self.slots[slot].append(cursor)?;
            }
        }
        cursor.at = end;
        cursor.close();
        Ok(())
    }

    /// Passes a key and its colon; where its value goes.
    fn key(&mut self, cursor: &mut Cursor<'_>) -> Parsed<Option<Place>> {
        if let Some(known) = self.known.get(self.next)
            && cursor.rest().starts_with(&known.token)
        {
            cursor.at += known.token.len();
            if cursor.peek().is_some_and(|byte| byte <= b' ') {
                cursor.blanks();
            }
            self.next += 1;
            return Ok(known.place);
        }
        self.look_up(cursor)
    }

    fn look_up(&mut self, cursor: &mut Cursor<'_>) -> Parsed<Option<Place>> {
        let start = cursor.at;
        let (spelling, escaped) = cursor.string()?;
        if let Some(&index) = self.spelled.get(spelling) {
            cursor.colon()?;
            self.next = index + 1;
            return Ok(self.known[index].place);
        }
        let name = match escaped {
            false => spelling.into(),
            true => Cursor::new(cursor.since(start), 0).unescaped().map_err(|mut fault| {
                fault.at += start;
                fault
            })?,
        };
        let place = match self.exact.get(name.as_ref()) {
            Some(slot) => slot.map(|slot| Place { slot, exact: true }),
            None => {
                let slot = self.folded.get(&name.to_lowercase()).copied();
                slot.map(|slot| Place { slot, exact: false })
            }
        };
        cursor.colon()?;
        if self.known.len() < OTHERS_MAX + 2 * self.slots.len() {
            self.spelled.insert(spelling.into(), self.known.len());
            let token = format!("\"{spelling}\":").into_bytes().into_boxed_slice();
            self.known.push(Known { token, place });
            self.next = self.known.len();
        }
        Ok(place)
    }
}

/// Objects as structs.
pub(super) struct Objects {
    fields: Fields,
    members: Members,
    nulls: NullBufferBuilder,
}

impl Objects {
    pub(super) fn new(fields: &Fields) -> Option<Self> {
        let members = Members::new(fields, std::iter::empty()).ok()?;
        Some(Self { fields: fields.clone(), members, nulls: NullBufferBuilder::new(0) })
    }
}

impl Column for Objects {
    fn append(&mut self, cursor: &mut Cursor<'_>) -> Parsed<()> {
        if cursor.peek() != Some(b'{') {
            self.append_null();
            return not_this(cursor, &DataType::Struct(self.fields.clone()));
        }
        self.nulls.append(true);
        self.members.append(cursor)
    }

    fn append_null(&mut self) {
        self.nulls.append(false);
        self.members.append_null();
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let len = self.nulls.len();
        let (columns, nulls) = (self.members.finish()?, self.nulls.finish());
        let fields = self.fields.clone();
        Ok(Arc::new(StructArray::try_new_with_length(fields, columns, nulls, len)?))
    }
}
