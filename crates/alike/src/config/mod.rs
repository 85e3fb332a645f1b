//! Settings declared once: name, type, default, range and doc feed the struct, strict parsing, the command
//! line and the documentation.

mod stream;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use toml::Value;

use crate::error::{Error, Result};

pub use stream::{Draw, Stream};

/// What is known of one setting, for help texts and documentation.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct SettingInfo {
    /// Name, as in `--set name=value`.
    pub name: &'static str,
    /// `integer`, `number`, `bool`, `choice`, `names` or `weights`.
    pub kind: &'static str,
    /// Default value as text.
    pub default: String,
    /// Allowed values as text.
    pub allowed: String,
    /// What it does.
    pub doc: &'static str,
}

/// A type that a setting can have.
pub trait Setting: Sized {
    /// What limits the value.
    type Bound;
    /// Name of the kind.
    const KIND: &'static str;
    /// The value, or `None` when type or range do not fit.
    fn from_toml(value: &Value, bound: &Self::Bound) -> Option<Self>;
    /// The value as TOML.
    fn to_toml(&self) -> Value;
    /// Allowed values as text.
    fn allowed(bound: &Self::Bound) -> String;
}

impl Setting for usize {
    type Bound = RangeInclusive<usize>;
    const KIND: &'static str = "integer";
    fn from_toml(value: &Value, bound: &Self::Bound) -> Option<Self> {
        let v = usize::try_from(value.as_integer()?).ok()?;
        bound.contains(&v).then_some(v)
    }
    fn to_toml(&self) -> Value {
        Value::Integer(*self as i64)
    }
    fn allowed(bound: &Self::Bound) -> String {
        format!("{}..={}", bound.start(), bound.end())
    }
}

impl Setting for f64 {
    type Bound = RangeInclusive<f64>;
    const KIND: &'static str = "number";
    fn from_toml(value: &Value, bound: &Self::Bound) -> Option<Self> {
        let v = value.as_float().or_else(|| value.as_integer().map(|i| i as f64))?;
        bound.contains(&v).then_some(v)
    }
    fn to_toml(&self) -> Value {
        Value::Float(*self)
    }
    fn allowed(bound: &Self::Bound) -> String {
        format!("{}..={}", bound.start(), bound.end())
    }
}

impl Setting for bool {
    type Bound = ();
    const KIND: &'static str = "bool";
    fn from_toml(value: &Value, _: &()) -> Option<Self> {
        value.as_bool()
    }
    fn to_toml(&self) -> Value {
        Value::Boolean(*self)
    }
    fn allowed(_: &()) -> String {
        "true, false".into()
    }
}

/// One non-negative number per modality, by name; text form `image=0.1,text=0.9`. Empty means equal weights.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ModalityWeights(pub BTreeMap<String, f64>);

impl ModalityWeights {
    /// Weights of these names, divided by their sum. Names not given get 0; all equal when nothing is given
    /// or none of the given names occurs.
    pub fn normalized(&self, names: &[&str]) -> Vec<f64> {
        let raw: Vec<f64> = names.iter().map(|&n| self.0.get(n).copied().unwrap_or(0.0)).collect();
        let sum: f64 = raw.iter().sum();
        if sum > 0.0 {
            raw.iter().map(|w| w / sum).collect()
        } else {
            vec![1.0 / names.len().max(1) as f64; names.len()]
        }
    }
}

impl Setting for ModalityWeights {
    type Bound = ();
    const KIND: &'static str = "weights";
    fn from_toml(value: &Value, _: &()) -> Option<Self> {
        let mut out = BTreeMap::new();
        match value {
            Value::Table(table) => {
                for (name, v) in table {
                    out.insert(name.clone(), f64::from_toml(v, &(0.0..=f64::MAX))?);
                }
            }
            Value::String(text) => {
                for part in text.split(',').filter(|p| !p.trim().is_empty()) {
                    let (name, v) = part.split_once('=')?;
                    let v: f64 = v.trim().parse().ok().filter(|v: &f64| *v >= 0.0 && v.is_finite())?;
                    out.insert(name.trim().to_string(), v);
                }
            }
            _ => return None,
        }
        Some(Self(out))
    }
    fn to_toml(&self) -> Value {
        let parts: Vec<String> = self.0.iter().map(|(n, v)| format!("{n}={v}")).collect();
        Value::String(parts.join(","))
    }
    fn allowed(_: &()) -> String {
        "NAME=WEIGHT,… of the modalities".into()
    }
}

