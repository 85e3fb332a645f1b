//! Workbooks of Excel, made by hand.

use std::io::{Cursor, Write};

/// A zip archive of these files.
pub(crate) fn zip(parts: &[(&str, String)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in parts {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A sheet: its name, what the workbook says of it, and its rows as XML.
pub(crate) type Sheet<'a> = (&'a str, &'a str, String);

/// The parts of a workbook whose texts are `texts`. Style 1 is a date, style 2 a date of the workbook's own.
pub(crate) fn parts(sheets: &[Sheet<'_>], texts: &[String]) -> Vec<(String, String)> {
    let xml = |body: String| format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>{body}");
    let office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let main = "xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\"";
    let related = "xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\"";
    let link = |id: usize, kind: &str, target: &str| {
        format!("<Relationship Id=\"rId{id}\" Type=\"{office}/{kind}\" Target=\"{target}\"/>")
    };
    let (mut listed, mut links) = (String::new(), String::new());
    let mut all = vec![("[Content_Types].xml".to_string(), xml("<Types/>".into()))];
    // Sheets are not stored in the order in which they are shown.
    for (at, (name, more, rows)) in sheets.iter().enumerate() {
        let (id, file) = (at + 1, format!("worksheets/sheet{}.xml", sheets.len() - at));
        listed += &format!("<sheet name=\"{name}\" sheetId=\"{id}\" {more} r:id=\"rId{id}\"/>");
        links += &link(id, "worksheet", &file);
        let body = format!("<worksheet {main}><sheetData>{rows}</sheetData></worksheet>");
        all.push((format!("xl/{file}"), xml(body)));
    }
    let shared: String =
        texts.iter().map(|text| format!("<si><t xml:space=\"preserve\">{text}</t></si>")).collect();
    all.extend([
        ("_rels/.rels".into(), xml(format!("<Relationships {related}>{}</Relationships>", link(1, "officeDocument", "xl/workbook.xml")))),
        ("xl/workbook.xml".into(), xml(format!("<workbook {main} xmlns:r=\"{office}\"><sheets>{listed}</sheets></workbook>"))),
        ("xl/_rels/workbook.xml.rels".into(), xml(format!("<Relationships {related}>{links}</Relationships>"))),
        ("xl/sharedStrings.xml".into(), xml(format!("<sst {main} uniqueCount=\"{}\">{shared}</sst>", texts.len()))),
        ("xl/styles.xml".into(), xml(format!(
            "<styleSheet {main}><numFmts><numFmt numFmtId=\"170\" formatCode=\"dd\\.mm\\.yyyy&quot; at &quot;hh:mm\"/></numFmts>\
             <cellXfs><xf numFmtId=\"0\"/><xf numFmtId=\"14\"/><xf numFmtId=\"170\"/></cellXfs></styleSheet>"
        ))),
    ]);
    all
}

/// A workbook.
pub(crate) fn workbook(sheets: &[Sheet<'_>], texts: &[String]) -> Vec<u8> {
    let parts = parts(sheets, texts);
    zip(&parts.iter().map(|(name, content)| (name.as_str(), content.clone())).collect::<Vec<_>>())
}

/// Rows of a sheet from lines of cells apart by commas: numbers as numbers, `date:` as a date, the rest as
/// shared texts.
pub(crate) fn rows(table: &str, texts: &mut Vec<String>) -> String {
    let mut out = String::new();
    for (row, line) in table.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
        let cell = |(column, cell): (usize, &str)| {
            let place = format!("{}{}", (b'A' + column as u8) as char, row + 1);
            if cell.is_empty() {
                return String::new();
            }
            if let Some(days) = cell.strip_prefix("date:") {
                return format!("<c r=\"{place}\" s=\"1\"><v>{days}</v></c>");
            }
            if cell.parse::<f64>().is_ok() {
                return format!("<c r=\"{place}\"><v>{cell}</v></c>");
            }
            texts.push(cell.to_string());
            format!("<c r=\"{place}\" t=\"s\"><v>{}</v></c>", texts.len() - 1)
        };
        let cells: String = line.split(',').enumerate().map(cell).collect();
        out += &format!("<row r=\"{}\">{cells}</row>", row + 1);
    }
    out
}

/// A workbook of one sheet of such rows.
pub(crate) fn table(table: &str) -> Vec<u8> {
    let mut texts = Vec::new();
    let rows = rows(table, &mut texts);
    workbook(&[("Log", "", rows)], &texts)
}
