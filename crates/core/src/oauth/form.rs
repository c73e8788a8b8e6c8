//! `application/x-www-form-urlencoded`, read strictly: authorization requests, token requests and the forms of our own pages.
//!
//! Knows names and values, no meaning. A parameter that comes twice is refused and one without a value counts as left out
//! (OAuth 2.1 section 3.1); the forms of our own pages may repeat one that they name.

use std::fmt;

/// Parameters by name, each once.
pub struct Form {
    pairs: Vec<(String, String)>,
}

/// Why a text is no form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadForm {
    /// A percent sign without two hexadecimal digits, bytes that are no UTF-8, or NUL.
    #[error("the parameters are not well-formed")]
    Malformed,
    /// One parameter twice.
    #[error("a parameter is repeated")]
    Repeated,
    /// More than [`MOST`] parameters.
    #[error("there are too many parameters")]
    TooMany,
}

/// Parameters that one request may have.
pub const MOST: usize = 200;

// === impl Form ===

impl Form {
    /// Reads a query or a body in which every parameter stands once.
    ///
    /// # Errors
    /// [`BadForm`].
    pub fn parse(text: &str) -> Result<Self, BadForm> {
        Self::parse_repeating(text, &[])
    }

    /// The same, with the parameters `repeated` in any number.
    ///
    /// # Errors
    /// [`BadForm`].
    pub fn parse_repeating(text: &str, repeated: &[&str]) -> Result<Self, BadForm> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for part in text.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let (name, value) = (decoded(name)?, decoded(value)?);
            if pairs.len() >= MOST {
                return Err(BadForm::TooMany);
            }
            if pairs.iter().any(|(known, _)| *known == name) && !repeated.contains(&name.as_str()) {
                return Err(BadForm::Repeated);
            }
            pairs.push((name, value));
        }
        Ok(Self { pairs })
    }

    /// The value of a parameter; an empty one is none.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(known, value)| known == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// Every parameter that has a value.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).filter(|(_, value)| !value.is_empty())
    }

    /// Every value of a parameter that may be repeated, empty ones apart.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter(move |(known, value)| known == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }
}

/// Names only: values may be codes, verifiers and secrets.
impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.pairs.iter().map(|(name, _)| name)).finish()
    }
}

impl Drop for Form {
    fn drop(&mut self) {
        use zeroize::Zeroize as _;
        for (_, value) in &mut self.pairs {
            value.zeroize();
        }
    }
}

/// WHATWG URL, "urlencoded parsing", but for what is no text or no percent-encoding, which is refused.
fn decoded(text: &str) -> Result<String, BadForm> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits = (rest.next().and_then(digit), rest.next().and_then(digit));
                let (Some(high), Some(low)) = digits else { return Err(BadForm::Malformed) };
                bytes.push(high << 4 | low);
            }
            0 => return Err(BadForm::Malformed),
            other => bytes.push(other),
        }
    }
    if bytes.contains(&0) {
        return Err(BadForm::Malformed);
    }
    String::from_utf8(bytes).map_err(|_| BadForm::Malformed)
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Percent-encodes a value for the query of a redirect: everything but the unreserved characters of RFC 3986 section 2.3.
#[must_use]
pub fn encoded(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for half in [byte >> 4, byte & 15] {
                out.push(char::from_digit(u32::from(half), 16).unwrap_or('0').to_ascii_uppercase());
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tk_12_parameters_stand_once_and_empty_ones_are_left_out() {
        let form = Form::parse("a=1&b=&c=x+y%20z&&d").expect("a form");
        assert_eq!((form.get("a"), form.get("b"), form.get("c"), form.get("d")), (Some("1"), None, Some("x y z"), None));
        assert_eq!(Form::parse("a=1&%61=1").err(), Some(BadForm::Repeated), "spelled differently, the same name");
        assert_eq!(Form::parse("a=&a=1").err(), Some(BadForm::Repeated), "an empty one counts");
        for bad in ["a=%", "a=%1", "a=%zz", "a=%ff", "a=%00", "%=1", "a=%c3%28"] {
            assert_eq!(Form::parse(bad).err(), Some(BadForm::Malformed), "{bad}");
        }
        assert_eq!(Form::parse(&"a&".repeat(2)).err(), Some(BadForm::Repeated));
        let many: Vec<String> = (0..=MOST).map(|n| format!("p{n}=1")).collect();
        assert_eq!(Form::parse(&many.join("&")).err(), Some(BadForm::TooMany));
    }

    #[test]
    fn forms_of_our_own_may_repeat_what_they_name() {
        let form = Form::parse_repeating("grant=a&grant=b&x=1", &["grant"]).expect("a form");
        assert_eq!(form.all("grant").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(Form::parse_repeating("grant=a&x=1&x=2", &["grant"]).err(), Some(BadForm::Repeated));
    }

    #[test]
    fn what_is_encoded_is_read_back() {
        let odd = "a b&c=d#e%f/\u{e9}\u{1f600}\"'<>;\r\n";
        let text = encoded(odd);
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte)), "{text}");
        assert_eq!(Form::parse(&format!("v={text}")).expect("a form").get("v"), Some(odd));
    }

    #[test]
    fn a_form_does_not_print_its_values() {
        let form = Form::parse("client_secret=hidden").expect("a form");
        assert_eq!(format!("{form:?}"), "{\"client_secret\"}");
    }
}
