//! JSON: objects one per line, or one array of them.

use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;
use std::io::{self, BufRead, Read};
use std::path::Path;

use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::data::formats::row::{Choose, LimitedRows, Place, Visit, next_line, too_long};
use crate::data::formats::{id_text, json_advice};
use crate::{Error, Result};

/// Objects from which the names of the columns are taken.
const FIRST: usize = 1000;
/// Bytes of an array that are kept to say what is wrong with it.
const HEAD: usize = 1 << 8;

/// Called for every object with its line (its number in an array), from 1.
type VisitObject<'a> = &'a mut dyn FnMut(&Place<'_>, Map<String, Value>) -> Result<()>;

/// Reads the objects of `input` one after another; an error names the line.
pub(crate) fn read_objects(path: &Path, mut input: Box<dyn BufRead>, visit: VisitObject<'_>) -> Result<()> {
    let (mut line, mut number) = (Vec::new(), 0);
    loop {
        if number == 0 && starts_array(path, &mut input)? {
            return read_array(path, input, visit);
        }
        number += 1;
        if !next_line(&Place { path, line: number }, &mut *input, &mut line)? {
            return Ok(());
        }
        let text = line.trim_ascii();
        if text.is_empty() {
            continue;
        }
        let place = Place { path, line: number };
        let object = serde_json::from_slice(text);
        let object: Map<String, Value> = object
            .map_err(|e| json_advice::of_line(&place, text, input.fill_buf().unwrap_or_default(), &e))?;
        let first = (number == 1).then(|| object.clone());
        visit(&place, object).map_err(|e| match &first {
            Some(first) => json_advice::of_first(e, first, input.fill_buf().unwrap_or_default()),
            None => e,
        })?;
    }
}

fn starts_array(path: &Path, input: &mut Box<dyn BufRead>) -> Result<bool> {
    let head = input.fill_buf().map_err(|e| Error::io(path, e))?;
    Ok(head.trim_ascii_start().starts_with(b"["))
}

/// The text of an array, of which one entry may have so many bytes.
struct Entries<'a, R> {
    input: LimitedRows<R>,
    /// Entries that were read.
    number: &'a Cell<u64>,
    /// Of these, how many the limit knows of.
    started: u64,
    over: &'a Cell<bool>,
}

impl<R: Read> Read for Entries<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.started != self.number.get() {
            self.started = self.number.get();
            self.input.start_row();
        }
        let read = self.input.read(out);
        self.over.set(self.input.is_over());
        read
    }
}

/// Reads the objects of an array without holding them all.
fn read_array(path: &Path, mut input: Box<dyn BufRead>, visit: VisitObject<'_>) -> Result<()> {
    struct Each<'a, 'b> {
        path: &'a Path,
        visit: VisitObject<'b>,
        head: &'a [u8],
        failed: &'a mut Option<Error>,
        /// Objects that were read.
        number: &'a Cell<u64>,
    }
    impl<'de> Visitor<'de> for Each<'_, '_> {
        type Value = ();
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array of objects")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<(), A::Error> {
            while let Some(entry) = array.next_element::<Value>()? {
                self.number.set(self.number.get() + 1);
                let place = Place { path: self.path, line: self.number.get() };
                let read = match entry {
                    Value::Object(object) => (self.visit)(&place, object),
                    other => Err(json_advice::of_entry(&place, &other, self.head)),
                };
                if let Err(error) = read {
                    *self.failed = Some(error);
                    return Err(serde::de::Error::custom("stopped"));
                }
            }
            Ok(())
        }
    }
    impl<'de> DeserializeSeed<'de> for Each<'_, '_> {
        type Value = ();
        fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
            reader.deserialize_seq(self)
        }
    }
    let mut failed = None;
    let head = input.fill_buf().map_err(|e| Error::io(path, e))?;
    let head = head[..head.len().min(HEAD)].to_vec();
    let number = Cell::new(0);
    let over = Cell::new(false);
    let mut reader = serde_json::Deserializer::from_reader(Entries {
        input: LimitedRows::new(input),
        number: &number,
        started: 0,
        over: &over,
    });
    let read =
        Each { path, visit, head: &head, failed: &mut failed, number: &number }.deserialize(&mut reader);
    match (failed, read.and_then(|()| reader.end())) {
        (Some(error), _) => Err(error),
        (None, Ok(())) => Ok(()),
        (None, Err(_)) if over.get() => Err(too_long(&Place { path, line: number.get() + 1 })),
        (None, Err(e)) if e.is_io() => Err(Error::io(path, e.into())),
        (None, Err(e)) => Err(json_advice::of_array(&Place { path, line: 1 }, &head, &e)),
    }
}

