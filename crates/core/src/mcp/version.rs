//! Protocol revisions and the two eras.

use std::fmt;

/// A revision that Doorward knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Version {
    /// 2024-11-05: accepted as a negotiated version of an upstream only.
    V2024_11_05,
    /// 2025-03-26.
    V2025_03_26,
    /// 2025-06-18.
    V2025_06_18,
    /// 2025-11-25: the newest revision with sessions.
    V2025_11_25,
    /// 2026-07-28: stateless.
    V2026_07_28,
}

/// Which of the two front ends of the protocol a message belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Era {
    /// `initialize`, sessions, GET stream (up to 2025-11-25), with the version negotiated or asked for.
    Legacy(Version),
    /// Every request stands alone (2026-07-28).
    Modern,
}

impl Era {
    /// The revision that messages are read in.
    #[must_use]
    pub const fn version(self) -> Version {
        match self {
            Self::Legacy(version) => version,
            Self::Modern => Version::V2026_07_28,
        }
    }
}

/// Versions that Doorward negotiates with clients, newest first.
pub const LEGACY: [Version; 3] = [Version::V2025_11_25, Version::V2025_06_18, Version::V2025_03_26];

impl Version {
    /// The revision with exactly this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "2024-11-05" => Self::V2024_11_05,
            "2025-03-26" => Self::V2025_03_26,
            "2025-06-18" => Self::V2025_06_18,
            "2025-11-25" => Self::V2025_11_25,
            "2026-07-28" => Self::V2026_07_28,
            _ => return None,
        })
    }

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// True for the stateless revisions.
    #[must_use]
    pub fn is_modern(self) -> bool {
        self >= Self::V2026_07_28
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// True for a text of the form `YYYY-MM-DD` that is not before 2026-07-28, known or not (protocol rule E8, E9).
#[must_use]
pub fn is_modern_dated(text: &str) -> bool {
    let b = text.as_bytes();
    b.len() == 10
        && b.iter().enumerate().all(|(i, c)| if i == 4 || i == 7 { *c == b'-' } else { c.is_ascii_digit() })
        && text >= "2026-07-28"
}
