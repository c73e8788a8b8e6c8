//! DW003: a file with secrets that other users of the computer may read. On Windows paths modes mean nothing and are not
//! looked at.

use super::Rule;
use crate::disk::look;
use crate::document::Position;
use crate::estate::{Document, Estate};
use crate::finding::{Confidence, Finding, Severity};
use crate::layout::Os;
use std::path::Path;

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
    open.filter_map(|document| {
        let (confidence, though) = match above(estate, document) {
            // Nobody else gets as far as the file.
            Above::Closed => return None,
            Above::Group => (Confidence::Low, ", though only a group may enter a directory above it"),
            Above::Open => (Confidence::High, ""),
        };
        let evidence = format!("mode {:04o}{though}", document.rights.mode);
        let finding = Finding::new(&RULE, confidence, document.site(Position::START), document.owner(), evidence);
        Some(finding.fixed_by(format!("take the right away: chmod 600 {}", quoted(&document.shown))))
    })
    .collect()
}

/// Who may enter the directories above a file.
enum Above {
    Open,
    Group,
    Closed,
}

fn above(estate: &Estate, document: &Document) -> Above {
    let within = |path: &&Path| path.starts_with(&estate.layout.home);
    let modes = document.path.ancestors().skip(1).take_while(within).filter_map(look).map(|rights| rights.mode);
    modes.fold(Above::Open, |above, mode| match (above, mode & 0o011) {
        (Above::Closed, _) | (_, 0) => Above::Closed,
        (_, 0o010) => Above::Group,
        (above, _) => above,
    })
}

/// A path as a shell takes it.
pub(super) fn quoted(path: &str) -> String {
    let plain = path.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_' | '~'));
    if plain { path.to_owned() } else { format!("'{}'", path.replace('\'', "'\\''")) }
}
