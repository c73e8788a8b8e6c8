//! Text as pages may show it: what others claim, what a form carries back, and where a link may lead.
//!
//! Templates escape everything they print. These types do what escaping cannot: a name that hides characters, an address that is no
//! address of ours, or a token in a debug line. Knows nothing of pages.

use std::fmt;
use url::Url;

/// Characters of a claimed text that are shown (product C5).
pub const CLAIMED: usize = 60;
/// Characters of a technical value that are shown.
pub const TECHNICAL: usize = 512;
/// Marks that may stand on one letter; more of them only cover their neighbours.
const MARKS: usize = 2;

/// Text that an application, a server or a provider chose, fit to be shown: at most [`CLAIMED`] characters on one line, a run of
/// control, bidirectional or invisible characters replaced by one `�`, a cut by `…`. It is shown in a value cell or in quotes, never
/// alone as a heading. What was cleaned away cannot be had back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed(String);

impl Claimed {
    /// What is left of `text`; `(no name)` if that is nothing.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let (mut shown, mut length, mut marks, mut was_hidden) = (String::new(), 0, 0, false);
        let mut letters = text.chars().peekable();
        while let Some(letter) = letters.next() {
            let letter = if letter.is_whitespace() && !is_hidden(letter) { ' ' } else { letter };
            marks = if is_mark(letter) { marks + 1 } else { 0 };
            let hidden = is_hidden(letter) || marks > MARKS || (marks > 0 && shown.is_empty());
            if (hidden && was_hidden) || (letter == ' ' && (shown.is_empty() || shown.ends_with(' '))) {
                continue;
            }
            was_hidden = hidden;
            if length + 1 >= CLAIMED && letters.peek().is_some() {
                shown.push('…');
                break;
            }
            shown.push(if hidden { '\u{fffd}' } else { letter });
            length += 1;
        }
        let shown = shown.trim_end();
        Self(if shown.is_empty() { "(no name)".to_owned() } else { shown.to_owned() })
    }

    /// A technical value, an identifier or an address: what is not printable ASCII becomes `%XX` of its UTF-8, so that look-alikes
    /// show; at most [`TECHNICAL`] characters.
    #[must_use]
    pub fn technical(text: &str) -> Self {
        let mut shown = String::new();
        for byte in text.bytes() {
            if shown.len() >= TECHNICAL {
                shown.push('…');
                break;
            }
            if byte.is_ascii_graphic() { shown.push(char::from(byte)) } else { shown.push_str(&format!("%{byte:02X}")) }
        }
        Self(if shown.is_empty() { "(none)".to_owned() } else { shown })
    }

    /// For a value cell.
    #[must_use]
    pub fn cell(&self) -> &str {
        &self.0
    }

    /// In quotes, for a sentence. Quotation marks within become `'`, so the text cannot end its own quotation.
    #[must_use]
    pub fn quoted(&self) -> String {
        let inner: String = self
            .0
            .chars()
            .map(|letter| if matches!(letter, '"' | '“' | '”' | '„' | '‟' | '«' | '»' | '＂') { '\'' } else { letter })
            .collect();
        format!("“{inner}”")
    }

    /// The letter in place of a logo: the first letter or digit.
    #[must_use]
    pub fn initial(&self) -> char {
        self.0.chars().find(|letter| letter.is_alphanumeric()).and_then(|letter| letter.to_uppercase().next()).unwrap_or('?')
    }
}

/// Combining marks of the blocks that stack on any letter.
fn is_mark(letter: char) -> bool {
    matches!(u32::from(letter), 0x300..=0x36f | 0x483..=0x489 | 0x1ab0..=0x1aff | 0x1dc0..=0x1dff | 0x20d0..=0x20ff | 0xfe20..=0xfe2f)
}

