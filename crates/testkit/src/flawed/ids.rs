//! Session ids of servers that count, look at the clock, or hide that they do behind a digest.

use super::{Flaw, Memory};
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use doorward_core::secret::sha256;
use md5::{Digest as _, Md5};
use std::time::{SystemTime, UNIX_EPOCH};

/// The space of URLs (RFC 9562, 6.6).
const URLS: [u8; 16] = [0x6b, 0xa7, 0xb8, 0x11, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8];

/// A new id.
pub(super) fn id(flaw: Option<Flaw>, memory: &mut Memory, who: &str) -> String {
    let word = memory.word();
    let count = memory.count;
    match flaw {
        Some(Flaw::CountedSessions) => format!("session-{count:08}"),
        Some(Flaw::ShortSessions) => word.chars().take(6).collect(),
        Some(Flaw::TimedSessions) => format!("{}", 1_790_000_000_000_000_u64 + count * 1_357 + count % 7),
        Some(Flaw::RepeatedSessions) => memory.sessions.keys().next().cloned().unwrap_or(word),
        Some(Flaw::HashedCounter) => hex(&sha256(count.to_string().as_bytes())),
        Some(Flaw::HashedTime) => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
            memory.last = u64::try_from(now).unwrap_or_default().max(memory.last + 1);
            hex(digest(&SHA1_FOR_LEGACY_USE_ONLY, memory.last.to_string().as_bytes()).as_ref())
        }
        Some(Flaw::HashedUser) => hex(&Md5::digest(format!("{who}:{count}"))),
        Some(Flaw::HashedProcess) => uuid(&Md5::digest(format!("42-{count}")), 4),
        Some(Flaw::NamedUuid) => {
            let name = [&URLS[..], format!("session-{count}").as_bytes()].concat();
            uuid(digest(&SHA1_FOR_LEGACY_USE_ONLY, &name).as_ref(), 5)
        }
        _ => word,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The first sixteen bytes with version and variant in (RFC 9562, 4).
fn uuid(bytes: &[u8], version: u8) -> String {
    let mut out = String::new();
    for (at, byte) in bytes.iter().take(16).enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        let byte = match at {
            6 => byte & 0x0f | version << 4,
            8 => byte & 0x3f | 0x80,
            _ => *byte,
        };
        out += &hex(&[byte]);
    }
    out
}
