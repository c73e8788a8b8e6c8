//! Names and identifiers that cross rooms. Cheap to clone, impossible to confuse with one another.
//!
//! An identifier is not a right: nothing here proves anything about a caller.

use std::fmt;
use std::sync::Arc;

/// Declares a text identifier whose grammar is checked once, when it is made.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $check:path) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks the grammar and keeps the text.
            ///
            /// # Errors
            /// [`BadId`] names the kind of identifier; the text itself is not repeated.
            pub fn new(text: &str) -> Result<Self, BadId> {
                if $check(text) { Ok(Self(Arc::from(text))) } else { Err(BadId { kind: stringify!($name) }) }
            }

            /// The text as it was given.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), &self.0)
            }
        }
    };
}

text_id!(
    /// A server behind the gateway: `[a-z0-9][a-z0-9-]{0,30}`. No `_`, so `<server>__<tool>` splits without doubt.
    ServerName,
    is_server_name
);
text_id!(
    /// An identity provider as the configuration names it: the same grammar as the name of a server, since it stands in addresses.
    ProviderName,
    is_server_name
);
text_id!(
    /// A tool exactly as its server names it: 1 to 128 bytes without control characters.
    ToolName,
    is_plain_name
);
text_id!(
    /// An OAuth client id, or `key:<id>` for an API key acting as its own client: 1 to 1,024 bytes without control characters.
    /// Longer than other identifiers, since it is a URL or holds a whole registration (product AS10).
    ClientId,
    is_client_id
);
text_id!(
    /// A group as the identity provider or the configuration names it.
    GroupName,
    is_identifier
);
text_id!(
    /// A label for an agent that only the administrator assigns.
    AgentLabel,
    is_identifier
);
text_id!(
    /// The record of the credential that was verified: API key id or grant id. Never the credential.
    CredentialId,
    is_identifier
);
text_id!(
    /// A policy's `@id` annotation.
    RuleId,
    is_identifier
);
text_id!(
    /// What rules call the data that a client was let see, `[a-z0-9][a-z0-9-]{0,30}`: `@seen` of a permit, `context.seen` of a condition.
    SeenLabel,
    is_server_name
);

/// A user: issuer and subject, never an e-mail address (I7; ASVS 10.3.3).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId {
    issuer: Arc<str>,
    subject: Arc<str>,
}

/// A text did not fit the grammar of its identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {kind}")]
pub struct BadId {
    kind: &'static str,
}

/// Names one request in every log line, error body and audit record: a UUIDv7 in text form.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CorrelationId(u128);

// === impl UserId ===

impl UserId {
    /// A user of `issuer`. Both parts are 1 to 255 bytes without control characters.
    ///
    /// # Errors
    /// [`BadId`] if a part is empty, too long or holds control characters.
    pub fn new(issuer: &str, subject: &str) -> Result<Self, BadId> {
        if is_identifier(issuer) && is_identifier(subject) {
            Ok(Self { issuer: Arc::from(issuer), subject: Arc::from(subject) })
        } else {
            Err(BadId { kind: "UserId" })
        }
    }

    /// The issuer (`iss`) that vouches for the subject; `local` for accounts of this installation.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The subject (`sub`), unique within the issuer and never reassigned.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.issuer, self.subject)
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserId({:?}, {:?})", self.issuer, self.subject)
    }
}

// === impl CorrelationId ===

impl CorrelationId {
    /// A UUIDv7 (RFC 9562 section 5.7) from a wall-clock time and 10 random bytes.
    #[must_use]
    pub fn new(now: crate::time::Timestamp, random: [u8; 10]) -> Self {
        let mut bytes = [0u8; 16];
        let ms = now.as_millis().to_be_bytes();
        for (to, from) in bytes.iter_mut().zip(ms.iter().skip(2).chain(random.iter())) {
            *to = *from;
        }
        let mut value = u128::from_be_bytes(bytes);
        value &= !(0xf000_u128 << 64) & !(0xc000_u128 << 48);
        value |= (0x7000_u128 << 64) | (0x8000_u128 << 48);
        Self(value)
    }
}

impl fmt::Display for CorrelationId {
    /// As a UUID (RFC 9562 section 4).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Written by hand: every record carries one, and formatting by width costs as much as hashing the record.
        let digit = |n: u8| b'0' + n + u8::from(n > 9) * (b'a' - b'9' - 1);
        let mut text = [b'-'; 36];
        let mut bytes = self.0.to_be_bytes().into_iter();
        for group in [0..8, 9..13, 14..18, 19..23, 24..36] {
            let pairs = text.get_mut(group).unwrap_or_default().as_chunks_mut::<2>().0;
            for (pair, byte) in pairs.iter_mut().zip(&mut bytes) {
                *pair = [digit(byte >> 4), digit(byte & 15)];
            }
        }
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn is_server_name(text: &str) -> bool {
    let ok = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let mut bytes = text.bytes();
    text.len() <= 31 && bytes.next().is_some_and(ok) && bytes.all(|b| ok(b) || b == b'-')
}

fn is_plain_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= 128 && !text.chars().any(char::is_control)
}

fn is_client_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= 1024 && !text.chars().any(char::is_control)
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.len() <= 255 && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    #[test]
    fn server_names_never_hold_the_separator() {
        for bad in ["", "A", "-a", "a_b", "a__b", "a b", "a/b", "é", &"a".repeat(32)] {
            assert!(ServerName::new(bad).is_err(), "{bad:?}");
        }
        for good in ["a", "0", "a-b", &"a".repeat(31)] {
            assert!(ServerName::new(good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn correlation_ids_are_version_7() {
        let id = CorrelationId::new(Timestamp::from_millis(0x0192_3456_789a), [0xff; 10]).to_string();
        assert_eq!(id, "01923456-789a-7fff-bfff-ffffffffffff");
        let id = CorrelationId::new(Timestamp::from_millis(1), [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x10, 0x32]);
        assert_eq!(id.to_string().replace('-', ""), format!("{:032x}", id.0));
    }

    #[test]
    fn client_ids_hold_a_registration_and_nothing_longer() {
        assert!(ClientId::new(&"a".repeat(1024)).is_ok());
        for bad in ["", "a\n", "a\0", &"a".repeat(1025)] {
            assert!(ClientId::new(bad).is_err());
        }
        assert!(CredentialId::new(&"a".repeat(256)).is_err());
    }

    #[test]
    fn users_of_two_issuers_differ() {
        let a = UserId::new("https://a", "1").expect("valid");
        let b = UserId::new("https://b", "1").expect("valid");
        assert_ne!(a, b);
        assert!(UserId::new("", "1").is_err());
        assert!(UserId::new("a", "1\n").is_err());
    }
}
