//! DW002: a file with secrets that git tracks. The index is read from its file; git is not started. History is not read.

use super::Rule;
use crate::estate::{Estate, Kind, Tracked};
use crate::finding::{Confidence, Finding, Severity};

pub(super) static RULE: Rule = Rule {
    id: "DW002",
    severity: Severity::High,
    title: "Secret in a file that git tracks",
    why: "Everybody who has the repository has the secret, in every clone and for ever: taking it out of the file leaves it in the history.",
    fix: "revoke the secret first, then git rm --cached the file, add it to .gitignore, and keep an example without values",
    check,
};

fn check(estate: &Estate) -> Vec<Finding> {
    let tracked = estate.documents.iter().filter(|document| document.tracked == Tracked::Yes && !matches!(document.kind, Kind::Doorward));
    tracked
        .filter_map(|document| {
            let first = document.sightings.first()?;
            let count = document.sightings.len();
            let evidence =
                format!("{count} secret{} in a tracked file, the first: {}", if count == 1 { "" } else { "s" }, first.secret.kind.title);
            let confidence = document.sightings.iter().map(|sighting| sighting.secret.confidence).max().unwrap_or(Confidence::Medium);
            Some(Finding::new(&RULE, confidence, document.site(first.at), document.owner(), evidence))
        })
        .collect()
}
