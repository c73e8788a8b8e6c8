//! The rules: one file each, with its id, severity, title, reason and remedy (product 6.2). A rule looks at the estate and
//! gives findings; it reads nothing, runs nothing and connects nowhere. Each has a section in `docs/scan.md` and a fixture in
//! `crates/scan/tests/rules`.

mod auto_approval;
mod container_escape;
mod direct_server;
mod doorward_danger;
mod foreign_credential;
mod known_vulnerable;
mod open_file;
mod plain_http;
mod plaintext_secret;
mod shared_identity_token;
mod shared_token;
mod shell_command;
mod static_gateway_key;
mod tls_off;
mod token_at_rest;
mod tracked_secret;
mod unpinned_program;
mod web;
mod writable_program;

use crate::estate::Estate;
use crate::finding::{Finding, Severity};
use crate::server::Server;

/// Whether an entry leads to a Doorward, and to which server of it, if it says so.
pub(crate) fn door(server: &Server) -> Option<Option<String>> {
    direct_server::door(server).map(|(_, name)| name)
}

/// One thing to look for.
pub struct Rule {
    /// Stable: `DW001`.
    pub id: &'static str,
    /// How bad each finding of it is.
    pub severity: Severity,
    /// What was found, in a few words.
    pub title: &'static str,
    /// Why it matters, in one sentence.
    pub why: &'static str,
    /// What to do, in one line, where a finding does not say it better.
    pub fix: &'static str,
    check: fn(&Estate) -> Vec<Finding>,
}

/// Every rule, in the order of the ids.
pub static RULES: [&Rule; 18] = [
    &plaintext_secret::RULE,
    &tracked_secret::RULE,
    &open_file::RULE,
    &plain_http::RULE,
    &tls_off::RULE,
    &unpinned_program::RULE,
    &container_escape::RULE,
    &shell_command::RULE,
    &writable_program::RULE,
    &known_vulnerable::RULE,
    &auto_approval::RULE,
    &token_at_rest::RULE,
    &shared_token::RULE,
    &shared_identity_token::RULE,
    &foreign_credential::RULE,
    &direct_server::RULE,
    &static_gateway_key::RULE,
    &doorward_danger::RULE,
];

// === impl Rule ===

impl Rule {
    /// A rule about servers that are asked, which is not for files: `crates/probe` asks, and decides.
    #[must_use]
    pub const fn live(id: &'static str, severity: Severity, title: &'static str, why: &'static str, fix: &'static str) -> Self {
        Self { id, severity, title, why, fix, check: |_| Vec::new() }
    }

    pub(crate) fn check(&self, estate: &Estate) -> Vec<Finding> {
        (self.check)(estate)
    }

    /// Where its page is.
    #[must_use]
    pub fn help_uri(&self) -> String {
        format!("https://github.com/doorward/doorward/blob/main/docs/scan.md#{}", self.id.to_ascii_lowercase())
    }
}

impl std::fmt::Debug for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_severities_are_those_of_the_table() {
        use Severity::{High, Info, Low, Medium};
        let table = [
            ("DW001", High),
            ("DW002", High),
            ("DW003", Medium),
            ("DW010", High),
            ("DW011", High),
            ("DW020", Low),
            ("DW021", High),
            ("DW022", Medium),
            ("DW023", Medium),
            ("DW024", High),
            ("DW030", Medium),
            ("DW040", Medium),
            ("DW041", Medium),
            ("DW042", High),
            ("DW043", Medium),
            ("DW050", Info),
            ("DW051", Info),
            ("DW060", Medium),
        ];
        assert_eq!(RULES.map(|rule| (rule.id, rule.severity)), table);
    }
}
