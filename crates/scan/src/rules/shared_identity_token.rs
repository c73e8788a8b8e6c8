//! DW042: an identity token whose audience is a client that everybody shares: what `gcloud auth print-identity-token` makes
//! for a person, in a command that makes headers, or such a token itself. Its audience is gcloud, not the server, so every
//! server that gets it can use it at every other (OpenID Connect Core 2, `aud`; RFC 9700 section 2.3).

use super::Rule;
use crate::estate::Estate;
use crate::finding::{Confidence, Finding, Severity};
use crate::secrets::claims;

pub(super) static RULE: Rule = Rule {
    id: "DW042",
    severity: Severity::High,
    title: "Identity token for a shared audience",
    why: "The token was made for gcloud, not for this server: the server can present it wherever such tokens are taken, as this user.",
    fix: "make a token for this server alone: impersonate a service account with --audiences=, or let the gateway hold the identity",
    check,
};

/// The client of the gcloud program.
const GCLOUD: &str = "32555940559.apps.googleusercontent.com";

fn check(estate: &Estate) -> Vec<Finding> {
    let mut found = Vec::new();
    for (document, server) in estate.servers() {
        for field in server.fields() {
            let text = field.text.peek();
            let command =
                ["gcloud auth print-identity-token", "gcloud auth print-access-token"].iter().find(|command| text.contains(*command));
            if let Some(command) = command.filter(|_| !(text.contains("--audiences") || text.contains("--impersonate-service-account"))) {
                let evidence = format!("{}: {command}, without an audience", field.path);
                found.push(Finding::new(&RULE, Confidence::High, document.site(field.at), document.subject(server), evidence));
            }
        }
    }
    for document in &estate.documents {
        for sighting in document.sightings.iter().filter(|sighting| sighting.server.is_some()) {
            let audience = claims(sighting.secret.value.peek()).and_then(|claims| claims.get("aud").cloned());
            if audience.is_some_and(|audience| audience.as_str() == Some(GCLOUD)) {
                let subject =
                    sighting.server.and_then(|at| document.servers.get(at)).map_or_else(String::new, |server| document.subject(server));
                let evidence = format!("{}: a token whose audience is gcloud", sighting.path);
                found.push(Finding::new(&RULE, Confidence::High, document.site(sighting.at), subject, evidence));
            }
        }
    }
    found
}
