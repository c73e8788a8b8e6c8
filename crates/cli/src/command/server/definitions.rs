//! The text of approved definitions, kept beside the store under the digest that was approved. The digest proves the text:
//! what does not hash to its name is not shown.

use doorward_core::id::ServerName;
use doorward_core::json::RawJson;
use serde_json::Value;
use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Largest text that is read back.
const LARGEST: u64 = 4 << 20;
/// Deepest nesting that is read back: as deep as an upstream may nest.
const DEPTH: usize = 128;

fn directory(state: &Path, server: &ServerName) -> PathBuf {
    state.join("definitions").join(server.as_str())
}

fn name(digest: &[u8; 32]) -> String {
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{hex}.json")
}

/// Keeps a definition that was approved.
///
/// # Errors
/// As the file system has them.
pub(super) fn keep(state: &Path, server: &ServerName, digest: &[u8; 32], definition: &RawJson) -> io::Result<()> {
    let directory = directory(state, server);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
    let path = directory.join(name(digest));
    if path.exists() {
        return Ok(());
    }
    let draft = directory.join(format!(".{}", name(digest)));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(definition.as_bytes())?;
    fs::rename(&draft, &path)
}

/// The definition with this digest, if it was kept and is what was approved.
pub(super) fn kept(state: &Path, server: &ServerName, digest: &[u8; 32]) -> Option<Value> {
    let file = fs::File::open(directory(state, server).join(name(digest))).ok()?;
    let mut text = Vec::new();
    file.take(LARGEST).read_to_end(&mut text).ok()?;
    let definition = RawJson::parse(&text.into(), DEPTH).ok()?;
    if definition.canonical_digest() != *digest {
        return None;
    }
    definition.to_value().ok()
}

/// A definition with its members in order, one a line.
pub(super) fn pretty(definition: &Value) -> String {
    let mut text = serde_json::to_string_pretty(definition).unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn pol_02_a_text_that_was_exchanged_is_not_shown() {
        let state = std::env::temp_dir().join(format!("doorward-definitions-{}", std::process::id()));
        let server = ServerName::new("a").expect("a name");
        let definition = json!({"name": "t", "description": "Reads."});
        let digest = RawJson::of(&definition).canonical_digest();
        keep(&state, &server, &digest, &RawJson::of(&definition)).expect("kept");
        keep(&state, &server, &digest, &RawJson::of(&definition)).expect("twice");
        assert_eq!(kept(&state, &server, &digest), Some(definition));
        fs::write(directory(&state, &server).join(name(&digest)), r#"{"name":"t","description":"Harmless."}"#).expect("written");
        assert_eq!(kept(&state, &server, &digest), None);
        let raw = RawJson::parse(&br#"{"name":"t","inputSchema":{"maximum":1e2}}"#.as_slice().into(), DEPTH).expect("valid");
        keep(&state, &server, &raw.canonical_digest(), &raw).expect("kept");
        assert!(kept(&state, &server, &raw.canonical_digest()).is_some(), "a number counts as it was written, as in the catalogue");
        fs::remove_dir_all(&state).expect("removed");
    }
}
