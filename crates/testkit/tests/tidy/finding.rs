//! What a rule found, and the exceptions that were granted. An exception that no longer applies is itself a finding.

use serde::Deserialize;
use std::fmt;

/// One place that breaks a rule, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    pub path: String,
    /// From 1; 0 for the whole file.
    pub line: usize,
    pub rule: &'static str,
    pub advice: String,
}

/// An exception: this rule may be broken in this file, for this reason.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exception {
    pub rule: String,
    pub path: String,
    /// A word of the advice, where only some findings of a file are meant.
    #[serde(default)]
    pub about: String,
    pub reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    exception: Vec<Exception>,
}

/// Where exceptions stand.
pub(crate) const EXCEPTIONS: &str = "crates/testkit/tests/tidy/exceptions.toml";

impl Finding {
    /// A finding in line `line`, counted from 0.
    pub(crate) fn at(path: &str, line: usize, rule: &'static str, advice: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: line + 1, rule, advice: advice.into() }
    }

    /// A finding about a whole file.
    pub(crate) fn whole(path: &str, rule: &'static str, advice: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: 0, rule, advice: advice.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            return write!(f, "{}:{}: {}: {}", self.path, self.line, self.rule, self.advice);
        }
        write!(f, "{}: {}: {}", self.path, self.rule, self.advice)
    }
}

/// The exceptions of this text.
pub(crate) fn exceptions(text: &str) -> Vec<Exception> {
    toml::from_str::<File>(text).unwrap_or_else(|fault| panic!("{EXCEPTIONS}: {fault}")).exception
}

/// What remains of `findings` of one rule after its exceptions, and exceptions that excuse nothing.
pub(crate) fn excused(rule: &'static str, findings: &[Finding], exceptions: &[Exception]) -> Vec<Finding> {
    let mine: Vec<&Exception> = exceptions.iter().filter(|exception| exception.rule == rule).collect();
    let covers = |exception: &Exception, finding: &Finding| finding.path == exception.path && finding.advice.contains(&exception.about);
    let mut left: Vec<Finding> =
        findings.iter().filter(|finding| !mine.iter().any(|exception| covers(exception, finding))).cloned().collect();
    for exception in mine {
        if exception.reason.trim().len() < 12 {
            left.push(Finding::whole(EXCEPTIONS, rule, format!("say why {} is excepted", exception.path)));
        }
        if !findings.iter().any(|finding| covers(exception, finding)) {
            let about = if exception.about.is_empty() { String::new() } else { format!(" ({})", exception.about) };
            left.push(Finding::whole(
                EXCEPTIONS,
                rule,
                format!("remove the exception for {}{about}: nothing there needs it", exception.path),
            ));
        }
    }
    left.sort();
    left
}