/// A list of names; text form `a,b`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Names(pub Vec<String>);

impl Setting for Names {
    type Bound = ();
    const KIND: &'static str = "names";
    fn from_toml(value: &Value, _: &()) -> Option<Self> {
        let names = match value {
            Value::Array(list) => {
                list.iter().map(|v| Some(v.as_str()?.to_string())).collect::<Option<_>>()?
            }
            Value::String(text) => {
                text.split(',').map(str::trim).filter(|n| !n.is_empty()).map(String::from).collect()
            }
            _ => return None,
        };
        Some(Self(names))
    }
    fn to_toml(&self) -> Value {
        Value::String(self.0.join(","))
    }
    fn allowed(_: &()) -> String {
        "NAME,… of the modalities".into()
    }
}

/// A set of settings; made by the [`settings!`](crate::settings) macro.
pub trait Settings {
    /// Every setting; defaults as in `self`.
    fn infos(&self) -> Vec<SettingInfo>;
    /// Sets one; `Ok(false)` when the name is not one of these.
    fn set(&mut self, name: &str, value: &Value) -> Result<bool>;
    /// All values.
    fn to_table(&self) -> toml::Table;
}

/// Two sets of settings as one; no name is in both.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Both<A, B>(pub A, pub B);

impl<A: Settings, B: Settings> Settings for Both<A, B> {
    fn infos(&self) -> Vec<SettingInfo> {
        let mut infos = self.0.infos();
        infos.extend(self.1.infos());
        infos
    }

    fn set(&mut self, name: &str, value: &Value) -> Result<bool> {
        Ok(self.0.set(name, value)? || self.1.set(name, value)?)
    }

    fn to_table(&self) -> toml::Table {
        let mut table = self.0.to_table();
        table.extend(self.1.to_table());
        table
    }
}

