//! How text is read where its bytes do not say it.

use encoding_rs::Encoding;

use crate::{Error, Result};

/// How a table of text is written; what is not given is guessed from its first lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TextOptions {
    /// What separates columns: one or more characters, or `tab`, `blanks` (any number of blanks and tabs),
    /// `comma`, `semicolon`, `pipe` or `colon`.
    pub delimiter: Option<String>,
    /// Name of the encoding, as the web knows it (`windows-1252`, `shift_jis`, …), of text that is not UTF-8.
    pub encoding: Option<String>,
    /// The first line holds data.
    pub no_header: bool,
    /// Names of the columns of text without a header; none: they are called 1, 2, 3 …
    pub names: Vec<String>,
    /// Lines before the table.
    pub skip_lines: usize,
    /// Name of the sheet to read of a workbook; none: the first that is not hidden.
    pub sheet: Option<String>,
}

/// What separates the columns of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Delimiter {
    Byte(u8),
    Text(String),
    /// Runs of blanks and tabs.
    Blanks,
}

impl Delimiter {
    /// From its name on the command line.
    fn parse(text: &str) -> Result<Self> {
        match text {
            "tab" | "\\t" => Ok(Self::Byte(b'\t')),
            "blank" | "blanks" | "space" => Ok(Self::Blanks),
            "comma" => Ok(Self::Byte(b',')),
            "semicolon" => Ok(Self::Byte(b';')),
            "pipe" => Ok(Self::Byte(b'|')),
            "colon" => Ok(Self::Byte(b':')),
            _ if text.is_empty() || text.contains(['\n', '\r', '"']) => Err(Error::Setting {
                name: "delimiter".into(),
                value: format!("{text:?}"),
                allowed: "one or more characters, `tab`, `blanks`".into(),
            }),
            _ if text.len() == 1 => Ok(Self::Byte(text.as_bytes()[0])),
            _ => Ok(Self::Text(text.into())),
        }
    }
}

impl TextOptions {
    /// An error if an option has a value that cannot be.
    pub(crate) fn check(&self) -> Result<()> {
        self.delimiter()?;
        self.encoding()?;
        if !self.names.is_empty() && !self.no_header {
            let message = "names of columns are given for a table that has a header: `--columns` is for one without \
                           (`--no-header`); `--column ROLE=NAME` says which column of a header is which";
            return Err(Error::Data(message.into()));
        }
        Ok(())
    }

    /// The delimiter, if it is given.
    pub(crate) fn delimiter(&self) -> Result<Option<Delimiter>> {
        self.delimiter.as_deref().map(Delimiter::parse).transpose()
    }

    /// The encoding, if it is given.
    pub(crate) fn encoding(&self) -> Result<Option<&'static Encoding>> {
        let known = |name: &String| {
            Encoding::for_label(name.as_bytes()).ok_or_else(|| Error::Setting {
                name: "encoding".into(),
                value: name.clone(),
                allowed: "names that the web knows: utf-8, windows-1252, iso-8859-2, shift_jis, gbk …".into(),
            })
        };
        self.encoding.as_ref().map(known).transpose()
    }

    /// As these options are for a catalogue beside the interactions: it is a table of its own, and only the
    /// encoding is likely to be the same.
    pub(crate) fn of_items(&self) -> Self {
        Self { encoding: self.encoding.clone(), ..Self::default() }
    }
}
