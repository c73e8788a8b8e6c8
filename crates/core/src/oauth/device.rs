//! The device grant (RFC 8628): the codes of programs that have no browser, and what a poll is told.
//!
//! The device code is a token like the others, for its client alone. The user code is what a person types: short, so it is worth nothing
//! by itself. It leads whoever is signed in to the question, and neither answers it nor fetches anything.

use super::token::TokenError;
use std::fmt;
use std::time::Duration;

/// `grant_type` of the token endpoint.
pub const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// How long a request may stay undecided, and its code be fetched.
pub const LIFE: Duration = Duration::from_secs(600);
/// Between two polls at least, at first.
pub const INTERVAL: Duration = Duration::from_secs(5);
/// Each poll that comes too soon makes the pace this much slower (RFC 8628 section 3.5).
pub const SLOWER: Duration = Duration::from_secs(5);
/// The client of this project's own command line, known to every gateway: public, for devices only.
pub const COMMAND_LINE: &str = "doorward-cli";

/// Letters of a user code: no vowels, so no words, and none that looks like another one (RFC 8628 section 6.1).
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
/// Letters in one: 34 bits, of which a person may try ten in ten minutes.
const LENGTH: usize = 8;
/// Longest text that is read as one, in bytes.
const LONGEST: usize = 64;

/// What a person types, `BCDF-GHJK`. Does not print itself in `Debug`: whoever has it may ask a person to go on.
#[derive(Clone, PartialEq, Eq)]
pub struct UserCode([u8; LENGTH]);

/// The digest of a device code, which names its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceName(pub [u8; 32]);

/// What a poll finds that gives no tokens (RFC 8628 section 3.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Poll {
    /// Nobody has decided yet.
    Pending,
    /// It came sooner than the pace allows; the pace is slower now.
    TooFast,
    /// Somebody said no.
    Denied,
    /// Its time is over.
    Expired,
}

// === impl UserCode ===

impl UserCode {
    /// One of random bytes, each letter as likely as every other; `None` for bytes that give too few.
    #[must_use]
    pub fn mint(random: &[u8; 32]) -> Option<Self> {
        let fair = random.iter().filter(|byte| **byte < 240).filter_map(|byte| LETTERS.get(usize::from(*byte) % LETTERS.len()));
        let letters: Vec<u8> = fair.take(LENGTH).copied().collect();
        letters.try_into().ok().map(Self)
    }

    /// What somebody typed: in any case, with spaces and dashes anywhere.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = Some(text).filter(|text| text.len() <= LONGEST)?;
        let letters = text.bytes().filter(|byte| !matches!(byte, b'-' | b' ')).map(|byte| byte.to_ascii_uppercase());
        let letters: Vec<u8> = letters.collect();
        let letters: [u8; LENGTH] = letters.try_into().ok()?;
        letters.iter().all(|letter| LETTERS.contains(letter)).then_some(Self(letters))
    }

    /// As it is shown: two groups of four.
    #[must_use]
    pub fn shown(&self) -> String {
        let letter =
            |(at, byte): (usize, &u8)| if at == LENGTH / 2 { format!("-{}", char::from(*byte)) } else { char::from(*byte).to_string() };
        self.0.iter().enumerate().map(letter).collect()
    }

    pub(super) const fn as_bytes(&self) -> &[u8; LENGTH] {
        &self.0
    }
}

impl fmt::Debug for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserCode(..)")
    }
}

// === impl DeviceName ===

impl DeviceName {
    /// The short name of its request in records.
    #[must_use]
    pub fn short(&self) -> String {
        format!("device_{}", crate::audit::event::hex(self.0.get(..8).unwrap_or_default()))
    }
}

// === impl Poll ===

impl Poll {
    /// What its client is told.
    #[must_use]
    pub const fn told(self) -> TokenError {
        match self {
            Self::Pending => {
                TokenError { status: 400, code: "authorization_pending", description: "nobody has decided yet", reason: "device_pending" }
            }
            Self::TooFast => TokenError {
                status: 400,
                code: "slow_down",
                description: "the interval is five seconds longer from now on",
                reason: "device_too_fast",
            },
            Self::Denied => {
                TokenError { status: 400, code: "access_denied", description: "the request was declined", reason: "device_denied" }
            }
            Self::Expired => TokenError {
                status: 400,
                code: "expired_token",
                description: "the code has ended; ask for another one",
                reason: "device_expired",
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dev_02_a_user_code_is_eight_fair_letters_and_read_as_people_type_it() {
        let code = UserCode::mint(&[0; 32]).expect("a code");
        assert_eq!(code.shown(), "BBBB-BBBB");
        let mixed = UserCode::mint(&std::array::from_fn(|at| u8::try_from(at * 8).unwrap_or(0))).expect("a code");
        for typed in [mixed.shown(), mixed.shown().to_lowercase(), mixed.shown().replace('-', ""), format!(" {} ", mixed.shown())] {
            assert_eq!(UserCode::parse(&typed), Some(mixed.clone()), "{typed}");
        }
        for bad in ["", "BBBB", "BBBB-BBBBB", "ABCD-FGHJ", "BBBB_BBBB", "BBBB-BBB\u{412}", &"B".repeat(65), "BBBB-BBB1"] {
            assert_eq!(UserCode::parse(bad), None, "{bad}");
        }
        assert_eq!(UserCode::mint(&[255; 32]), None, "bytes that would make some letters more likely are left out");
        let counts = (0u8..240).fold([0u32; 20], |mut counts, byte| {
            counts[usize::from(byte) % 20] += 1;
            counts
        });
        assert!(counts.iter().all(|count| *count == 12));
        assert_eq!(format!("{mixed:?}"), "UserCode(..)");
    }
}
