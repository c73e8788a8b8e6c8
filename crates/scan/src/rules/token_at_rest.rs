//! DW040: a token store of a client in clear text, or any file with secrets in a directory that is copied to a cloud. Most
//! clients give no choice on Linux: the finding says how far the file is open, and DW003 says when others may read it.

use super::Rule;
use crate::estate::{Document, Estate, Kind};
use crate::finding::{Confidence, Finding, Severity};

pub(super) static RULE: Rule = Rule {
    id: "DW040",
    severity: Severity::Medium,
    title: "Tokens at rest in clear text",
    why: "Whatever runs as this user, or gets a backup or a synced copy, can use the tokens until they are revoked.",
    fix: "let the client keep tokens in the keychain where it can, encrypt the disk, keep the directory out of backups and sync; behind the gateway there is one short-lived token to lose",
    check,
};

/// Directories that programs copy to a cloud, as their names begin.
const SYNCED: [&str; 9] =
    ["Dropbox", "OneDrive", "Google Drive", "GoogleDrive", "iCloud Drive", "Mobile Documents", "Nextcloud", "pCloud", "MEGA"];

fn check(estate: &Estate) -> Vec<Finding> {
    estate.documents.iter().filter_map(look).collect()
}

fn look(document: &Document) -> Option<Finding> {
    let synced = document
        .path
        .components()
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
        .find(|part| SYNCED.iter().any(|name| part.starts_with(name)));
    let store = matches!(document.kind, Kind::Tokens(_));
    let tokens = if store { stored(document) } else { document.sightings.len() };
    if tokens == 0 || (!store && synced.is_none()) {
        return None;
    }
    let at = document.sightings.first().map_or(document.root.at, |sighting| sighting.at);
    let count = format!("{tokens} token{}", if tokens == 1 { "" } else { "s" });
    let evidence = match synced {
        Some(directory) => format!("{count}, in a directory that is copied elsewhere ({directory})"),
        None if document.rights.readable_by_others() => {
            format!("{count}, and others may read the file (mode {:04o})", document.rights.mode)
        }
        None => format!("{count}, mode {:04o}", document.rights.mode),
    };
    let owner = document.client().map_or_else(|| document.owner().to_owned(), |client| format!("{} {}", client.name, document.owner()));
    Some(Finding::new(&RULE, Confidence::High, document.site(at), owner, evidence))
}

/// Values under names of tokens, whatever they look like.
fn stored(document: &Document) -> usize {
    let mut count = 0;
    document.root.leaves("", &mut |_, key, text, _| {
        let key: String = key.to_ascii_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
        if matches!(key.as_str(), "accesstoken" | "refreshtoken" | "idtoken" | "token" | "clientsecret") && text.peek().len() >= 8 {
            count += 1;
        }
    });
    count
}
