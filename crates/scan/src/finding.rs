//! A finding: which rule, where, how sure, what was seen, what to do. Holds text for reports only: redacted and inert.

use crate::document::Position;
use crate::inert::inert;
use crate::rules::Rule;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Mend it when you are there.
    Low,
    /// Mend it soon.
    Medium,
    /// Mend it now.
    High,
}

/// How sure the rule is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Confidence {
    /// It may be meant otherwise.
    Low,
    /// Probably.
    Medium,
    /// It is so.
    High,
}

/// One thing that is wrong in one place.
#[derive(Debug, Clone)]
pub struct Finding {
    pub(crate) rule: &'static Rule,
    pub(crate) confidence: Confidence,
    pub(crate) place: Site,
    /// The client and server, or the kind of file.
    pub(crate) subject: String,
    /// What was seen.
    pub(crate) evidence: String,
    /// What to do, in one line.
    pub(crate) fix: String,
    /// The same thing elsewhere.
    pub(crate) also: Vec<Site>,
}

/// Where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Site {
    /// The path as people write it, `~` for the home.
    pub(crate) file: String,
    /// None where the place is an address that was asked.
    pub(crate) at: Option<Position>,
}

// === impl Severity ===

impl Severity {
    /// Every one, the worst first.
    pub const ALL: [Self; 4] = [Self::High, Self::Medium, Self::Low, Self::Info];

    /// In lower case, as options and JSON have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

// === impl Confidence ===

impl Confidence {
    /// In lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

// === impl Finding ===

impl Finding {
    /// Something that a server showed when it was asked at `url`. Confidence says how sure the rule is; `subject` names the
    /// part that was asked, `evidence` what it did. Both are made inert, and what must be hidden is covered, by [`crate::Live`].
    #[must_use]
    pub fn seen(rule: &'static Rule, confidence: Confidence, url: &str, subject: impl Into<String>, evidence: impl Into<String>) -> Self {
        Self::new(rule, confidence, Site { file: url.to_owned(), at: None }, subject, evidence)
    }

    pub(crate) fn new(
        rule: &'static Rule,
        confidence: Confidence,
        place: Site,
        subject: impl Into<String>,
        evidence: impl Into<String>,
    ) -> Self {
        Self { rule, confidence, place, subject: subject.into(), evidence: evidence.into(), fix: rule.fix.to_owned(), also: Vec::new() }
    }

    pub(crate) fn fixed_by(mut self, fix: impl Into<String>) -> Self {
        self.fix = fix.into();
        self
    }

    pub(crate) fn also(mut self, sites: Vec<Site>) -> Self {
        self.also = sites;
        self
    }

    /// Everything that a report shows, changed alike.
    pub(crate) fn shown_through(&mut self, change: &dyn Fn(&str) -> String) {
        for text in [&mut self.subject, &mut self.evidence, &mut self.fix, &mut self.place.file] {
            *text = inert(&change(text));
        }
        for site in &mut self.also {
            site.file = inert(&change(&site.file));
        }
    }

    /// What was seen, for those who look at findings one by one.
    #[must_use]
    pub fn evidence(&self) -> &str {
        &self.evidence
    }

    /// The stable id of the rule.
    #[must_use]
    pub const fn id(&self) -> &'static str {
        self.rule.id
    }

    /// How bad it is.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        self.rule.severity
    }

    /// The order of reports: the worst first, then by place.
    pub(crate) fn order(&self) -> (std::cmp::Reverse<Severity>, &'static str, &Site, &str) {
        (std::cmp::Reverse(self.rule.severity), self.rule.id, &self.place, &self.evidence)
    }
}

// === impl Site ===

impl std::fmt::Display for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.at {
            Some(at) => write!(f, "{}:{}:{}", self.file, at.line, at.column),
            None => f.write_str(&self.file),
        }
    }
}
