//! A few users: what they had, and what is recommended to them, as tiles.

use std::fmt::Write;

use super::{DemoReport, Text, Title, UserExample};
use crate::output::grouped;

/// The section of all people.
pub(super) fn section(page: &mut String, report: &DemoReport) {
    if report.people.is_empty() {
        return;
    }
    let people = &report.people;
    let hits: usize = people.iter().map(|p| p.recommended.iter().filter(|r| r.1).count()).sum();
    let with = people.iter().filter(|p| p.recommended.iter().any(|r| r.1)).count();
    let _ = writeln!(
        page,
        "<section id=\"people\">\n<h2>What {} suggests</h2>\n<p>{} users, taken at even distances from the list of all \
         users, not chosen for good results. A ringed tile is a {} that the user did choose, but that was held out: {} in \
         all, for {with} of these users.</p>",
        Text(&report.shown),
        people.len(),
        Text(&report.noun.0),
        grouped(hits),
    );
    for person in people {
        card(page, person, &report.noun);
    }
    page.push_str("</section>\n");
}

fn card(page: &mut String, person: &UserExample, noun: &(String, String)) {
    let name = |n: usize| if n == 1 { noun.0.as_str() } else { noun.1.as_str() };
    let hits = person.recommended.iter().filter(|r| r.1).count();
    let _ = writeln!(
        page,
        "<article class=\"panel person\"><div class=\"head\"><h3>User {}</h3><span>{} {} known · {} held out · {hits} of \
         them in these {}</span></div>\n<div class=\"cols\"><div><p class=\"label\">Chosen before</p><ul class=\"past\">",
        Text(&person.id),
        grouped(person.history_len),
        Text(name(person.history_len)),
        grouped(person.held_out),
        person.recommended.len()
    );
    for title in &person.history {
        let _ = writeln!(page, "<li style=\"--h:{}\">{}</li>", hue(title), Text(&title.name));
    }
    if person.history_len > person.history.len() {
        let more = person.history_len - person.history.len();
        let _ = writeln!(page, "<li class=\"more\">and {} more</li>", grouped(more));
    }
    page.push_str("</ul></div>\n<div><p class=\"label\">Suggested</p><ol class=\"tiles\">\n");
    for (rank, (title, hit)) in person.recommended.iter().enumerate() {
        tile(page, rank + 1, title, *hit);
    }
    page.push_str("</ol></div></div></article>\n");
}

fn tile(page: &mut String, rank: usize, title: &Title, hit: bool) {
    let class = if hit { "tile hit" } else { "tile" };
    let _ = write!(page, "<li class=\"{class}\" style=\"--h:{}\">", hue(title));
    match title.picture.as_deref().and_then(|bytes| Some((kind(bytes)?, bytes))) {
        Some((kind, bytes)) => {
            let _ = write!(page, "<img alt=\"\" src=\"data:{kind};base64,{}\">", base64(bytes));
        }
        None => {
            let _ = write!(
                page,
                "<span class=\"big\" aria-hidden=\"true\">{}</span>",
                Text(&initials(&title.name))
            );
        }
    }
    let _ = write!(page, "<span class=\"rank\" aria-hidden=\"true\">{rank}</span>");
    if hit {
        page.push_str("<span class=\"got\">✓ chosen</span>");
    }
    let _ = write!(page, "<span class=\"text\"><b>{}</b>", Text(&title.name));
    if !title.kinds.is_empty() {
        let kinds: Vec<&str> = title.kinds.iter().take(3).map(String::as_str).collect();
        let _ = write!(page, "<small>{}</small>", Text(&kinds.join(", ")));
    }
    page.push_str("</span></li>\n");
}

/// First letters of the first two words that matter.
fn initials(name: &str) -> String {
    let words = name.split_whitespace().filter(|w| !matches!(*w, "The" | "A" | "An" | "of" | "and" | "the"));
    let letters = words.filter_map(|w| w.chars().find(|c| c.is_alphanumeric()));
    letters.take(2).flat_map(char::to_uppercase).collect()
}

/// A colour angle that is the same for items of one kind.
fn hue(title: &Title) -> u32 {
    let text = title.kinds.first().unwrap_or(&title.name);
    let hash = text.bytes().fold(2_166_136_261u32, |h, b| (h ^ u32::from(b)).wrapping_mul(16_777_619));
    (hash >> 8) % 24 * 15
}

/// The media type of a picture's bytes, `None` when it is none that browsers show.
fn kind(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xFF, 0xD8, 0xFF, ..] => Some("image/jpeg"),
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [b'G', b'I', b'F', b'8', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().enumerate().fold(0u32, |g, (i, b)| g | u32::from(*b) << (16 - 8 * i));
        for at in 0..4 {
            let letter = LETTERS[(group >> (18 - 6 * at) & 63) as usize];
            out.push(if at <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_as_in_rfc_4648() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn initials_skip_small_words() {
        assert_eq!(initials("The Lord of the Rings"), "LR");
        assert_eq!(initials("(500) Days"), "5D");
        assert_eq!(initials(""), "");
    }

    #[test]
    fn only_pictures_are_embedded() {
        assert_eq!(kind(&[0xFF, 0xD8, 0xFF, 0xE0]), Some("image/jpeg"));
        assert_eq!(kind(b"<svg onload=alert(1)>"), None);
        assert_eq!(kind(b""), None);
    }
}
