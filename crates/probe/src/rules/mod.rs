//! The rules for servers: one file each, with its id, severity, title, reason and remedy (product 6.3). A rule asks through the
//! visit and gives findings. Each has a section in `docs/scan.md` and a server with its flaw in `crates/testkit/src/flawed`.

mod changing_tools;
mod foreign_events;
mod foreign_token;
mod guessable_session;
mod header_mismatch;
mod leaky_error;
mod metadata_flaws;
mod no_consent;
mod no_credential;
mod open_cors;
mod open_registration;
mod passed_token;
mod poisoned_text;
mod shadowing;
mod shared_session;
mod silent_challenge;
mod token_in_url;
mod unchecked_origin;
mod undying_session;
mod weak_tls;
mod wide_scopes;

use crate::door::Stop;
use crate::visit::Visit;
use doorward_scan::{Finding, Rule};
use std::fmt;
use std::future::Future;
use std::pin::Pin;

/// What a rule does while it asks.
pub(crate) type Looking<'a> = Pin<Box<dyn Future<Output = Result<Vec<Finding>, Stop>> + 'a>>;

/// One thing to find out about servers.
pub struct LiveRule {
    /// What it is, as reports and the manual have it.
    pub rule: Rule,
    pub(crate) look: Look,
}

/// How a rule looks.
#[derive(Clone, Copy)]
pub(crate) enum Look {
    /// It asks one server.
    One(for<'a> fn(&'a Visit) -> Looking<'a>),
    /// It compares what all servers said, and asks nothing.
    All(fn(&[Visit]) -> Vec<Finding>),
}

/// Every rule, in the order of the ids.
pub static RULES: [&LiveRule; 21] = [
    &no_credential::RULE,
    &foreign_token::RULE,
    &silent_challenge::RULE,
    &metadata_flaws::RULE,
    &open_registration::RULE,
    &guessable_session::RULE,
    &shared_session::RULE,
    &unchecked_origin::RULE,
    &open_cors::RULE,
    &wide_scopes::RULE,
    &no_consent::RULE,
    &foreign_events::RULE,
    &weak_tls::RULE,
    &token_in_url::RULE,
    &undying_session::RULE,
    &leaky_error::RULE,
    &header_mismatch::RULE,
    &passed_token::RULE,
    &poisoned_text::RULE,
    &changing_tools::RULE,
    &shadowing::RULE,
];

impl fmt::Debug for LiveRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.rule.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorward_scan::Severity;

    #[test]
    fn ids_and_severities_are_those_of_the_table() {
        use Severity::{High, Medium};
        let table = [
            ("DW101", High),
            ("DW102", High),
            ("DW103", Medium),
            ("DW104", Medium),
            ("DW105", High),
            ("DW106", High),
            ("DW107", High),
            ("DW108", High),
            ("DW109", Medium),
            ("DW110", Medium),
            ("DW111", High),
            ("DW112", High),
            ("DW113", Medium),
            ("DW114", Medium),
            ("DW115", Medium),
            ("DW116", Medium),
            ("DW117", Medium),
            ("DW118", High),
            ("DW201", High),
            ("DW202", High),
            ("DW203", Medium),
        ];
        assert_eq!(RULES.map(|live| (live.rule.id, live.rule.severity)), table);
    }
}
