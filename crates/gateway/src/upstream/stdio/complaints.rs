//! What a child says on its standard error: read to the end whatever comes, told to the debug log as little as useful.
//!
//! Never above debug, never more than 20 lines a second, never a control character, and never a value that was given
//! to the child as a secret: such values are blotted out before anything is cut, so no cut can leave half of one.

use super::profile::Variable;
use doorward_core::id::ServerName;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::time::Instant;
use zeroize::Zeroizing;

/// Bytes of one line that are told.
const TOLD: usize = 1024;
/// Lines told in one second.
const PER_SECOND: u32 = 20;
/// A line of a value of several lines is a secret of its own from this length on.
const PART: usize = 8;
const BLOT: &[u8] = b"[secret]";

/// Values that must not be repeated, longest first.
pub(super) struct Secrets(Vec<Zeroizing<Vec<u8>>>);

/// Reads to the end and tells some of it.
pub(super) async fn listen(mut from: impl AsyncRead + Unpin, server: ServerName, secrets: Secrets) {
    let keep = TOLD + secrets.longest();
    let mut chunk = vec![0u8; 16 * 1024];
    let mut line: Zeroizing<Vec<u8>> = Zeroizing::new(Vec::with_capacity(keep));
    let mut rate = Rate::new();
    while let Ok(count) = from.read(&mut chunk).await
        && count > 0
    {
        for byte in chunk.iter().take(count) {
            if *byte == b'\n' {
                rate.tell(&server, &secrets, &line);
                line.clear();
            } else if line.len() < keep {
                line.push(*byte);
            }
        }
    }
    rate.tell(&server, &secrets, &line);
    rate.finish(&server);
}

struct Rate {
    since: Instant,
    told: u32,
    kept_back: u64,
}

// === impl Secrets ===

impl Secrets {
    /// The values of these variables, and the longer lines of those that have several.
    pub(super) fn of(env: &[Variable]) -> Self {
        let mut all: Vec<Zeroizing<Vec<u8>>> = Vec::new();
        for value in env.iter().map(Variable::value) {
            let parts = value.lines().filter(|part| part.len() >= PART);
            all.extend(std::iter::once(value).chain(parts).filter(|v| !v.is_empty()).map(|v| Zeroizing::new(v.as_bytes().to_vec())));
        }
        all.sort_by_key(|v| std::cmp::Reverse(v.len()));
        all.dedup();
        Self(all)
    }

    fn longest(&self) -> usize {
        self.0.first().map_or(0, |v| v.len())
    }

    /// At most `TOLD` bytes of the line, without secrets and control characters.
    fn clean(&self, line: &[u8]) -> String {
        let mut out = Vec::with_capacity(TOLD);
        let mut rest = line;
        while let [first, tail @ ..] = rest {
            if line.len() - rest.len() >= TOLD {
                break;
            }
            match self.0.iter().find(|secret| rest.starts_with(secret)) {
                Some(secret) => {
                    out.extend_from_slice(BLOT);
                    rest = rest.get(secret.len()..).unwrap_or_default();
                }
                None => {
                    out.push(*first);
                    rest = tail;
                }
            }
        }
        String::from_utf8_lossy(&out).chars().flat_map(escaped).collect()
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

/// Control characters and those that turn the direction of text, spelled out.
fn escaped(c: char) -> impl Iterator<Item = char> {
    let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}');
    let plain = !c.is_control() && !turns;
    plain.then_some(c).into_iter().chain((!plain).then(|| c.escape_unicode()).into_iter().flatten())
}

// === impl Rate ===

impl Rate {
    fn new() -> Self {
        Self { since: Instant::now(), told: 0, kept_back: 0 }
    }

    fn tell(&mut self, server: &ServerName, secrets: &Secrets, line: &[u8]) {
        if line.is_empty() {
            return;
        }
        if self.since.elapsed() >= Duration::from_secs(1) {
            self.finish(server);
            *self = Self::new();
        }
        if self.told >= PER_SECOND {
            self.kept_back += 1;
            return;
        }
        self.told += 1;
        if tracing::enabled!(tracing::Level::DEBUG) {
            tracing::debug!(%server, text = %secrets.clean(line), "the server says");
        }
    }

    fn finish(&self, server: &ServerName) {
        if self.kept_back > 0 {
            tracing::debug!(%server, lines = self.kept_back, "the server said more than is told");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorward_core::secret::Secret;

    fn secrets(values: &[&str]) -> Secrets {
        let variable = |v: &&str| Variable::new("K".into(), "file:/k".into(), Secret::new((*v).to_owned()));
        Secrets::of(&values.iter().map(variable).collect::<Vec<_>>())
    }

    #[test]
    fn std_06_secrets_are_blotted_out_also_when_one_holds_another() {
        let s = secrets(&["abc", "abcdef", ""]);
        assert_eq!(s.clean(b"x abcdef abc abcde"), "x [secret] [secret] [secret]de");
        assert_eq!(format!("{s:?}"), "Secrets(2)");
    }

    #[test]
    fn std_06_no_cut_leaves_half_a_secret() {
        let secret = "S".repeat(300);
        let s = secrets(&[&secret]);
        for pad in 700..=TOLD {
            let mut line = vec![b'.'; pad];
            line.extend_from_slice(secret.as_bytes());
            line.truncate(TOLD + s.longest());
            assert!(!s.clean(&line).contains('S'), "{pad}");
        }
    }

    #[test]
    fn std_06_a_key_of_several_lines_is_known_by_each_line() {
        let s = secrets(&["-----BEGIN\nMIIBVgIBADANBgkq\nx\n-----END"]);
        assert_eq!(s.clean(b"got MIIBVgIBADANBgkq"), "got [secret]");
    }

    #[test]
    fn std_06_control_and_direction_characters_are_spelled_out() {
        let s = secrets(&[]);
        assert_eq!(s.clean("a\u{1b}[31m\rb\u{202e}\u{2028}é".as_bytes()), "a\\u{1b}[31m\\u{d}b\\u{202e}\\u{2028}é");
        assert_eq!(s.clean(b"\xff"), "\u{fffd}");
    }
}
