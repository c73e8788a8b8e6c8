//! The effective values of a credential of Google, and of where its services are.

use super::{Sheet, units};
use crate::config::google::{GoogleCredential, Yields};
use crate::credential::google::mapping::{Looks, Row, State, Tools};
use crate::credential::google::places::Places;

pub(super) fn credential(name: &str, credential: &GoogleCredential, sheet: &mut Sheet) {
    let at = |key: &'static str| ["server", name, "credential", key];
    sheet.text(&at("kind"), credential.kind());
    sheet.text(&at("source"), &credential.source);
    match &credential.yields {
        Yields::Access(scopes) => sheet.list(&at("scopes"), &scopes.iter().collect::<Vec<_>>()),
        Yields::Identity(identity) => {
            sheet.text(&at("audience"), &identity.audience);
            if let Some(account) = &identity.account {
                sheet.text(&at("service_account"), account);
            }
            sheet.text(&at("header"), &identity.header);
            if !identity.delegates.is_empty() {
                sheet.list(&at("delegates"), &identity.delegates);
            }
        }
        Yields::Mapped { mapping, delegates } => {
            if !delegates.is_empty() {
                sheet.list(&at("delegates"), delegates);
            }
            for (index, row) in mapping.rows().iter().enumerate() {
                row_entries(name, &index.to_string(), row, sheet);
            }
        }
    }
    if let Some(project) = &credential.quota_project {
        sheet.text(&at("quota_project"), project);
    }
}

fn row_entries(name: &str, index: &str, row: &Row, sheet: &mut Sheet) {
    let at = |key: &'static str| ["server", name, "credential", "map", index, key];
    let tools: Vec<&str> = row
        .tools
        .iter()
        .map(|tools| match tools {
            Tools::Class(class) => class.as_str(),
            Tools::Named(glob) => glob.as_str(),
        })
        .collect();
    if !tools.is_empty() {
        sheet.list(&at("tools"), &tools);
    }
    if !row.users.is_empty() {
        sheet.list(&at("users"), &row.users);
    }
    if !row.groups.is_empty() {
        sheet.list(&at("groups"), &row.groups);
    }
    if !row.clients.is_empty() {
        sheet.list(&at("clients"), &row.clients);
    }
    if !row.agents.is_empty() {
        sheet.list(&at("agents"), &row.agents);
    }
    sheet.text(&at("service_account"), &row.grant.account);
    sheet.list(&at("scopes"), &row.grant.scopes.iter().collect::<Vec<_>>());
    sheet.text(&at("lifetime"), units::written(row.grant.lifetime.span()));
    sheet.plain(&at("enabled"), row.state == State::Enabled);
    if row.looks == Looks::Yes {
        sheet.plain(&at("catalogue"), true);
    }
}

/// Only what is another one than Google's own.
pub(super) fn places(places: &Places, sheet: &mut Sheet) {
    let own = Places::google();
    for (key, text, usual) in [
        ("universe_domain", places.universe(), own.universe()),
        ("iamcredentials", places.iamcredentials(), own.iamcredentials()),
        ("sts", places.sts(), own.sts()),
        ("oauth2", places.oauth2(), own.oauth2()),
        ("metadata", places.metadata(), own.metadata()),
    ] {
        if text != usual {
            sheet.text(&["endpoints", key], text);
        }
    }
    if !places.subject_hosts().is_empty() {
        sheet.list(&["endpoints", "subject_token_hosts"], places.subject_hosts());
    }
}
