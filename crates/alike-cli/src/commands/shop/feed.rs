//! Product feeds in XML: RSS 2.0 and Atom with the elements of Google's namespace, as rows of a table.

use std::collections::BTreeMap;
use std::path::Path;

use alike::data::WholeTable;
use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};

use crate::failure::{Failure, Outcome};

/// Elements that hold one product each.
const PRODUCTS: [&str; 2] = ["item", "entry"];
/// The prefix of Google's elements, which count before others of the same name.
const GOOGLE: &str = "g:";

/// A product while it is read: values by the names of their elements, each with whether it is Google's.
type Fields = BTreeMap<String, (bool, Vec<String>)>;

/// Reads the feed at `path`.
///
/// # Errors
/// It is no well-formed XML in UTF-8, or no feed of products.
pub(super) fn read(path: &Path) -> Outcome<WholeTable> {
    let bytes = std::fs::read(path).map_err(|e| Failure::io(path, &e))?;
    let text = String::from_utf8(bytes).map_err(|_| {
        Failure::Failed(format!("{}: is not UTF-8 text; save or export it as UTF-8", path.display()))
    })?;
    let products = products(path, &text)?;
    if products.is_empty() {
        let text = "has no products: a feed has an <item> or <entry> for each";
        return Err(Failure::Failed(format!("{}: {text}", path.display())));
    }
    let mut names: Vec<String> = Vec::new();
    for name in products.iter().flat_map(|(_, fields)| fields.keys()) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    let cell = |fields: &Fields, name: &String| match fields.get(name).map(|(_, values)| values.as_slice()) {
        None | Some([]) => String::new(),
        Some([one]) => one.clone(),
        Some(several) => serde_json::to_string(several).expect("texts are JSON"),
    };
    let row = |(line, fields): &(u64, Fields)| (*line, names.iter().map(|name| cell(fields, name)).collect());
    let rows = products.iter().map(row).collect();
    Ok(WholeTable { path: path.to_path_buf(), rows, names, notes: Vec::new() })
}

fn products(path: &Path, text: &str) -> Outcome<Vec<(u64, Fields)>> {
    let mut reader = Reader::from_str(text);
    // Lines are counted from where they were counted last: positions only grow.
    let (mut counted, mut line) = (0, 1);
    let mut line_at = |at: u64| {
        let at = (at as usize).min(text.len());
        line += text.as_bytes()[counted..at.max(counted)].iter().filter(|&&c| c == b'\n').count() as u64;
        counted = at.max(counted);
        line
    };
    let mut found: Vec<(u64, Fields)> = Vec::new();
    // The product, the element within it and its text, and how deep within that.
    let (mut product, mut element, mut depth) = (None::<(u64, Fields)>, None::<(String, String)>, 0usize);
    loop {
        let event = reader.read_event().map_err(|e| {
            let line = line_at(reader.error_position());
            Failure::Failed(format!("{}:{line}: is no well-formed XML: {e}", path.display()))
        })?;
        match event {
            Event::Start(tag) => {
                let name = tag.name().as_ref().to_string();
                match (&mut product, &mut element) {
                    (None, _) if PRODUCTS.contains(&name.as_str()) => {
                        product = Some((line_at(reader.buffer_position()), Fields::new()));
                    }
                    (Some(_), None) => (element, depth) = (Some((name, String::new())), 0),
                    (Some(_), Some(_)) => depth += 1,
                    _ => {}
                }
            }
            Event::Empty(tag) => {
                if let (Some((_, fields)), None) = (&mut product, &element)
                    && let Some(address) = link(&tag)
                {
                    keep(fields, "link", address);
                }
            }
            Event::End(tag) => match (&mut product, element.take()) {
                (Some((_, fields)), Some((name, text))) if depth == 0 => keep(fields, &name, text),
                (Some(_), inner @ Some(_)) => {
                    depth -= 1;
                    element = inner;
                }
                (Some(_), None) if PRODUCTS.contains(&tag.name().as_ref()) => found.extend(product.take()),
                _ => {}
            },
            Event::Text(text) if depth == 0 => {
                if let Some((_, all)) = &mut element {
                    all.push_str(&text.xml_content(XmlVersion::Implicit1_0));
                }
            }
            Event::CData(text) => {
                if let Some((_, all)) = element.as_mut().filter(|_| depth == 0) {
                    all.push_str(&text.xml_content(XmlVersion::Implicit1_0));
                }
            }
            Event::GeneralRef(name) => {
                if let Some((_, all)) = element.as_mut().filter(|_| depth == 0) {
                    match name.resolve_char_ref() {
                        Ok(Some(c)) => all.push(c),
                        // Those of HTML are decoded with the markup.
                        _ => match name.xml_content(XmlVersion::Implicit1_0).as_ref() {
                            "quot" => all.push('"'),
                            "apos" => all.push('\''),
                            other => all.push_str(&format!("&{other};")),
                        },
                    }
                }
            }
            Event::Eof => return Ok(found),
            _ => {}
        }
    }
}