/// Adds the keys of `object` that are not among `names`.
fn see(names: &mut Vec<String>, object: &Map<String, Value>) {
    // An object may have a key for every user.
    let known: HashSet<&String> = names.iter().collect();
    let new: Vec<String> = object.keys().filter(|key| !known.contains(key)).cloned().collect();
    names.extend(new);
}

/// Adds the columns of objects that are not among `names`.
pub(crate) fn see_columns(path: &Path, input: Box<dyn BufRead>, names: &mut Vec<String>) -> Result<()> {
    let mut left = FIRST;
    let read = read_objects(path, input, &mut |place, object| {
        see(names, &object);
        left -= 1;
        if left == 0 { Err(place.error("enough is seen")) } else { Ok(()) }
    });
    if left == 0 { Ok(()) } else { read }
}

/// Reads objects as a table, whose columns are the keys of the first thousand objects.
pub(crate) fn read(
    path: &Path,
    mut input: Box<dyn BufRead>,
    choose: Choose<'_>,
    visit: Visit<'_>,
) -> Result<()> {
    let each = if starts_array(path, &mut input)? { ".[] | " } else { "" };
    let mut first: Vec<(u64, Map<String, Value>)> = Vec::new();
    let mut keys: Option<Vec<String>> = None;
    let mut row = |keys: &[String], line: u64, object: &Map<String, Value>| {
        let place = Place { path, line };
        let cell = |key: &String| match object.get(key) {
            Some(value) => cell(value).ok_or_else(|| json_advice::of_row(&place, key, object, each)),
            // Programs leave out what is null.
            None => Ok(String::new()),
        };
        let cells: Vec<String> = keys.iter().map(cell).collect::<Result<_>>()?;
        let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
        visit(&place, &cells)
    };
    let mut start = |first: &mut Vec<(u64, Map<String, Value>)>| -> Result<Vec<String>> {
        let mut names = Vec::new();
        first.iter().for_each(|(_, object)| see(&mut names, object));
        if names.is_empty() {
            return Err(Error::format(path, "holds no objects with keys"));
        }
        let chosen = choose(&names).map_err(|e| json_advice::of_columns(e, first, each))?;
        // A key that only other part files have is found in no object.
        Ok(chosen.into_iter().map(|at| names.get(at).cloned().unwrap_or_default()).collect())
    };
    read_objects(path, input, &mut |place, object| {
        if let Some(keys) = &keys {
            return row(keys, place.line, &object);
        }
        first.push((place.line, object));
        if first.len() == FIRST {
            let chosen = start(&mut first)?;
            for (line, object) in first.drain(..) {
                row(&chosen, line, &object)?;
            }
            keys = Some(chosen);
        }
        Ok(())
    })?;
    if keys.is_none() {
        let chosen = start(&mut first)?;
        first.drain(..).try_for_each(|(line, object)| row(&chosen, line, &object))?;
    }
    Ok(())
}

/// A value as a cell: null is empty, a list of one is its entry. Other lists, objects and numbers that lost
/// digits are none.
fn cell(value: &Value) -> Option<String> {
    Some(match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => exact(number)?,
        Value::Bool(yes) => yes.to_string(),
        Value::Null => String::new(),
        Value::Array(parts) => match parts.as_slice() {
            [] => String::new(),
            [one] => cell(one)?,
            _ => return None,
        },
        Value::Object(_) => return None,
    })
}

/// A number as text if it is the one that was written: whole numbers beyond 64 bits have lost digits.
pub(crate) fn exact(number: &Number) -> Option<String> {
    let lost = number.is_f64() && number.as_f64().is_some_and(id_text::has_lost_digits);
    (!lost).then(|| number_text(number))
}

/// A number as text, whole ones without a fraction.
pub(crate) fn number_text(number: &Number) -> String {
    match number.as_f64().filter(|_| number.is_f64()) {
        Some(float) => id_text::number(float),
        None => number.to_string(),
    }
}
