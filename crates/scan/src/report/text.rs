//! The report for people at a terminal.

use super::{Looked, Report, counted};
use crate::finding::{Confidence, Finding, Severity};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Whether colours are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Color {
    /// None.
    Plain,
    /// Those of the terminal.
    Ansi,
}

/// Columns before the text of a finding.
const INDENT: usize = 14;

impl Report {
    /// The report in lines of about this width.
    #[must_use]
    pub fn text(&self, width: usize, color: Color) -> String {
        let mut out = String::new();
        if self.files > 0 || self.asked.is_empty() {
            let _ = writeln!(out, "{}", self.read());
        }
        for asked in &self.asked {
            paragraph(&mut out, "", 0, &asked.told(), width.max(60));
        }
        out.push('\n');
        let mut explained = BTreeSet::new();
        for finding in &self.findings {
            let why = explained.insert(finding.id()).then_some(finding.rule.why);
            one(&mut out, finding, why, width.max(60), color);
        }
        for problem in &self.problems {
            let at = problem.at.map_or_else(String::new, |at| format!(":{}:{}", at.line, at.column));
            let _ = writeln!(out, " NOTE         {}{at}: {}", problem.file, problem.meaning);
        }
        if !self.problems.is_empty() {
            out.push('\n');
        }
        self.end(&mut out, width);
        out
    }

    fn read(&self) -> String {
        if self.files == 0 {
            let unread = if self.problems.is_empty() { "found" } else { "read" };
            return format!("No configuration of an MCP client was {unread}.");
        }
        let of = if self.clients.is_empty() { String::new() } else { format!(" of {}", self.clients.join(", ")) };
        format!(
            "Looked at {} in {}{of}. {}",
            counted(self.servers, "server"),
            counted(self.files, "file"),
            if self.asked.is_empty() { "Nothing was started, nothing was sent." } else { "Nothing was started." }
        )
    }

    fn end(&self, out: &mut String, width: usize) {
        let left_out = if self.suppressed == 0 { String::new() } else { format!(", {} of the baseline left out", self.suppressed) };
        let _ = writeln!(out, " {}{left_out}", self.tally());
        if self.looked() != Looked::Nowhere {
            let grade = self.grade();
            let incomplete = if self.hidden() == 0 { "" } else { "; not everything could be read" };
            let _ = writeln!(out, " grade {}: {}{incomplete}", grade.letter(), grade.meaning());
        }
        let _ = writeln!(out, "\n not covered");
        for line in self.not_covered() {
            paragraph(out, "   - ", 5, line, width.max(60));
        }
        if let Some(first) = self.findings.first() {
            let _ = writeln!(out, "\n more: doorward scan --explain {}", first.id());
        }
    }
}

fn one(out: &mut String, finding: &Finding, why: Option<&str>, width: usize, color: Color) {
    let label = match finding.severity() {
        Severity::High => paint("HIGH", "31;1", color),
        Severity::Medium => paint("MED ", "33;1", color),
        Severity::Low => paint("LOW ", "36", color),
        Severity::Info => paint("INFO", "2", color),
    };
    let _ = writeln!(out, " {label}  {}  {}", finding.id(), finding.rule.title);
    let sure = match finding.confidence {
        Confidence::High => "",
        Confidence::Medium => "  (probably)",
        Confidence::Low => "  (perhaps)",
    };
    let gap = " ".repeat(INDENT);
    let _ = writeln!(out, "{gap}{}{sure}", finding.place);
    if !finding.subject.is_empty() {
        let _ = writeln!(out, "{gap}{}", finding.subject);
    }
    paragraph(out, &gap, INDENT, &finding.evidence, width);
    for site in finding.also.iter().take(5) {
        let _ = writeln!(out, "{gap}also  {site}");
    }
    if finding.also.len() > 5 {
        let _ = writeln!(out, "{gap}also  in {} more places", finding.also.len() - 5);
    }
    if let Some(why) = why {
        paragraph(out, &format!("{gap}why   "), INDENT + 6, why, width);
    }
    paragraph(out, &format!("{gap}fix   "), INDENT + 6, &finding.fix, width);
    out.push('\n');
}

/// Text broken at spaces. A word is never broken: paths and commands are copied from here.
fn paragraph(out: &mut String, front: &str, indent: usize, text: &str, width: usize) {
    let mut line = front.to_owned();
    let mut empty = true;
    for word in text.split(' ') {
        if !empty && line.chars().count() + 1 + word.chars().count() > width {
            let _ = writeln!(out, "{line}");
            line = " ".repeat(indent);
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    let _ = writeln!(out, "{line}");
}

fn paint(text: &str, code: &str, color: Color) -> String {
    match color {
        Color::Plain => text.to_owned(),
        Color::Ansi => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
    }
}
