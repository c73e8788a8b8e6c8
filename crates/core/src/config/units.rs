//! Durations, sizes and rates as they are written in the configuration. Owns their grammar and nothing else.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

/// A number of bytes, at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(u64);

/// So many in so much time; at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub count: NonZeroU32,
    /// In which time: a second, a minute or an hour.
    pub per: Duration,
}

const SECOND: u64 = 1;
const MINUTE: u64 = 60;
const HOUR: u64 = 3_600;
const DAY: u64 = 86_400;

// === impl Size ===

impl Size {
    /// From bytes; nothing is one byte, for a size is never zero.
    #[must_use]
    pub const fn bytes(bytes: u64) -> Self {
        Self(if bytes == 0 { 1 } else { bytes })
    }

    /// `64KiB`, `1MiB`, `2GiB` or `512B`, without spaces; `None` for anything else, zero included.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let unit = text.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = text.split_at_checked(unit)?;
        let factor: u64 = match unit {
            "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return None,
        };
        number.parse::<u64>().ok()?.checked_mul(factor).filter(|bytes| *bytes > 0).map(Self)
    }

    /// In bytes.
    #[must_use]
    pub const fn as_bytes(self) -> u64 {
        self.0
    }

    /// In bytes, as far as memory can be addressed.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shift, unit) =
            [(30, "GiB"), (20, "MiB"), (10, "KiB")].into_iter().find(|(shift, _)| self.0.trailing_zeros() >= *shift).unwrap_or((0, "B"));
        write!(f, "{}{unit}", self.0 >> shift)
    }
}

// === impl Rate ===

impl Rate {
    /// `300/m`, `20/s` or `5/h`; `None` for anything else, zero included.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (count, per) = text.split_once('/')?;
        let per = match per {
            "s" => SECOND,
            "m" => MINUTE,
            "h" => HOUR,
            _ => return None,
        };
        Some(Self { count: digits(count)?.parse().ok()?, per: Duration::from_secs(per) })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.per.as_secs() {
            SECOND => "s",
            MINUTE => "m",
            _ => "h",
        };
        write!(f, "{}/{unit}", self.count)
    }
}

/// `10s`, `15m`, `12h` or `30d`; `None` for anything else, zero included.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    let unit = match text.bytes().last()? {
        b's' => SECOND,
        b'm' => MINUTE,
        b'h' => HOUR,
        b'd' => DAY,
        _ => return None,
    };
    let number: u64 = digits(text.get(..text.len().checked_sub(1)?)?)?.parse().ok()?;
    number.checked_mul(unit).filter(|seconds| *seconds > 0).map(Duration::from_secs)
}

/// A duration as it would be written.
#[must_use]
pub fn written(span: Duration) -> String {
    let seconds = span.as_secs();
    let (unit, name) = [(DAY, 'd'), (HOUR, 'h'), (MINUTE, 'm')]
        .into_iter()
        .find(|(unit, _)| seconds > *unit && seconds.is_multiple_of(*unit) || seconds == *unit && *unit != DAY)
        .unwrap_or((SECOND, 's'));
    format!("{}{name}", seconds / unit)
}

fn digits(text: &str) -> Option<&str> {
    (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for text in ["1s", "10s", "90s", "15m", "12h", "30d"] {
            assert_eq!(duration(text).map(written).as_deref(), Some(text));
        }
        for text in ["1B", "64KiB", "1MiB", "1000B", "3GiB"] {
            assert_eq!(Size::parse(text).map(|size| size.to_string()).as_deref(), Some(text));
        }
        for text in ["300/m", "20/s", "5/h"] {
            assert_eq!(Rate::parse(text).map(|rate| rate.to_string()).as_deref(), Some(text));
        }
    }

    #[test]
    fn nothing_is_guessed() {
        for text in ["", "s", "10", "0s", "-1s", "+1s", "1.5h", "10 s", "1h30m", "10S", "1w", "99999999999999999d", "1µ"] {
            assert_eq!(duration(text), None, "{text:?}");
        }
        for text in ["", "1", "1MB", "1M", "0KiB", "-1KiB", "+1KiB", "1 MiB", "1mib", "99999999999999999999B", "18446744073709551615GiB"] {
            assert_eq!(Size::parse(text), None, "{text:?}");
        }
        for text in ["", "5", "/m", "0/m", "5/d", "5/ m", "5 /m", "-5/m", "+5/m", "99999999999/m", "5/m/s"] {
            assert_eq!(Rate::parse(text), None, "{text:?}");
        }
    }
}
