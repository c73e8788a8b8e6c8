//! The seam to `crates/probe`, which asks servers: what it saw comes in here, is covered and made inert like everything else,
//! and stands in the same report. Nothing here asks anybody.

use super::{NOT_COVERED, Report};
use crate::estate::Problem;
use crate::finding::Finding;
use crate::inert::inert;
use crate::rules::Rule;
use crate::secrets::covered;
use std::fmt;
use zeroize::Zeroizing;

/// What no probe can tell.
pub const NOT_ASKED: [&str; 5] = [
    "what tools do: none was called, so a token that is passed on only by a call was not seen",
    "sign-in by people: pages, consent, cookies and what happens after them",
    "what another credential would show: rules that need one say so when it was not given",
    "addresses behind the one that was asked, other instances of it, and what it does on another day",
    "whether a secret is guessable by who knows how it is made: lengths, order and variety of some samples were looked at, and digests of small things",
];

/// What was seen of servers that were asked. Not covered yet: it can be made a report, and is printed as numbers alone.
pub struct Live {
    /// The rules that looked.
    pub rules: Vec<&'static Rule>,
    /// Who was asked.
    pub asked: Vec<Asked>,
    /// What they showed.
    pub findings: Vec<Finding>,
    /// What could not be asked, or not to the end.
    pub notes: Vec<Note>,
    /// What no report may show: the credentials that were used, and session ids that were seen.
    pub hidden: Vec<Zeroizing<String>>,
}

/// A server that was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Its address, without query.
    pub url: String,
    /// How many requests were sent because of it.
    pub requests: usize,
    /// Whom they were sent to: host and port.
    pub addresses: Vec<String>,
}

/// Something that could not be asked, or not to the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The address of the server.
    pub url: String,
    /// `not-tried` where something was not given, which leaves the report whole; else what went wrong.
    pub id: &'static str,
    /// In words.
    pub meaning: String,
}

/// Shorter texts are not covered: they are parts of words.
const SIEVED: usize = 6;

impl Report {
    /// A report of what servers showed; with `files`, together with what their files say.
    #[must_use]
    pub fn of_servers(files: Option<Self>, live: Live) -> Self {
        let empty = Self {
            findings: Vec::new(),
            problems: Vec::new(),
            files: 0,
            servers: 0,
            clients: Vec::new(),
            suppressed: 0,
            rules: Vec::new(),
            asked: Vec::new(),
        };
        let mut report = files.unwrap_or(empty);
        let mut hidden: Vec<&Zeroizing<String>> = live.hidden.iter().filter(|text| text.len() >= SIEVED).collect();
        // The longest first, so that none hides in a part of another.
        hidden.sort_by_key(|text| std::cmp::Reverse(text.len()));
        let cover = |text: &str| {
            let sifted = hidden.iter().fold(text.to_owned(), |text, secret| {
                if text.contains(secret.as_str()) {
                    text.replace(secret.as_str(), &format!("...({})", secret.chars().count()))
                } else {
                    text
                }
            });
            covered("", &sifted)
        };
        for mut finding in live.findings {
            finding.shown_through(&cover);
            report.findings.push(finding);
        }
        report.findings.sort_by(|one, other| one.order().cmp(&other.order()));
        report.findings.dedup_by(|one, other| one.order() == other.order() && one.subject == other.subject);
        for note in live.notes {
            report.problems.push(Problem { file: inert(&cover(&note.url)), at: None, id: note.id, meaning: inert(&cover(&note.meaning)) });
        }
        report.rules.extend(live.rules);
        report.asked.extend(live.asked.into_iter().map(|asked| Asked { url: inert(&cover(&asked.url)), ..asked }));
        report
    }

    /// What the report does not cover.
    pub(super) fn not_covered(&self) -> Vec<&'static str> {
        let files = if self.files > 0 || self.asked.is_empty() { &NOT_COVERED[..] } else { &[] };
        // Who asked servers does not read that none was asked.
        let files = if self.asked.is_empty() { files } else { files.get(1..).unwrap_or_default() };
        let asked = if self.asked.is_empty() { &[] } else { &NOT_ASKED[..] };
        files.iter().chain(asked).copied().collect()
    }
}

// === impl Live ===

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Live({} asked, {} findings, {} notes)", self.asked.len(), self.findings.len(), self.notes.len())
    }
}

// === impl Asked ===

impl Asked {
    /// In one sentence.
    pub(super) fn told(&self) -> String {
        let plural = if self.requests == 1 { "" } else { "s" };
        format!(
            "Asked {} with {} request{plural}, sent to {}. Nothing was started, no tool was called.",
            self.url,
            self.requests,
            if self.addresses.is_empty() { "nobody".to_owned() } else { self.addresses.join(", ") }
        )
    }
}
