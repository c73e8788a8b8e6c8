//! DW001: a secret in `env`, `headers`, `args`, a URL or another setting of an entry. Anything that reads the file has it:
//! every program of the user, a backup, a screen share.

use super::Rule;
use crate::estate::{Document, Estate, Kind, Sighting};
use crate::finding::{Finding, Severity, Site};
use crate::secrets::redact;

pub(super) static RULE: Rule = Rule {
    id: "DW001",
    severity: Severity::High,
    title: "Secret in clear text",
    why: "Whoever reads the file can act with it: every program of this user, a backup, a commit, a shared screen.",
    fix: "take it out of the file (a reference like ${TOKEN}, or the gateway's vault), then revoke it where it was issued",
    check,
};

fn check(estate: &Estate) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    let mut known: Vec<[u8; 32]> = Vec::new();
    for document in estate.documents.iter().filter(|document| matches!(document.kind, Kind::Client(_))) {
        for sighting in &document.sightings {
            let fingerprint = sighting.secret.value.fingerprint();
            let site = document.site(sighting.at);
            // One secret is one finding, with every place where it stands.
            match known.iter().position(|old| *old == fingerprint).and_then(|at| found.get_mut(at)) {
                Some(finding) => {
                    if finding.place != site && !finding.also.contains(&site) {
                        finding.also.push(site);
                    }
                }
                None => {
                    known.push(fingerprint);
                    found.push(finding(document, sighting, site));
                }
            }
        }
    }
    found
}

fn finding(document: &Document, sighting: &Sighting, site: Site) -> Finding {
    let kind = sighting.secret.kind;
    let subject = sighting
        .server
        .and_then(|at| document.servers.get(at))
        .map_or_else(|| document.owner().to_owned(), |server| document.subject(server));
    let evidence = format!("{}: {} = {}", kind.title, sighting.path, redact(kind, &sighting.secret.value));
    let finding = Finding::new(&RULE, sighting.secret.confidence, site, subject, evidence);
    if kind.revoke.is_empty() {
        finding
    } else {
        finding.fixed_by(format!(
            "keep it out of the file (a reference like ${{TOKEN}}, or the gateway's vault), then revoke it: {}",
            kind.revoke
        ))
    }
}
