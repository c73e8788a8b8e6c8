//! The report as one page: no script, nothing loaded, light and dark, everything escaped.

use super::{Grade, Looked, Report, counted};
use crate::finding::{Confidence, Finding};
use std::fmt::Write as _;

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1c1e21;--paper:#fff;--dim:#5b6370;--line:#d9dde3;--high:#b3261e;--medium:#8a5a00;--low:#0b6b78;--info:#5b6370;--good:#1b6e3c;--soft:#f3f5f7}\
@media(prefers-color-scheme:dark){:root{--ink:#e6e8eb;--paper:#14171a;--dim:#9aa4b2;--line:#2c3238;--high:#ff8a80;--medium:#ffc46b;--low:#6fd3e0;--info:#9aa4b2;--good:#7fd6a0;--soft:#1e2328}}\
body{margin:0 auto;max-width:60rem;padding:2rem 1rem;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}\
h1{font-size:1.5rem;margin:0}h2{font-size:1.05rem;margin:0}article{border-top:1px solid var(--line);padding:1rem 0}\
.grade{font-size:2.5rem;font-weight:700;float:right;line-height:1;border:3px solid;border-radius:.5rem;padding:.4rem .8rem;margin:0 0 .5rem 1rem}p{margin:.35rem 0}.dim{color:var(--dim)}code{font-family:ui-monospace,monospace;font-size:.9em}.seen{background:var(--soft);border-radius:.3rem;padding:.35rem .6rem}ul{padding-left:1.2rem}\
.tag{font-weight:700;margin-right:.5rem}.high{color:var(--high)}.medium{color:var(--medium)}.low{color:var(--low)}.info{color:var(--info)}.good{color:var(--good)}\
@media print{article{break-inside:avoid}}";

impl Report {
    /// The report as one page.
    #[must_use]
    pub fn html(&self) -> String {
        let mut out = String::from("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n");
        out.push_str("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n");
        out.push_str(
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"referrer\" content=\"no-referrer\">\n",
        );
        let _ = writeln!(out, "<title>doorward scan</title><style>{STYLE}</style></head><body>");
        let grade = self.grade();
        let looked = self.looked() != Looked::Nowhere;
        if looked {
            let letter = grade.letter();
            let shade = match grade {
                Grade::A => "good",
                Grade::B => "low",
                Grade::C => "medium",
                Grade::D | Grade::F => "high",
            };
            let _ = writeln!(out, "<div class=\"grade {shade}\" role=\"img\" aria-label=\"grade {letter}\">{letter}</div>");
        }
        let _ = writeln!(
            out,
            "<h1>doorward scan</h1>\n<p>{}{}</p>",
            self.tally(),
            if looked { format!(": {}", grade.meaning()) } else { String::new() }
        );
        let clients = if self.clients.is_empty() { String::new() } else { format!(" of {}", self.clients.join(", ")) };
        if self.files > 0 || self.asked.is_empty() {
            let sent = if self.asked.is_empty() { "Nothing was started, nothing was sent." } else { "Nothing was started." };
            let (servers, files) = (counted(self.servers, "server"), counted(self.files, "file"));
            let read = if self.files == 0 {
                "No configuration of an MCP client was looked into.".to_owned()
            } else {
                format!("{servers} in {files}{}.", escaped(&clients))
            };
            let _ = writeln!(out, "<p class=\"dim\">{read} {sent}</p>");
        }
        for asked in &self.asked {
            let _ = writeln!(out, "<p class=\"dim\">{}</p>", escaped(&asked.told()));
        }
        if self.suppressed > 0 {
            let left_out = counted(self.suppressed, "finding");
            let _ = writeln!(out, "<p class=\"dim\">left out, since the baseline has them: {left_out}</p>");
        }
        for finding in &self.findings {
            article(&mut out, finding);
        }
        if !self.problems.is_empty() {
            out.push_str("<article><h2>Not looked at</h2>\n");
            for problem in &self.problems {
                let at = problem.at.map_or_else(String::new, |at| format!(":{}:{}", at.line, at.column));
                let _ = writeln!(out, "<p><code>{}{at}</code> {}</p>", escaped(&problem.file), escaped(&problem.meaning));
            }
            out.push_str("</article>\n");
        }
        out.push_str("<article><h2>Not covered</h2>\n<ul class=\"dim\">\n");
        for line in self.not_covered() {
            let _ = writeln!(out, "<li>{}</li>", escaped(line));
        }
        out.push_str("</ul></article>\n</body></html>\n");
        out
    }
}

fn article(out: &mut String, finding: &Finding) {
    let severity = finding.severity().name();
    let sure = if finding.confidence == Confidence::High {
        String::new()
    } else {
        format!(" <span class=\"dim\">({} confidence)</span>", finding.confidence.name())
    };
    let _ = writeln!(
        out,
        "<article>\n<h2><span class=\"tag {severity}\">{severity}</span>{} {}{sure}</h2>",
        finding.id(),
        escaped(finding.rule.title)
    );
    let _ = writeln!(out, "<p><code>{}</code> {}</p>", escaped(&finding.place.to_string()), escaped(&finding.subject));
    let _ = writeln!(out, "<p class=\"seen\"><code>{}</code></p>", escaped(&finding.evidence));
    for site in &finding.also {
        let _ = writeln!(out, "<p class=\"dim\">also <code>{}</code></p>", escaped(&site.to_string()));
    }
    let _ = writeln!(out, "<p>{}</p>\n<p><strong>Fix:</strong> {}</p>\n</article>", escaped(finding.rule.why), escaped(&finding.fix));
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
