//! Spreadsheets of OpenDocument, made by hand.

use std::io::{Cursor, Write};

/// A sheet: its name, whether it is hidden, and its rows as XML.
pub(crate) type Sheet<'a> = (&'a str, bool, String);

/// What programs write behind the cells: the rest of the sheet, empty.
pub(crate) const REST: &str = "<table:table-row table:number-rows-repeated=\"1048000\">\
    <table:table-cell table:number-columns-repeated=\"16384\"/></table:table-row>";

/// A spreadsheet; `manifest` is what its list of parts holds.
pub(crate) fn archive(sheets: &[Sheet<'_>], manifest: &str) -> Vec<u8> {
    packed(content(sheets), manifest)
}

/// What the file says of its sheets.
pub(crate) fn content(sheets: &[Sheet<'_>]) -> String {
    let style = |name: &str, shown: bool| {
        format!(
            "<style:style style:name=\"{name}\" style:family=\"table\">\
             <style:table-properties table:display=\"{shown}\"/></style:style>"
        )
    };
    let table = |(name, hidden, rows): &Sheet<'_>| {
        let style = if *hidden { "away" } else { "shown" };
        format!("<table:table table:name=\"{name}\" table:style-name=\"{style}\">{rows}</table:table>")
    };
    let styles = style("shown", true) + &style("away", false);
    let tables: String = sheets.iter().map(table).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><office:document-content>\
         <office:automatic-styles>{styles}</office:automatic-styles>\
         <office:body><office:spreadsheet>{tables}</office:spreadsheet></office:body></office:document-content>"
    )
}

/// A file of this content.
pub(crate) fn packed(content: String, manifest: &str) -> Vec<u8> {
    let manifest = format!("<manifest:manifest>{manifest}</manifest:manifest>");
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let plain = zip::write::SimpleFileOptions::default();
    let stored = plain.compression_method(zip::CompressionMethod::Stored);
    let kind = "application/vnd.oasis.opendocument.spreadsheet".to_string();
    let parts = [
        ("mimetype", kind, stored),
        ("META-INF/manifest.xml", manifest, plain),
        ("content.xml", content, plain),
    ];
    for (name, bytes, options) in parts {
        zip.start_file(name, options).unwrap();
        zip.write_all(bytes.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Rows of a sheet from lines of cells apart by commas: numbers as numbers, `date:` as a date, the rest as
/// texts.
pub(crate) fn rows(table: &str) -> String {
    let cell = |cell: &str| {
        if cell.is_empty() {
            return "<table:table-cell/>".to_string();
        }
        let value = match cell.strip_prefix("date:") {
            Some(date) => format!("office:value-type=\"date\" office:date-value=\"{date}\""),
            None if cell.parse::<f64>().is_ok() => {
                format!("office:value-type=\"float\" office:value=\"{cell}\"")
            }
            None => "office:value-type=\"string\"".into(),
        };
        format!("<table:table-cell {value}><text:p>{cell}</text:p></table:table-cell>")
    };
    let row = |line: &str| {
        let cells: String = line.split(',').map(cell).collect();
        format!("<table:table-row>{cells}</table:table-row>")
    };
    table.lines().map(row).collect()
}

/// A spreadsheet of one sheet of such rows.
pub(crate) fn table(table: &str) -> Vec<u8> {
    archive(&[("Log", false, rows(table) + REST)], "")
}
