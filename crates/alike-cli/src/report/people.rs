//! A few users: what they had, and what is recommended to them, as tiles.

use maud::{Markup, html};

use super::{DemoReport, Title, UserExample, page};
use crate::output::grouped;

/// The section of all people.
pub(super) fn section(report: &DemoReport) -> Markup {
    let people = &report.people;
    if people.is_empty() {
        return Markup::default();
    }
    let hits: usize = people.iter().map(|p| p.recommended.iter().filter(|r| r.1).count()).sum();
    let with = people.iter().filter(|p| p.recommended.iter().any(|r| r.1)).count();
    let text = format!(
        "{} users, taken at even distances from the list of all users, not chosen for good results. A ringed tile is a {} that the \
         user did choose, but that was held out: {} in all, for {with} of these users.",
        people.len(),
        report.noun.0,
        grouped(hits),
    );
    let cards = html! { @for person in people { (card(person, &report.noun)) } };
    page::section("people", &format!("What {} suggests", report.shown), &text, &cards)
}

fn card(person: &UserExample, noun: &(String, String)) -> Markup {
    let UserExample { id, history, history_len, held_out, recommended } = person;
    let known = if *history_len == 1 { &noun.0 } else { &noun.1 };
    let hits = recommended.iter().filter(|r| r.1).count();
    html! {
        article class="panel person" {
            div.head {
                h3 { "User " (id) }
                span {
                    (grouped(*history_len)) " " (known) " known · " (grouped(*held_out)) " held out · "
                    (hits) " of them in these " (recommended.len())
                }
            }
            div.cols {
                div {
                    p.label { "Chosen before" }
                    ul.past {
                        @for title in history { li style={ "--h:" (hue(title)) } { (title.name) } }
                        @if *history_len > history.len() {
                            li.more { "and " (grouped(history_len - history.len())) " more" }
                        }
                    }
                }
                div {
                    p.label { "Suggested" }
                    ol.tiles {
                        @for (at, (title, hit)) in recommended.iter().enumerate() { (tile(at + 1, title, *hit)) }
                    }
                }
            }
        }
    }
}

fn tile(rank: usize, title: &Title, hit: bool) -> Markup {
    let picture = title.picture.as_deref().and_then(|bytes| Some((kind(bytes)?, bytes)));
    let kinds: Vec<&str> = title.kinds.iter().take(3).map(String::as_str).collect();
    html! {
        li.tile.hit[hit] style={ "--h:" (hue(title)) } {
            @if let Some((kind, bytes)) = picture {
                img alt="" src={ "data:" (kind) ";base64," (base64(bytes)) };
            } @else {
                span.big aria-hidden="true" { (initials(&title.name)) }
            }
            span.rank aria-hidden="true" { (rank) }
            @if hit { span.got { "✓ chosen" } }
            span.text {
                b { (title.name) }
                @if !kinds.is_empty() { small { (kinds.join(", ")) } }
            }
        }
    }
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
