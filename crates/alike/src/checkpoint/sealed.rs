//! JSON objects that carry a hash of themselves.

/// Name of the last member.
const MEMBER: &str = "\"blake3\":";

/// `text`, a JSON object with members, with one more: the blake3 hash of what is before it.
pub(super) fn seal(text: &str) -> String {
    let body = text.trim_end().strip_suffix('}').expect("a record is an object").trim_end();
    let (before, space, after) = if text.contains('\n') { ("\n  ", " ", "\n}") } else { ("", "", "}") };
    format!("{body},{before}{MEMBER}{space}\"{}\"{after}", blake3::hash(body.as_bytes()).to_hex())
}

/// The object without the hash, and whether it had one, or why it is not what was written. An object without
/// a hash, as earlier versions wrote them, is as good as it is: whether there may be such, the caller knows.
pub(super) fn unseal(text: &str) -> Result<(String, bool), String> {
    let Some((before, hash)) = text.rsplit_once(MEMBER) else { return Ok((text.to_string(), false)) };
    let wrong = || "its content does not match the hash in it".to_string();
    let body = before.trim_end().strip_suffix(',').ok_or_else(wrong)?;
    let hash = hash.trim().strip_suffix('}').map(str::trim).ok_or_else(wrong)?;
    if hash != format!("\"{}\"", blake3::hash(body.as_bytes()).to_hex()) {
        return Err(wrong());
    }
    Ok((format!("{body}}}"), true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bit_that_changes_the_value_is_noticed() {
        let value = serde_json::json!({"recall": 0.25, "best": {"name": "best-000001", "epochs": [1, 2]}});
        for text in [serde_json::to_string(&value).unwrap(), serde_json::to_string_pretty(&value).unwrap()] {
            let sealed = seal(&text);
            assert_eq!(
                serde_json::from_str::<serde_json::Value>(&unseal(&sealed).unwrap().0).unwrap(),
                value
            );
            for bit in 0..sealed.len() * 8 {
                let mut bytes = sealed.clone().into_bytes();
                bytes[bit / 8] ^= 1 << (bit % 8);
                let Ok(flipped) = String::from_utf8(bytes) else { continue };
                // A name of the hash that is no longer one leaves an object without a hash.
                let Ok((object, true)) = unseal(&flipped) else { continue };
                let Ok(read) = serde_json::from_str::<serde_json::Value>(&object) else { continue };
                assert_eq!(read, value, "bit {bit} of {sealed}");
            }
        }
    }

    #[test]
    fn objects_without_a_hash_are_read() {
        assert_eq!(unseal("{\"a\": 1}\n").unwrap(), ("{\"a\": 1}\n".into(), false));
    }
}
