//! JSON that may be cut, read as far as it goes.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Reads a value so that what is there of a cut one is kept.
pub(super) struct Partial<'a> {
    pub(super) value: &'a mut Value,
    /// The key of the outermost object in whose value the text ends.
    pub(super) cut: &'a mut Option<String>,
}

impl<'de> DeserializeSeed<'de> for Partial<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Partial<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        *self.value = value.into();
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        *self.value = value.into();
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        *self.value = value.into();
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        *self.value = value.into();
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        *self.value = value.into();
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<(), A::Error> {
        let mut values = Vec::new();
        let end = loop {
            let mut value = Value::Null;
            match array.next_element_seed(Partial { value: &mut value, cut: &mut *self.cut }) {
                Ok(Some(())) => values.push(value),
                Ok(None) => break Ok(()),
                Err(e) => {
                    values.push(value);
                    break Err(e);
                }
            }
        };
        *self.value = Value::Array(values);
        end
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut object = Map::new();
        let end = loop {
            let key: String = match map.next_key() {
                Ok(Some(key)) => key,
                Ok(None) => break Ok(()),
                Err(e) => break Err(e),
            };
            let mut value = Value::Null;
            let read = map.next_value_seed(Partial { value: &mut value, cut: &mut *self.cut });
            if read.is_err() {
                *self.cut = Some(key.clone());
            }
            object.insert(key, value);
            if read.is_err() {
                break read;
            }
        };
        *self.value = Value::Object(object);
        end
    }
}
