//! What may reach a terminal.

/// `text` without control characters, which a terminal would obey.
pub(crate) fn printable(text: &str) -> String {
    text.replace(char::is_control, " ")
}
