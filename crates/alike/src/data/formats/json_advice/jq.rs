//! Commands that take JSON apart with `jq`, whatever its keys are.

/// The command that runs `program`, which has keys by [`jq_path`] and [`jq_text`] only: a shell takes all
/// between single quotes as it is.
pub(super) fn command(program: &str) -> String {
    format!("`jq -c '{program}' FILE > NEW.jsonl`")
}

/// A key as `jq` takes it.
pub(super) fn jq_path(key: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    match !key.is_empty() && key.chars().all(plain) && !key.starts_with(|c: char| c.is_ascii_digit()) {
        true => format!(".{key}"),
        false => format!(".{}", jq_text(key)),
    }
}

/// What is under `path`: the entries of a list, or what is there alone. Programs that turn XML into JSON
/// write a list of one as its entry.
pub(super) fn entries(path: &str) -> String {
    format!("({path} | if type == \"array\" then .[] else . // empty end)")
}

/// A text as `jq` takes it, without what would end single quotes in a shell, the backticks of a message, or
/// the line.
pub(super) fn jq_text(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\'' | '`' => quoted += &format!("\\u{:04x}", u32::from(c)),
            c if c == ' ' || c.is_ascii_graphic() || c.is_alphanumeric() => quoted.push(c),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]).iter() {
                    quoted += &format!("\\u{unit:04x}");
                }
            }
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_key_is_taken_by_jq_and_by_the_shell() {
        let cases = [
            ("user_1", ".user_1"),
            ("", ".\"\""),
            ("1st", ".\"1st\""),
            ("rows of it", ".\"rows of it\""),
            ("$oid; `id` #", ".\"$oid; \\u0060id\\u0060 #\""),
            ("it's", ".\"it\\u0027s\""),
            ("a \"b\"\\", ".\"a \\\"b\\\"\\\\\""),
            ("\\(1 + 1)", ".\"\\\\(1 + 1)\""),
            ("größe", ".\"größe\""),
            ("a\n\u{85}\u{1f600}", ".\"a\\u000a\\u0085\\ud83d\\ude00\""),
        ];
        for (key, path) in cases {
            assert_eq!(jq_path(key), path, "{key}");
            assert!(!path.contains(['\'', '`', '\n']));
        }
    }
}
