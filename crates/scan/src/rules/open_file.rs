//! DW003: a file with secrets that other users of the computer may read. On Windows paths modes mean nothing and are not
//! looked at.

use super::Rule;
use crate::document::Position;
use crate::estate::Estate;
use crate::finding::{Confidence, Finding, Severity};
use crate::layout::Os;

pub(super) static RULE: Rule = Rule {
    id: "DW003",
    severity: Severity::Medium,
    title: "File with secrets that others may read",
    why: "Every other user and service of this computer can read the secrets in it.",
    fix: "take the right away: chmod 600",
    check,
};

fn check(estate: &Estate) -> Vec<Finding> {
    if estate.layout.os == Os::Windows {
        return Vec::new();
    }
    let open = estate.documents.iter().filter(|document| document.rights.readable_by_others() && !document.sightings.is_empty());
    open.map(|document| {
        // A private directory above keeps others out, whatever the mode of the file.
        let closed = closed_above(estate, document);
        let evidence = format!("mode {:04o}{}", document.rights.mode, if closed { ", though a directory above it is closed" } else { "" });
        let confidence = if closed { Confidence::Low } else { Confidence::High };
        Finding::new(&RULE, confidence, document.site(Position::START), document.owner(), evidence)
            .fixed_by(format!("take the right away: chmod 600 {}", quoted(&document.shown)))
    })
    .collect()
}

fn closed_above(estate: &Estate, document: &crate::estate::Document) -> bool {
    document
        .path
        .ancestors()
        .skip(1)
        .take_while(|above| above.starts_with(&estate.layout.home))
        .filter_map(crate::disk::look)
        .any(|rights| rights.mode & 0o001 == 0)
}

/// A path as a shell takes it.
pub(super) fn quoted(path: &str) -> String {
    let plain = path.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_' | '~'));
    if plain { path.to_owned() } else { format!("'{}'", path.replace('\'', "'\\''")) }
}
