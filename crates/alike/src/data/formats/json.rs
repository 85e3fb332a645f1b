//! JSON: objects one a line, or one array of them.

use std::fmt;
use std::io::{BufRead, Read};
use std::path::Path;

use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde_json::{Map, Value, error::Category};

use crate::data::formats::delimited::encoding_advice;
use crate::data::formats::table::{Choose, Place, Visit, next_line};
use crate::{Error, Result};

/// Objects from which the names of the columns are taken.
const FIRST: usize = 1000;

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
        let object = serde_json::from_slice(text).map_err(|e| bad_line(path, number, text, &e))?;
        visit(&Place { path, line: number }, object)?;
    }
}

fn starts_array(path: &Path, input: &mut Box<dyn BufRead>) -> Result<bool> {
    let head = input.fill_buf().map_err(|e| Error::io(path, e))?;
    Ok(head.trim_ascii_start().starts_with(b"["))
}

/// What is wrong with a line, for people who have such files.
fn bad_line(path: &Path, number: u64, text: &[u8], error: &serde_json::Error) -> Error {
    let say = |message: String| Error::format_at(path, number, message);
    let Ok(shown) = std::str::from_utf8(text) else {
        return say(format!("is not UTF-8 text; {}", encoding_advice()));
    };
    let dict = shown.strip_prefix('{').is_some_and(|t| {
        let t = t.trim_start();
        t.starts_with('\'') || t.starts_with("u'") || t.starts_with("u\"")
    });
    if dict {
        return say("is a Python dict, not JSON; write each as JSON: \
                    `python3 -c 'import ast, json, sys; [print(json.dumps(ast.literal_eval(l))) for l in sys.stdin]' \
                    < FILE > NEW.jsonl`"
            .into());
    }
    if error.classify() == Category::Eof && number == 1 {
        return say(
            "an object does not end in its line; one object a line is read: `jq -c . FILE > NEW.jsonl`"
                .into(),
        );
    }
    let near: String = shown.chars().skip(error.column().saturating_sub(3)).take(12).collect();
    if error.classify() == Category::Syntax && ["NaN", "Infinity"].iter().any(|word| near.contains(word)) {
        let message =
            "holds NaN or Infinity, which JSON does not have; write null (pandas: `to_json(…, lines=True)`)";
        return say(message.into());
    }
    say(format!("is no JSON object: {error}"))
}

/// Reads the objects of an array without holding them all.
fn read_array(path: &Path, input: impl Read, visit: VisitObject<'_>) -> Result<()> {
    struct Each<'a, 'b> {
        path: &'a Path,
        visit: VisitObject<'b>,
        failed: &'a mut Option<Error>,
    }
    impl<'de> Visitor<'de> for Each<'_, '_> {
        type Value = ();
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array of objects")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<(), A::Error> {
            let mut number = 0;
            while let Some(object) = array.next_element::<Map<String, Value>>()? {
                number += 1;
                if let Err(error) = (self.visit)(&Place { path: self.path, line: number }, object) {
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
    let mut reader = serde_json::Deserializer::from_reader(input);
    let read = Each { path, visit, failed: &mut failed }.deserialize(&mut reader);
    match (failed, read.and_then(|()| reader.end())) {
        (Some(error), _) => Err(error),
        (None, Ok(())) => Ok(()),
        (None, Err(e)) => {
            let message = format!("is no JSON array of objects: {e}");
            Err(Error::format_at(path, e.line() as u64, message))
        }
    }
}

/// Reads objects as a table, whose columns are the keys of the first thousand objects.
pub(crate) fn read(path: &Path, input: Box<dyn BufRead>, choose: Choose<'_>, visit: Visit<'_>) -> Result<()> {
    let mut first: Vec<(u64, Map<String, Value>)> = Vec::new();
    let mut keys: Option<Vec<String>> = None;
    let mut row = |keys: &[String], line: u64, object: &Map<String, Value>| {
        let cells: Vec<String> = keys.iter().map(|k| object.get(k).map(cell).unwrap_or_default()).collect();
        let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
        visit(&Place { path, line }, &cells)
    };
    let mut start = |first: &mut Vec<(u64, Map<String, Value>)>| -> Result<Vec<String>> {
        let mut names: Vec<String> = Vec::new();
        for key in first.iter().flat_map(|(_, object)| object.keys()) {
            if !names.contains(key) {
                names.push(key.clone());
            }
        }
        if names.is_empty() {
            return Err(Error::format(path, "holds no objects with keys"));
        }
        Ok(choose(&names)?.into_iter().map(|at| names[at].clone()).collect())
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

/// A value as a cell: null is empty, lists are joined, objects are left out.
pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(yes) => yes.to_string(),
        Value::Array(parts) => {
            let parts: Vec<String> = parts.iter().map(cell).filter(|p| !p.is_empty()).collect();
            parts.join(", ")
        }
        Value::Null | Value::Object(_) => String::new(),
    }
}
