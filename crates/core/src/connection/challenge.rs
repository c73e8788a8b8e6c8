//! What a server says beside a 401 or 403: the challenges of `WWW-Authenticate` (RFC 9110 section 11.6.1; RFC 6750 section 3;
//! RFC 9728 section 5.1), read by the grammar or not at all.
//!
//! Whoever answers is not trusted: a challenge can point at the metadata of the same origin and at nothing else (attack SSRF-03), and
//! a scope that it asks for is a wish (attack OC-10). Must not know who is asked next.

use super::scopes::{MOST_SCOPES, is_scope};
use crate::oidc::provider::{Place, place};

/// What the first `Bearer` challenge says. What is malformed, too long or not allowed says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Challenge {
    /// Where the server's metadata is, on its own origin.
    pub resource_metadata: Option<String>,
    /// The scopes that the request would have needed.
    pub scope: Option<Vec<String>>,
}

/// A scheme with its parameters.
struct One {
    scheme: String,
    parameters: Vec<(String, String)>,
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// Bytes of all fields of one answer that are looked at; what has more says nothing.
const LONGEST: usize = 8 * 1024;
/// Challenges in them, likewise.
const MOST: usize = 20;

// === impl Challenge ===

impl Challenge {
    /// Reads the values of all `WWW-Authenticate` fields of an answer of the server at `server_url`, at most 8 KiB and 20 challenges.
    #[must_use]
    pub fn parse<'a>(values: impl IntoIterator<Item = &'a [u8]>, server_url: &str) -> Self {
        let Some(all) = challenges(values) else { return Self::default() };
        let Some(bearer) = all.into_iter().find(|one| one.scheme == "bearer") else { return Self::default() };
        let parameter = |name: &str| bearer.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let own = |url: &&str| place(url, server_url) == Some(Place::Issuer);
        Self {
            resource_metadata: parameter("resource_metadata").filter(own).map(str::to_owned),
            scope: parameter("scope").and_then(scopes),
        }
    }
}

/// All of them or none.
fn scopes(text: &str) -> Option<Vec<String>> {
    let all: Vec<String> = text.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect();
    (!all.is_empty() && all.len() <= MOST_SCOPES && all.iter().all(|scope| is_scope(scope))).then_some(all)
}

/// Every challenge in its order; `None` unless all of them are well-formed.
fn challenges<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Option<Vec<One>> {
    let (mut found, mut length) = (Vec::new(), 0);
    for bytes in values {
        length += bytes.len();
        if length > LONGEST {
            return None;
        }
        let mut reader = Reader { bytes, at: 0 };
        loop {
            reader.skip(|byte| matches!(byte, b' ' | b'\t' | b','));
            if reader.peek().is_none() {
                break;
            }
            found.push(reader.challenge()?);
            if found.len() > MOST {
                return None;
            }
        }
    }
    Some(found)
}

// === impl Reader ===

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Steps over bytes and says which.
    fn skip(&mut self, goes_on: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let length = rest.iter().position(|byte| !goes_on(*byte)).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    fn blanks(&mut self) {
        self.skip(|byte| matches!(byte, b' ' | b'\t'));
    }

    /// RFC 9110 section 5.6.2.
    fn token(&mut self) -> Option<String> {
        let found = self.skip(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
        Some(found).filter(|found| !found.is_empty()).and_then(|found| String::from_utf8(found.to_vec()).ok())
    }

    /// A comma or the end of the field.
    fn ends(&mut self) -> bool {
        self.blanks();
        matches!(self.peek(), None | Some(b','))
    }

    /// `auth-scheme [ 1*SP ( token68 / #auth-param ) ]`.
    fn challenge(&mut self) -> Option<One> {
        let scheme = self.token()?.to_ascii_lowercase();
        if self.skip(|byte| byte == b' ').is_empty() {
            return self.ends().then_some(One { scheme, parameters: Vec::new() });
        }
        if self.token68() {
            return Some(One { scheme, parameters: Vec::new() });
        }
        let mut parameters: Vec<(String, String)> = Vec::new();
        loop {
            self.skip(|byte| matches!(byte, b' ' | b'\t' | b','));
            let start = self.at;
            let Some(name) = self.token().map(|name| name.to_ascii_lowercase()) else { break };
            self.blanks();
            if self.peek() != Some(b'=') {
                // The scheme of the next one.
                self.at = start;
                break;
            }
            self.at += 1;
            self.blanks();
            let value = if self.peek() == Some(b'"') { self.quoted()? } else { self.token()? };
            if !self.ends() || parameters.iter().any(|(known, _)| *known == name) {
                return None;
            }
            parameters.push((name, value));
        }
        Some(One { scheme, parameters })
    }

    /// Credentials of schemes that we do not speak; the position stays where there are none.
    fn token68(&mut self) -> bool {
        let start = self.at;
        let body = self.skip(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte));
        self.skip(|byte| byte == b'=');
        let whole = !body.is_empty() && self.ends();
        if !whole {
            self.at = start;
        }
        whole
    }

    /// RFC 9110 section 5.6.4. Bytes beyond ASCII are allowed in texts for people; what we use of a challenge has none.
    fn quoted(&mut self) -> Option<String> {
        self.at += 1;
        let mut text = Vec::new();
        loop {
            let mut byte = self.peek()?;
            self.at += 1;
            match byte {
                b'"' => return Some(String::from_utf8_lossy(&text).into_owned()),
                b'\\' => {
                    byte = self.peek()?;
                    self.at += 1;
                }
                _ => {}
            }
            if byte != b'\t' && (byte < 0x20 || byte == 0x7f) {
                return None;
            }
            text.push(byte);
        }
    }
}