/// Characters that show nothing, or change how others show: controls, bidirectional controls, joiners, fillers, variation selectors,
/// tags, private use, noncharacters (Unicode `Default_Ignorable_Code_Point` and general categories Cc, Cf, Co, Zl, Zp).
fn is_hidden(letter: char) -> bool {
    let code = u32::from(letter);
    letter.is_control() && !matches!(letter, '\t' | '\n' | '\r')
        || matches!(code, 0xad | 0x34f | 0x600..=0x605 | 0x61c | 0x6dd | 0x70f | 0x8e2 | 0x115f | 0x1160 | 0x17b4 | 0x17b5)
        || matches!(code, 0x180b..=0x180f | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0x2800 | 0x3164)
        || matches!(code, 0xe000..=0xf8ff | 0xfdd0..=0xfdef | 0xfe00..=0xfe0f | 0xfeff | 0xffa0 | 0xfff0..=0xfffb)
        || matches!(code, 0x1_bca0..=0x1_bca3 | 0x1_d173..=0x1_d17a | 0xe_0000..=0xe_0fff | 0xf_0000..)
        || code & 0xfffe == 0xfffe
}

/// A value that a form carries back to us, or that must reach one person only: the ticket of a request, the token of a form, an
/// address with a code in it. [`Debug`](fmt::Debug) does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden(String);

impl Hidden {
    /// Wraps `value` as it is.
    #[must_use]
    pub const fn new(value: String) -> Self {
        Self(value)
    }

    /// For an attribute of a form field.
    pub(super) fn value(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden(..)")
    }
}

/// A place on this gateway that a link may lead to: path and query, beginning with one `/`. The query may hold the ticket of a request,
/// so [`Debug`](fmt::Debug) shows the path alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Place(String);

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({})", self.0.split(['?', '#']).next().unwrap_or_default())
    }
}

impl Place {
    /// The path, or `None` if a browser could read `path` as another site (`//host`, `/\host`), or it holds anything but printable ASCII.
    #[must_use]
    pub fn new(path: &str) -> Option<Self> {
        let rest = path.strip_prefix('/')?;
        let is_ours = !rest.starts_with(['/', '\\']) && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        is_ours.then(|| Self(path.to_owned()))
    }

    /// For `href`.
    pub(super) fn href(&self) -> &str {
        &self.0
    }
}

/// Where the answer goes: the redirect URI with its parameters, as the browser shall open it. Holds a code, so it is not for logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Target(String);

/// Schemes that run something or read something instead of reaching an application (product R2).
const ACTIVE: [&str; 9] = ["javascript", "data", "file", "vbscript", "blob", "about", "filesystem", "view-source", "chrome"];

impl Target {
    /// The address with every character percent-encoded that RFC 3986 does not let stand in one, and `'`, which would end a quoted
    /// address in a refresh. `None` for what is no absolute address, or one whose scheme runs or reads something in the browser: the
    /// redirect URI was checked long before, this is the last look.
    #[must_use]
    pub fn new(address: &str) -> Option<Self> {
        let url = Url::parse(address).ok()?;
        if ACTIVE.contains(&url.scheme()) || (url.cannot_be_a_base() && matches!(url.scheme(), "http" | "https")) {
            return None;
        }
        let (scheme, _) = address.split_once(':')?;
        // `Url` forgives blanks, tabs and line breaks; a browser would too, so the scheme that both read must be the one that stands there.
        if !scheme.eq_ignore_ascii_case(url.scheme()) {
            return None;
        }
        let mut encoded = String::with_capacity(address.len());
        for byte in address.bytes() {
            let stands = byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&()*+,;=%".contains(&byte);
            if stands { encoded.push(char::from(byte)) } else { encoded.push_str(&format!("%{byte:02X}")) }
        }
        Some(Self(encoded))
    }

    /// For `href`, a refresh, or to be copied.
    pub(super) fn href(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Target(..)")
    }
}

/// A name of ours as a part of a path: everything but unreserved characters is percent-encoded (RFC 3986 section 2.3).
pub(super) fn segment(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        let stands = byte.is_ascii_alphanumeric() || b"-_~".contains(&byte);
        if stands { encoded.push(char::from(byte)) } else { encoded.push_str(&format!("%{byte:02X}")) }
    }
    encoded
}
