//! Which records somebody wants to see. Every condition must hold; outcomes belong to the intents that they settle.

use super::event::{Kind, Record, User, whole_or_digest};
use std::collections::HashSet;

/// Conditions. Times are texts as records write them: all have one form, so that their order is that of their texts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Whom it concerns, or who did it: `SUBJECT` or `ISSUER/SUBJECT`.
    pub user: Option<String>,
    /// The client.
    pub client: Option<String>,
    /// The server.
    pub server: Option<String>,
    /// The tool: `TOOL` or `SERVER__TOOL`.
    pub tool: Option<String>,
    /// What was decided.
    pub decision: Option<Decision>,
    /// From this time on.
    pub since: Option<String>,
    /// Before this time.
    pub until: Option<String>,
}

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Permitted.
    Permit,
    /// Denied by the policy.
    Deny,
    /// Refused by anything else.
    Refuse,
}

/// [`Wanted`], asked of one record after another in the order of the file.
#[derive(Debug, Default)]
pub struct Filter {
    wanted: Wanted,
    /// Intents that fit: what became of them fits, too.
    intents: HashSet<u64>,
}

// === impl Decision ===

impl Decision {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Permit, Self::Deny, Self::Refuse];

    /// Its name in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Permit => "permit",
            Self::Deny => "deny",
            Self::Refuse => "refuse",
        }
    }
}

// === impl Wanted ===

impl Wanted {
    /// Whether there is a condition besides the time.
    #[must_use]
    pub const fn is_narrow(&self) -> bool {
        self.user.is_some() || self.client.is_some() || self.server.is_some() || self.tool.is_some() || self.decision.is_some()
    }

    /// Whether a record that names these facts itself fits, whenever it was.
    #[must_use]
    pub fn fits(&self, record: &Record<'_>) -> bool {
        let user = |wanted: &str| [&record.user, &record.by].into_iter().flatten().any(|user| is_named(user, wanted));
        let tool = |wanted: &str| {
            let of_tool = record.method.as_deref() == Some("tools/call");
            let name = record.name.as_deref().unwrap_or_default();
            let server = record.server.as_deref().unwrap_or_default();
            of_tool && (name == wanted || wanted.split_once("__").is_some_and(|(s, t)| s == server && t == name))
        };
        self.user.as_deref().is_none_or(user)
            && self.client.as_deref().is_none_or(|wanted| record.client.as_deref() == Some(&*whole_or_digest(wanted)))
            && self.server.as_deref().is_none_or(|wanted| record.server.as_deref() == Some(wanted))
            && self.tool.as_deref().is_none_or(tool)
            && self.decision.is_none_or(|wanted| record.decision.as_deref() == Some(wanted.as_str()))
    }

    /// Whether a record is of the time.
    #[must_use]
    pub fn is_in_time(&self, record: &Record<'_>) -> bool {
        self.since.as_deref().is_none_or(|since| *record.time >= *since) && self.until.as_deref().is_none_or(|until| *record.time < *until)
    }
}

fn is_named(user: &User<'_>, wanted: &str) -> bool {
    *user.sub == *wanted || wanted.strip_suffix(&*user.sub).and_then(|rest| rest.strip_suffix('/')).is_some_and(|issuer| issuer == user.iss)
}

// === impl Filter ===

impl Filter {
    /// Nothing was asked yet.
    #[must_use]
    pub fn new(wanted: Wanted) -> Self {
        Self { wanted, intents: HashSet::new() }
    }

    /// Whether a record is wanted.
    pub fn wants(&mut self, record: &Record<'_>) -> bool {
        let in_time = self.wanted.is_in_time(record);
        if let Some(intent) = record.intent {
            return in_time && (self.intents.contains(&intent) || !self.wanted.is_narrow());
        }
        let fits = self.wanted.fits(record);
        if fits && record.kind == Kind::Intent && self.wanted.is_narrow() {
            self.intents.insert(record.seq);
        }
        in_time && fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;

    #[test]
    fn outcomes_follow_their_intents() {
        let mut filter = Filter::new(Wanted { tool: Some("github__merge".into()), ..Wanted::default() });
        let mut intent = Record::new(Kind::Intent);
        (intent.seq, intent.server) = (4, Some(Cow::Borrowed("github")));
        (intent.method, intent.name) = (Some(Cow::Borrowed("tools/call")), Some(Cow::Borrowed("merge")));
        assert!(filter.wants(&intent));
        let mut outcome = Record::new(Kind::Outcome);
        outcome.intent = Some(4);
        assert!(filter.wants(&outcome));
        outcome.intent = Some(5);
        assert!(!filter.wants(&outcome));
        intent.server = Some(Cow::Borrowed("gitlab"));
        assert!(!filter.wants(&intent));
    }

    #[test]
    fn somebody_is_found_by_what_concerns_them_and_by_what_they_did() {
        let user = |iss, sub| Some(User { iss: Cow::Borrowed(iss), sub: Cow::Borrowed(sub) });
        let mut event = Record::new(Kind::Event);
        (event.user, event.by) = (user("https://idp.example", "bob"), user("https://idp.example", "root"));
        let fits = |wanted: &str| Wanted { user: Some(wanted.to_owned()), ..Wanted::default() }.fits(&event);
        for wanted in ["bob", "https://idp.example/bob", "root", "https://idp.example/root"] {
            assert!(fits(wanted), "{wanted}");
        }
        for other in ["", "ob", "/bob", "https://idp.example/", "https://other.example/bob", "idp.example/bob"] {
            assert!(!fits(other), "{other}");
        }
    }

    #[test]
    fn a_client_is_found_by_its_whole_id_where_records_have_a_digest_of_it() {
        let long = format!("dwc_{}", "x".repeat(600));
        for id in ["https://app.test/c.json", long.as_str()] {
            let mut record = Record::new(Kind::Event);
            record.client = Some(whole_or_digest(id));
            for (wanted, fits) in [(id.to_owned(), true), (whole_or_digest(id).into_owned(), true), (format!("{id}y"), false)] {
                assert_eq!(Wanted { client: Some(wanted), ..Wanted::default() }.fits(&record), fits, "{id}");
            }
        }
    }
}
