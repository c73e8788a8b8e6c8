//! Whether a text shows the credential with which Doorward made the call, in whatever common spelling (PT-03).

use crate::credential::UpstreamSecret;

/// Layers of escapes that are undone: JSON in the text of JSON is common, more is not.
const LAYERS: usize = 3;

/// Whether a reader of this JSON finds the secret: as it stands, or once escapes, percent signs or the line breaks of base64
/// are undone.
pub(super) fn shows(secret: &UpstreamSecret, json: &[u8]) -> bool {
    if secret.occurs_in(json) {
        return true;
    }
    let mut text = std::borrow::Cow::Borrowed(json);
    for _ in 0..LAYERS {
        let Some(undone) = unescaped(&text) else { break };
        text = std::borrow::Cow::Owned(undone);
        if secret.occurs_in(&text) || unbroken(&text).is_some_and(|text| secret.occurs_in(&text)) {
            return true;
        }
    }
    // Encoders differ in what they leave as it is; who decodes gets the same from all of them.
    for _ in 0..LAYERS {
        let Some(undone) = percent_decoded(&text) else { break };
        text = std::borrow::Cow::Owned(undone);
        if secret.occurs_in(&text) {
            return true;
        }
    }
    false
}

/// The text without line breaks, if it has any: encoders of base64 break their lines.
fn unbroken(text: &[u8]) -> Option<Vec<u8>> {
    memchr::memchr2(b'\n', b'\r', text)?;
    Some(text.iter().copied().filter(|byte| !matches!(byte, b'\n' | b'\r')).collect())
}

/// The text with each `%XX` as the byte it stands for, if there is any.
fn percent_decoded(text: &[u8]) -> Option<Vec<u8>> {
    let mut found = false;
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        let digits = tail.get(..2).filter(|_| *first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        // `from_str_radix` would take a sign.
        let digits = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                found = true;
                out.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    found.then_some(out)
}

/// The text as a reader of the JSON gets it, if any character in it is escaped: an escape hides nothing from the screen.
fn unescaped(json: &[u8]) -> Option<Vec<u8>> {
    memchr::memchr(b'\\', json)?;
    let mut out = Vec::with_capacity(json.len());
    let mut rest = json;
    while let Some((before, after)) = memchr::memchr(b'\\', rest).and_then(|at| rest.split_at_checked(at)) {
        out.extend_from_slice(before);
        let Some((kind, more)) = after.get(1..).and_then(<[u8]>::split_first) else { break };
        rest = more;
        match kind {
            b'u' => {
                let (high, more) = unit(rest);
                let low = more.strip_prefix(b"\\u").map(unit).filter(|_| (0xd800..0xdc00).contains(&high));
                rest = low.map_or(more, |(_, more)| more);
                let units = std::iter::once(high).chain(low.map(|(low, _)| low));
                out.extend(char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect::<String>().bytes());
            }
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'b' => out.push(8),
            b'f' => out.push(12),
            other => out.push(*other),
        }
    }
    out.extend_from_slice(rest);
    Some(out)
}

/// The four hex digits behind `\\u`, and what follows.
fn unit(text: &[u8]) -> (u16, &[u8]) {
    let (digits, rest) = text.split_at_checked(4).unwrap_or((text, &[]));
    (std::str::from_utf8(digits).ok().and_then(|digits| u16::from_str_radix(digits, 16).ok()).unwrap_or(0), rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::Origin;
    use crate::json::RawJson;
    use crate::secret::Secret;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    fn secret(text: &str) -> UpstreamSecret {
        UpstreamSecret::from_source("authorization".into(), Secret::new(text.to_owned()), Origin::new("https://a".into()))
    }

    #[test]
    fn pt_03_the_live_credential_is_found_in_every_common_spelling() {
        let value = "Bearer s3cr3t+canary/with=signs\"and\\more";
        let secret = secret(value);
        let percent: String = value.bytes().map(|b| format!("%{b:02X}")).collect();
        let common: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
        let bare = value.strip_prefix("Bearer ").expect("prefix");
        for spelled in [
            value.to_owned(),
            bare.to_owned(),
            STANDARD.encode(value),
            STANDARD.encode(format!("x{value}")),
            STANDARD.encode(format!("xy{bare} and more")),
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bare),
            percent,
            common,
        ] {
            let content = RawJson::of(&serde_json::json!({"content": [{"type": "text", "text": format!("before {spelled} after")}]}));
            assert!(shows(&secret, content.as_bytes()), "{spelled}");
        }
        let escaped: String = bare.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect();
        let slashed = RawJson::string(bare).as_bytes().to_vec();
        let slashed = String::from_utf8(slashed).expect("text").replace('/', "\\/").replace('+', "\\u002B");
        for text in
            [slashed, format!("{{\"a\":\"{escaped}\"}}"), format!("{{\"a\":\"\\ud83d\\ude00\\n{}\"}}", escaped.replace("\\u003d", "="))]
        {
            let content = RawJson::parse(&bytes::Bytes::from(text.clone()), 8).expect("json");
            assert!(shows(&secret, content.as_bytes()), "{text}");
        }
        // JSON in JSON, percent signs as each language sets them, twice over, and base64 with broken lines.
        let inner = format!("{{\"a\":\"{escaped}\"}}");
        let quoted: String = bare.replace('+', "%2B").replace('"', "%22").replace('\\', "%5c");
        let twice = quoted.replace('%', "%25");
        let coded = STANDARD.encode(format!("{}{bare}{}", "a".repeat(20), "b".repeat(80)));
        let broken = coded.as_bytes().chunks(19).map(|line| String::from_utf8_lossy(line).into_owned()).collect::<Vec<_>>().join("\r\n");
        let hex: String = bare.bytes().map(|byte| format!("{byte:02x}")).collect();
        let hidden = [serde_json::json!({ "text": inner }).to_string(), inner, quoted, twice, broken, hex];
        for text in hidden {
            let content = RawJson::of(&serde_json::json!({"content": [{"type": "text", "text": text}]}));
            assert!(shows(&secret, content.as_bytes()), "{text}");
        }
        let innocent = RawJson::of(&serde_json::json!({"text": "Bearer of good news"}));
        assert!(!shows(&secret, innocent.as_bytes()));
    }

    #[test]
    fn pt_03_what_a_process_or_a_basic_header_holds_is_found_too() {
        let text = |text: &str| RawJson::of(&serde_json::json!({ "text": text }));
        let basic = secret(&format!("Basic {}", STANDARD.encode("doorward:s3cr3t-password")));
        for shown in [STANDARD.encode("doorward:s3cr3t-password"), "doorward:s3cr3t-password".into(), "is s3cr3t-password.".into()] {
            assert!(shows(&basic, text(&shown).as_bytes()), "{shown}");
        }
        assert!(!shows(&basic, text("doorward").as_bytes()));
        let values = ["first secret value", "second-secret", "short"].map(|value| Secret::new(value.to_owned()));
        let process = UpstreamSecret::from_environment(&values);
        for shown in ["A=first secret value", "B=second-secret\n", &STANDARD.encode("xsecond-secret")] {
            assert!(shows(&process, text(shown).as_bytes()), "{shown}");
        }
        assert!(!shows(&process, text("secret value, short of 100 %").as_bytes()));
        assert!(process.header_for(&Origin::new(String::new())).is_none(), "nothing of it is ever sent");
    }
}
