//! Texts that hold HTML: shops keep their descriptions so.

use std::borrow::Cow;

/// Elements whose content is no text.
const SILENT: [&str; 2] = ["script", "style"];

/// Elements that texts of shops are written in: where entities spell one of them, the text was HTML that was
/// escaped.
const ELEMENTS: [&str; 42] = [
    "a",
    "article",
    "b",
    "big",
    "blockquote",
    "br",
    "center",
    "code",
    "dd",
    "div",
    "dl",
    "dt",
    "em",
    "font",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "iframe",
    "img",
    "li",
    "ol",
    "p",
    "pre",
    "script",
    "section",
    "small",
    "span",
    "strong",
    "style",
    "sub",
    "sup",
    "table",
    "tbody",
    "td",
    "tr",
    "u",
    "ul",
];
/// Where text starts and ends that XML takes as it is.
const CDATA: [&str; 2] = ["<![CDATA[", "]]>"];

/// `text` without tags and comments, entities decoded and blanks run together; as it is where it holds no
/// markup. A `<` that starts no tag (`a < b`, `<3`) stays.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut found = text.contains(CDATA[0]);
    // What shops put in there may be HTML all the same.
    let bare = if found { text.replace(CDATA[0], " ").replace(CDATA[1], " ") } else { String::new() };
    found |= take_tags_off(if found { &bare } else { text }, &mut out);
    let mut decoded = html_escape::decode_html_entities(&out).into_owned();
    if decoded != out && decoded.match_indices('<').any(|(at, _)| is_element(&decoded[at..])) {
        let mut bare = String::new();
        take_tags_off(&decoded, &mut bare);
        decoded = html_escape::decode_html_entities(&bare).into_owned();
        found = true;
    }
    if !found && decoded == text {
        return Cow::Borrowed(text);
    }
    let blank = |c: char| c.is_whitespace() || c == '\u{a0}';
    Cow::Owned(decoded.split(blank).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" "))
}

/// Adds `text` to `out` with a blank for each tag; true where there was one.
fn take_tags_off(text: &str, out: &mut String) -> bool {
    let mut rest = text;
    let mut found = false;
    while let Some(at) = rest.find('<') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        if let Some(after) = skipped(from) {
            // Words on both sides of a tag are two words.
            out.push(' ');
            rest = after;
            found = true;
        } else {
            out.push('<');
            rest = &from[1..];
        }
    }
    out.push_str(rest);
    found
}

/// True for text that starts with a tag of one of the elements.
fn is_element(text: &str) -> bool {
    let name = text[1..].trim_start_matches('/');
    let name: String = name.chars().take_while(char::is_ascii_alphanumeric).collect();
    ELEMENTS.iter().any(|element| name.eq_ignore_ascii_case(element)) && tag_end(text).is_some()
}

/// Length of the tag that `text` starts with: to the first `>` that is not in a quoted value.
fn tag_end(text: &str) -> Option<usize> {
    let (mut quote, mut value) = (None, false);
    for (at, c) in text.char_indices() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '>' => return Some(at + 1),
            None if value && (c == '"' || c == '\'') => quote = Some(c),
            None => {}
        }
        value = quote.is_none() && (c == '=' || (value && c.is_whitespace()));
    }
    // A quote that is not closed is none.
    text.find('>').map(|at| at + 1)
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
    let after = &text[tag_end(text)?..];
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
            ("<![CDATA[Oak table]]>", "Oak table"),
            ("<![CDATA[<p>oak, a < b</p>]]> and more", "oak, a < b and more"),
            ("&lt;p&gt;Caf&amp;eacute; &lt;b&gt;au lait&lt;/b&gt;&lt;/p&gt;", "Café au lait"),
            ("size &lt;x&gt;", "size <x>"),
            ("<a title=\"x > y\" href='a>b'>T</a>", "T"),
            ("<a title=\"x>T</a> it's", "T it's"),
            ("<p class = 'a'>it's</p> 5 > 4", "it's 5 > 4"),
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
