//! What was found, ready to be shown: sorted, redacted, inert, with a grade and what it does not cover. Holds no text of a
//! file but what rules put into findings, and that has gone through the sieve of every secret that was seen.

mod html;
mod json;
mod live;
mod sarif;
mod text;

pub use json::BadBaseline;
pub use live::{Asked, Live, NOT_ASKED, Note};
pub use text::Color;

use crate::estate::{Estate, Problem};
use crate::finding::{Confidence, Finding, Severity};
use crate::inert::inert;
use crate::rules::{RULES, Rule};
use crate::secrets::{covered, redact};
use doorward_core::secret::sha256;
use std::collections::{BTreeMap, BTreeSet};

/// What no look at files can tell.
pub const NOT_COVERED: [&str; 5] = [
    "what servers do: none was started or asked, so their sign-in, sessions and tool texts were not looked at",
    "secrets in keychains, in the environment, in shell profiles and in the history of git",
    "packages without a version, and vulnerabilities that were published after this program",
    "clients and files that are not in docs/scan.md, and settings of organisations in registries of the system",
    "whether a secret still works: nothing was tried",
];

/// Shorter secrets are not looked for in texts: they are parts of words.
const SIEVED: usize = 6;

/// The result of a scan.
#[derive(Debug, Clone)]
pub struct Report {
    findings: Vec<Finding>,
    problems: Vec<Problem>,
    files: usize,
    servers: usize,
    clients: Vec<&'static str>,
    suppressed: usize,
    /// Those that looked.
    rules: Vec<&'static Rule>,
    asked: Vec<Asked>,
}

/// Whether anything was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Looked {
    Somewhere,
    Nowhere,
}

/// How good a set-up is, as far as files tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// Nothing to mend.
    A,
    /// Small things.
    B,
    /// Something to mend soon.
    C,
    /// Something to mend now.
    D,
    /// A lot to mend now.
    F,
}

impl Report {
    /// Runs every rule over what was found.
    pub(crate) fn of(estate: &Estate) -> Self {
        let mut findings: Vec<Finding> = RULES.iter().flat_map(|rule| rule.check(estate)).collect();
        let sieve = sieve(estate);
        let cover = |text: &str| {
            let sifted = sieve.iter().fold(text.to_owned(), |text, (secret, shown)| {
                if text.contains(secret.as_str()) { text.replace(secret.as_str(), shown) } else { text }
            });
            // Names and keys are no values, so nobody looked for secrets in them yet.
            covered("", &sifted)
        };
        for finding in &mut findings {
            finding.shown_through(&cover);
        }
        findings.sort_by(|one, other| one.order().cmp(&other.order()));
        findings.dedup_by(|one, other| one.order() == other.order() && one.subject == other.subject);
        let mut problems = estate.problems.clone();
        for problem in &mut problems {
            problem.file = inert(&cover(&problem.file));
        }
        problems.sort_by(|one, other| (&one.file, one.at).cmp(&(&other.file, other.at)));
        let clients: BTreeSet<&'static str> =
            estate.documents.iter().filter_map(|document| document.client().map(|client| client.name)).collect();
        Self {
            findings,
            problems,
            files: estate.documents.len(),
            servers: estate.documents.iter().map(|document| document.servers.len()).sum(),
            clients: clients.into_iter().collect(),
            suppressed: 0,
            rules: RULES.to_vec(),
            asked: Vec::new(),
        }
    }

    const fn looked(&self) -> Looked {
        if self.files == 0 && self.asked.is_empty() { Looked::Nowhere } else { Looked::Somewhere }
    }

    /// The findings, the worst first.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// How many files could not be looked at.
    #[must_use]
    pub fn problems(&self) -> usize {
        self.problems.len()
    }

    /// How many of them may hide something: there is a file, and it was not looked into.
    #[must_use]
    pub fn unread(&self) -> usize {
        self.problems.iter().filter(|problem| !matches!(problem.id, "no-servers" | "not-there" | "not-tried")).count()
    }

    /// How many of them stand for something that was to be looked at; what a rule was not given is nothing of that kind.
    fn hidden(&self) -> usize {
        self.problems.iter().filter(|problem| problem.id != "not-tried").count()
    }

    /// How many findings are as bad as this or worse.
    #[must_use]
    pub fn at_least(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity() >= severity).count()
    }

    /// The grade of what was found. What is not sure does not make it worse than C.
    #[must_use]
    pub fn grade(&self) -> Grade {
        let sure = |finding: &&Finding| finding.severity() == Severity::High && finding.confidence >= Confidence::Medium;
        let high = self.findings.iter().filter(sure).count();
        let has = |severity| self.findings.iter().any(|finding| finding.severity() == severity);
        match high {
            3.. => Grade::F,
            1.. => Grade::D,
            0 if has(Severity::High) || has(Severity::Medium) => Grade::C,
            0 if has(Severity::Low) => Grade::B,
            0 => Grade::A,
        }
    }

    /// Leaves out what a baseline knows.
    pub fn leave_out(&mut self, known: &BTreeSet<String>) {
        let before = self.findings.len();
        self.findings.retain(|finding| !known.contains(&finding.fingerprint()));
        self.suppressed += before - self.findings.len();
    }

    fn counts(&self) -> BTreeMap<Severity, usize> {
        let mut counts: BTreeMap<Severity, usize> = Severity::ALL.into_iter().map(|severity| (severity, 0)).collect();
        for finding in &self.findings {
            *counts.entry(finding.severity()).or_default() += 1;
        }
        counts
    }

    /// `2 high, 1 medium`; what there is none of is left out.
    fn tally(&self) -> String {
        let counts = self.counts();
        let parts: Vec<String> =
            counts.iter().rev().filter(|(_, count)| **count > 0).map(|(severity, count)| format!("{count} {}", severity.name())).collect();
        if parts.is_empty() { "nothing found".to_owned() } else { parts.join(", ") }
    }
}

/// Every secret that was seen and what is shown instead. The longest first, so that none hides in a part of another.
fn sieve(estate: &Estate) -> Vec<(zeroize::Zeroizing<String>, String)> {
    let sightings = estate.documents.iter().flat_map(|document| &document.sightings);
    let mut sieve: Vec<_> = sightings
        .filter(|sighting| sighting.secret.value.peek().len() >= SIEVED)
        .map(|sighting| {
            (zeroize::Zeroizing::new(sighting.secret.value.peek().to_owned()), redact(sighting.secret.kind, &sighting.secret.value))
        })
        .collect();
    sieve.sort_by_key(|(secret, _)| std::cmp::Reverse(secret.len()));
    sieve.dedup();
    sieve
}

/// A number with its noun.
fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

// === impl Grade ===

impl Grade {
    /// The letter.
    #[must_use]
    pub const fn letter(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
            Self::C => "C",
            Self::D => "D",
            Self::F => "F",
        }
    }

    /// What it means.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::A => "nothing to mend in what was looked at",
            Self::B => "small things to mend",
            Self::C => "something to mend soon",
            Self::D => "something to mend now",
            Self::F => "a lot to mend now",
        }
    }
}

// === impl Finding ===

impl Finding {
    /// The same for the same thing in the same file, whatever moves around it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let text = [self.rule.id, &self.place.file, &self.subject, &self.evidence].join("\u{0}");
        sha256(text.as_bytes()).iter().take(12).map(|byte| format!("{byte:02x}")).collect()
    }
}