/// Keeps a value; of an element of Google and another of the same name the former counts.
fn keep(fields: &mut Fields, name: &str, text: String) {
    let (google, name) = match name.strip_prefix(GOOGLE) {
        Some(name) => (true, name),
        None => (false, name),
    };
    let text = text.trim();
    if text.is_empty() {
        return;
    }
    let (known, values) = fields.entry(name.to_string()).or_default();
    match (google, *known) {
        (true, false) => (*known, *values) = (true, vec![text.to_string()]),
        (false, true) => {}
        _ => values.push(text.to_string()),
    }
}

/// The address of a link as Atom writes it.
fn link(tag: &BytesStart<'_>) -> Option<String> {
    if tag.name().as_ref() != "link" {
        return None;
    }
    let href = tag.try_get_attribute("href").ok().flatten()?;
    Some(href.value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Outcome<WholeTable> {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("feed.xml");
        std::fs::write(&path, text).unwrap();
        read(&path)
    }

    #[test]
    fn googles_elements_count_before_those_of_the_feed() {
        let rss = "<?xml version=\"1.0\"?>\n<rss xmlns:g=\"http://base.google.com/ns/1.0\"><channel><title>Shop</title>\n\
                   <item><title>Feed title</title><g:title>Red &amp; blue <b>x</b></g:title><g:id>7</g:id>\
                   <description><![CDATA[<p>soft</p>]]></description>\
                   <g:shipping><g:price>4 EUR</g:price></g:shipping><g:price>12,99 EUR</g:price>\
                   <g:additional_image_link>a.jpg</g:additional_image_link>\
                   <g:additional_image_link>b.jpg</g:additional_image_link></item></channel></rss>";
        let table = table(rss).unwrap();
        let (line, cells) = &table.rows[0];
        let cell = |name: &str| cells[table.names.iter().position(|n| n == name).unwrap()].as_str();
        assert_eq!((*line, cell("id"), cell("price")), (3, "7", "12,99 EUR"));
        assert_eq!((cell("title"), cell("description")), ("Red &amp; blue", "<p>soft</p>"));
        assert_eq!(cell("additional_image_link"), "[\"a.jpg\",\"b.jpg\"]");
        assert!(!table.names.contains(&"shipping".to_string()));
    }

    #[test]
    fn atom_has_entries_and_links() {
        let atom = "<feed xmlns=\"http://www.w3.org/2005/Atom\" xmlns:g=\"http://base.google.com/ns/1.0\">\
                    <entry><id>tag:shop,2024:1</id><g:id>A-1</g:id><title>Lamp</title><link href=\"https://s/lamp\"/></entry></feed>";
        let table = table(atom).unwrap();
        assert_eq!(table.names, ["id", "link", "title"]);
        assert_eq!(table.rows[0].1, ["A-1", "https://s/lamp", "Lamp"]);
    }

    #[test]
    fn what_is_no_feed_is_told() {
        let said = |text: &str| table(text).unwrap_err().line().unwrap();
        assert!(said("<rss><channel></channel></rss>").contains("has no products"));
        let broken = said("<rss><channel>\n<item><title>x</titel></item></channel></rss>");
        assert!(broken.contains("feed.xml:2: is no well-formed XML"), "{broken}");
    }
}
