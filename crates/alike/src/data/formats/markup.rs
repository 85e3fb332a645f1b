//! Texts that hold HTML: shops keep their descriptions so.

use std::borrow::Cow;

/// Elements whose content is no text.
const SILENT: [&str; 2] = ["script", "style"];

/// `text` without tags and comments, entities decoded and blanks run together; as it is where it holds no markup. A `<`
/// that starts no tag (`a < b`, `<3`) stays.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    let mut rest = text;
    let mut out = String::new();
    let mut found = false;
    while let Some(at) = rest.find('<') {
        let (before, from) = rest.split_at(at);
        match skipped(from) {
            Some(after) => {
                out.push_str(before);
                // Words on both sides of a tag are two words.
                out.push(' ');
                rest = after;
                found = true;
            }
            None => {
                out.push_str(&rest[..=at]);
                rest = &rest[at + 1..];
            }
        }
    }
    out.push_str(rest);
    let decoded = html_escape::decode_html_entities(&out);
    if !found && decoded == text {
        return Cow::Borrowed(text);
    }
    let blank = |c: char| c.is_whitespace() || c == '\u{a0}';
    Cow::Owned(decoded.split(blank).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" "))
}

/// What follows the tag or comment that `text` starts with; nothing where it starts with none.
fn skipped(text: &str) -> Option<&str> {
    if let Some(comment) = text.strip_prefix("<!--") {
        return Some(comment.split_once("-->").map_or("", |(_, after)| after));
    }
    let name = text[1..].trim_start_matches('/');
    if !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '!' || c == '?') {
        return None;
    }
    let (_, after) = text.split_once('>')?;
    let name: String = name.chars().take_while(char::is_ascii_alphanumeric).collect();
    let Some(silent) = SILENT.iter().find(|s| name.eq_ignore_ascii_case(s)) else { return Some(after) };
    if text.starts_with("</") {
        return Some(after);
    }
    // To the tag that ends it, which is skipped next.
    let ends = |at: &usize| {
        after[at + 2..].get(..silent.len()).is_some_and(|name| name.eq_ignore_ascii_case(silent))
    };
    Some(after.match_indices("</").map(|(at, _)| at).find(ends).map_or("", |at| &after[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_go_and_entities_are_letters() {
        for (html, text) in [
            ("<p><ul><li>oak&nbsp;table</li></ul></p>", "oak table"),
            ("a<br/>b", "a b"),
            ("<div class=\"x\">Caf&eacute; &amp; bar</div><!-- old -->", "Café & bar"),
            ("&lt;5 kg", "<5 kg"),
            ("<style>p { color: red }</style>Red<SCRIPT>x < y</SCRIPT> shirt", "Red shirt"),
            ("&#8364; 5", "€ 5"),
        ] {
            assert_eq!(plain(html), text, "{html}");
        }
    }

    #[test]
    fn other_texts_stay_as_they_are() {
        for text in ["", "a < b and c > d", "I <3 it", "R&B  two blanks", "<", "price <", "5 <  6"] {
            assert!(matches!(plain(text), Cow::Borrowed(t) if t == text), "{text}");
        }
    }
}