/// Declares a settings struct: `name: type = default, bound;` with a doc comment each.
#[macro_export]
macro_rules! settings {
    ($(#[$meta:meta])* $vis:vis struct $name:ident { $( #[doc = $doc:literal] $field:ident : $ty:ty = $default:expr, $bound:expr; )* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        $vis struct $name { $( #[doc = $doc] $vis $field: $ty, )* }

        impl Default for $name {
            fn default() -> Self {
                Self { $( $field: $default, )* }
            }
        }

        impl $crate::config::Settings for $name {
            fn infos(&self) -> Vec<$crate::config::SettingInfo> {
                vec![$( $crate::config::SettingInfo {
                    name: stringify!($field),
                    kind: <$ty as $crate::config::Setting>::KIND,
                    default: $crate::config::show(&<$ty as $crate::config::Setting>::to_toml(&self.$field)),
                    allowed: <$ty as $crate::config::Setting>::allowed(&$bound),
                    doc: $doc.trim_ascii(),
                }, )*]
            }

            #[allow(unused_variables, reason = "there may be no setting at all")]
            fn set(&mut self, name: &str, value: &$crate::toml::Value) -> $crate::Result<bool> {
                match name {
                    $( stringify!($field) => {
                        self.$field = <$ty as $crate::config::Setting>::from_toml(value, &$bound).ok_or_else(|| {
                            $crate::Error::Setting {
                                name: name.to_string(),
                                value: $crate::config::show(value),
                                allowed: <$ty as $crate::config::Setting>::allowed(&$bound),
                            }
                        })?;
                        Ok(true)
                    } )*
                    _ => Ok(false),
                }
            }

            #[allow(unused_mut, reason = "there may be no setting at all")]
            fn to_table(&self) -> $crate::toml::Table {
                let mut table = $crate::toml::Table::new();
                $( table.insert(stringify!($field).into(), <$ty as $crate::config::Setting>::to_toml(&self.$field)); )*
                table
            }
        }
    };
}

/// Declares an enum whose variants are the allowed words of a setting.
#[macro_export]
macro_rules! choice {
    ($(#[$meta:meta])* $vis:vis enum $name:ident { $( #[doc = $doc:literal] $variant:ident = $word:literal, )* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        $vis enum $name { $( #[doc = $doc] $variant, )* }

        impl $crate::config::Setting for $name {
            type Bound = ();
            const KIND: &'static str = "choice";
            fn from_toml(value: &$crate::toml::Value, _: &()) -> Option<Self> {
                match value.as_str()? {
                    $( $word => Some(Self::$variant), )*
                    _ => None,
                }
            }
            fn to_toml(&self) -> $crate::toml::Value {
                $crate::toml::Value::String(match self { $( Self::$variant => $word, )* }.into())
            }
            fn allowed(_: &()) -> String {
                [$( $word ),*].join(", ")
            }
        }
    };
}

/// A value as people write it, without quotes around a text.
pub fn show(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Settings as people write them: `l2=0.01 lr=0.001`.
pub fn show_all(table: &toml::Table) -> String {
    table.iter().map(|(name, value)| format!("{name}={}", show(value))).collect::<Vec<_>>().join(" ")
}

/// Applies `table` to `parts` in turn; a name that none of them knows is an error.
pub fn apply(table: &toml::Table, parts: &mut [&mut dyn Settings]) -> Result<()> {
    'settings: for (name, value) in table {
        for part in parts.iter_mut() {
            if part.set(name, value)? {
                continue 'settings;
            }
        }
        let allowed: Vec<&str> = parts.iter().flat_map(|p| p.infos()).map(|info| info.name).collect();
        return Err(Error::UnknownSetting { name: name.clone(), allowed: allowed.join(", ") });
    }
    Ok(())
}

/// Reads `key=value`: the value is TOML, or plain text when it is not.
pub fn parse_set(text: &str) -> Result<(String, Value)> {
    let (key, value) = text.split_once('=').filter(|(k, _)| !k.trim().is_empty()).ok_or_else(|| {
        Error::Setting { name: "--set".into(), value: text.into(), allowed: "KEY=VALUE".into() }
    })?;
    let (key, value) = (key.trim(), value.trim());
    let parsed = toml::from_str::<toml::Table>(&format!("v = {value}"))
        .ok()
        .filter(|t| t.len() == 1)
        .and_then(|mut t| t.remove("v"));
    Ok((key.to_string(), parsed.unwrap_or_else(|| Value::String(value.to_string()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    choice! {
        /// A test choice.
        enum Kind {
            /// One.
            One = "one",
            /// Two.
            Two = "two",
        }
    }
    settings! {
        /// Test settings.
        struct Test {
            /// Width.
            dim: usize = 64, 1..=128;
            /// Rate.
            lr: f64 = 0.1, 0.0..=1.0;
            /// Kind.
            kind: Kind = Kind::One, ();
            /// Weights.
            weights: ModalityWeights = ModalityWeights::default(), ();
        }
    }

    fn set(test: &mut Test, text: &str) -> Result<()> {
        let (key, value) = parse_set(text)?;
        apply(&toml::Table::from_iter([(key, value)]), &mut [test])
    }

    #[test]
    fn values_are_parsed_strictly() {
        let mut t = Test::default();
        set(&mut t, "dim=32").unwrap();
        set(&mut t, "lr=1").unwrap();
        set(&mut t, "kind=two").unwrap();
        set(&mut t, "weights=image=0.1,text=0.9").unwrap();
        assert_eq!((t.dim, t.lr, t.kind), (32, 1.0, Kind::Two));
        let w = t.weights.normalized(&["text", "image"]);
        assert!((w[0] - 0.9).abs() < 1e-12 && (w[1] - 0.1).abs() < 1e-12);
        assert_eq!(set(&mut t, "dim=0").unwrap_err().to_string(), "setting `dim` is 0; allowed: 1..=128");
        assert_eq!(set(&mut t, "kind=3").unwrap_err().to_string(), "setting `kind` is 3; allowed: one, two");
        assert!(matches!(set(&mut t, "dmi=3"), Err(Error::UnknownSetting { .. })));
        assert!(set(&mut t, "novalue").is_err());
        assert!(set(&mut t, "lr=nan").is_err());
    }

    #[test]
    fn settings_round_trip() {
        let mut t = Test::default();
        set(&mut t, "weights=a=2").unwrap();
        let mut u = Test::default();
        apply(&t.to_table(), &mut [&mut u]).unwrap();
        assert_eq!(t, u);
        assert_eq!(t.infos()[0].doc, "Width.");
    }
}
