//! DW041: one token used by several servers or clients. Told by comparing digests; where the same token stands twice within
//! one entry, that is one use.

use super::Rule;
use crate::estate::{Document, Estate, Kind, Sighting};
use crate::finding::{Confidence, Finding, Severity};
use crate::secrets::redact;
use std::collections::{BTreeMap, BTreeSet};

pub(super) static RULE: Rule = Rule {
    id: "DW041",
    severity: Severity::Medium,
    title: "One token for several servers",
    why: "Each of them can act at the others' service; when one leaks, all must change, and no log can tell them apart.",
    fix: "make one token for each server with only the rights that it needs, then revoke the shared one",
    check,
};

fn check(estate: &Estate) -> Vec<Finding> {
    let mut uses: BTreeMap<[u8; 32], Vec<(&Document, &Sighting)>> = BTreeMap::new();
    for document in estate.documents.iter().filter(|document| matches!(document.kind, Kind::Client(_))) {
        for sighting in document.sightings.iter().filter(|sighting| sighting.server.is_some()) {
            uses.entry(sighting.secret.value.fingerprint()).or_default().push((document, sighting));
        }
    }
    uses.into_values().filter_map(|uses| shared(&uses)).collect()
}

fn shared(uses: &[(&Document, &Sighting)]) -> Option<Finding> {
    let entries: BTreeSet<(&str, usize)> =
        uses.iter().filter_map(|(document, sighting)| Some((document.shown.as_str(), sighting.server?))).collect();
    let (document, first) = uses.first().filter(|_| entries.len() > 1)?;
    let names: BTreeSet<&str> =
        uses.iter().filter_map(|(document, sighting)| document.servers.get(sighting.server?).map(|server| server.name.as_str())).collect();
    let kind = first.secret.kind;
    let evidence = format!(
        "{} {} in {} entries: {}",
        kind.title,
        redact(kind, &first.secret.value),
        entries.len(),
        names.iter().copied().collect::<Vec<_>>().join(", ")
    );
    // Under one name it may be one server in several clients.
    let confidence = if names.len() > 1 { Confidence::High } else { Confidence::Medium };
    let place = document.site(first.at);
    let also = uses.iter().map(|(document, sighting)| document.site(sighting.at)).filter(|site| *site != place).collect::<BTreeSet<_>>();
    let subject = first.server.and_then(|at| document.servers.get(at)).map_or_else(String::new, |server| document.subject(server));
    Some(Finding::new(&RULE, confidence, place, subject, evidence).also(also.into_iter().collect()))
}
