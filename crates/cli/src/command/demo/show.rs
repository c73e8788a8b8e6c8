//! What the demo prints: for people at 80 columns, or one JSON document a step.

use super::attacks::{Attempt, Noticed};
use super::stage::{Kept, Stage};
use crate::console::{Console, Form, Paint, counted, inert, wrapped};
use crate::settings::CLIENT_KEY;
use doorward_core::audit::event::Record;
use doorward_core::audit::verify::Summary;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// The printer.
pub(super) struct Show<'a> {
    console: &'a mut Console,
    verbose: bool,
    parts: u8,
    step: String,
}

/// Columns, whatever the terminal has: the lines are made for them.
const WIDTH: usize = 80;

impl<'a> Show<'a> {
    pub(super) const fn new(console: &'a mut Console, verbose: bool) -> Self {
        Self { console, verbose, parts: 0, step: String::new() }
    }

    pub(super) fn opening(&mut self, stage: &Stage) {
        if self.is_json() {
            self.document(json!({"part": "start", "gateway": format!("http://{}", stage.address), "version": env!("CARGO_PKG_VERSION")}));
            return;
        }
        let title = format!("doorward {}", env!("CARGO_PKG_VERSION"));
        let title = self.console.paint(Paint::Strong, &title);
        let banner = self.console.paint(Paint::Note, "DEMO: invented people, invented data, this computer only");
        self.console.line(format_args!("{title}  {banner}"));
        self.console.line("");
        self.console.line(format_args!("  gateway   http://{:<22} store: temporary, removed at the end", stage.address));
        self.console.line("  servers   notes (4 tools, wants a credential of its own), clock (1 tool)");
        self.console.line("  people    alice, mallory - each has a good key of their own");
    }

    /// A new part with its heading.
    pub(super) fn part(&mut self, title: &str) {
        self.heading(title, None);
    }

    /// A step of the flow: its name, what happened, how it ended.
    pub(super) fn step(&mut self, name: &str, text: &str, end: &str, facts: &Value) {
        if !name.is_empty() {
            name.clone_into(&mut self.step);
        }
        if self.is_json() {
            let mut members = Map::from_iter([("part".to_owned(), "flow".into()), ("step".to_owned(), self.step.clone().into())]);
            members.extend(facts.as_object().cloned().unwrap_or_default());
            self.console.document(members);
            return;
        }
        let left = format!("   {name:<10} {text}");
        let fill = WIDTH.saturating_sub(left.chars().count() + end.chars().count()).max(2);
        let end = self.console.paint(Paint::Dim, end);
        self.console.line(format_args!("{left}{:fill$}{end}", ""));
    }

    pub(super) fn attacks(&mut self, part: &str, title: &str, attempts: &[Attempt]) {
        let held = attempts.iter().filter(|attempt| attempt.holds()).count();
        if self.is_json() {
            for attempt in attempts {
                let records: Vec<Value> = attempt.records.iter().map(whole).collect();
                self.document(json!({
                    "part": part, "attack": attempt.letter.to_string(), "tried": attempt.tried, "saw": attempt.saw,
                    "upstream": attempt.upstream, "refused": attempt.holds(), "wrong": attempt.wrong, "records": records,
                }));
            }
            return;
        }
        let paint = if held == attempts.len() && held > 0 { Paint::Good } else { Paint::Bad };
        self.heading(title, Some((paint, format!("REFUSED {held} of {}", attempts.len()))));
        for attempt in attempts {
            let saw = if attempt.holds() { attempt.saw } else { "NOT REFUSED" };
            let left = format!("   {}  {}", attempt.letter, attempt.tried);
            let fill = WIDTH.saturating_sub(left.chars().count() + saw.chars().count()).max(2);
            let saw = self.console.paint(if attempt.holds() { Paint::Good } else { Paint::Bad }, saw);
            self.console.line(format_args!("{left}{:fill$}{saw}", ""));
            for wrong in &attempt.wrong {
                self.console.line(format_args!("      {} {wrong}", self.console.paint(Paint::Bad, "does not hold:")));
            }
            self.records(attempt);
        }
    }

    fn records(&mut self, attempt: &Attempt) {
        if self.verbose {
            for kept in &attempt.records {
                self.console.line(whole(kept));
            }
            return;
        }
        let Some((record, hash)) = attempt.records.first() else { return };
        let more = match attempt.records.len() - 1 {
            0 => String::new(),
            more => format!("  (and {more} more)"),
        };
        let station = record.station.as_deref().unwrap_or("-");
        let reason = record.reason.as_deref().unwrap_or("-");
        let first = format!("      #{:06} {} {} at {station}: {reason}{more}", record.seq, time(record), record.kind.as_str());
        self.console.line(self.console.paint(Paint::Dim, &inert(&first)));
        let mut facts = Vec::new();
        if let Some(user) = &record.user {
            facts.push(format!("who={}", user.sub));
        }
        if let Some(client) = &record.client {
            // The id of a client that registered itself holds its whole registration.
            let start: String = client.chars().take(24).collect();
            facts.push(format!("client={start}{}", if start.len() < client.len() { ".." } else { "" }));
        }
        if let Some(server) = &record.server {
            facts.push(format!("server={server}"));
        }
        facts.push(format!("upstream={}", attempt.upstream));
        facts.push(format!("prev={}..", record.prev.get(..8).unwrap_or_default()));
        facts.push(format!("hash={}..", hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect::<String>()));
        let mut lines = wrapped(&inert(&facts.join(" ")), WIDTH - 14);
        if let Some(cause) = &record.cause {
            lines.extend(wrapped(&inert(&format!("\"{cause}\"")), WIDTH - 14));
        }
        for line in lines {
            self.console.line(self.console.paint(Paint::Dim, &format!("              {line}")));
        }
    }

    pub(super) fn altered(&mut self, noticed: &Result<Noticed, String>) {
        if self.is_json() {
            let facts = match noticed {
                Ok(noticed) => json!({"part": "audit", "altered": noticed.seq, "noticed": true, "why": noticed.why}),
                Err(why) => json!({"part": "audit", "noticed": false, "why": why}),
            };
            self.document(facts);
            return;
        }
        match noticed {
            Ok(noticed) => {
                self.heading("An altered record (in a copy)", Some((Paint::Good, "NOTICED".to_owned())));
                self.console.line(format_args!("   one byte of record #{:06} is changed: mallory becomes nallory", noticed.seq));
                self.console.line(format_args!("   audit verify: record #{:06} {}", noticed.seq, noticed.why));
            }
            Err(why) => {
                self.heading("An altered record (in a copy)", Some((Paint::Bad, "NOT NOTICED".to_owned())));
                self.console.line(format_args!("   {}", inert(why)));
            }
        }
    }

    pub(super) fn ending(&mut self, attempts: &[Attempt], chain: &Result<Summary, String>, good: bool, took: Duration) {
        let refused = attempts.iter().filter(|attempt| attempt.holds()).count();
        if self.is_json() {
            let (records, seals) = chain.as_ref().map_or((Value::Null, Value::Null), |chain| (chain.records.into(), chain.seals.into()));
            let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            self.document(json!({
                "part": "end", "ok": good && chain.is_ok(), "attacks": attempts.len(), "refused": refused,
                "records": records, "seals": seals, "chain_whole": chain.is_ok(), "ms": ms,
            }));
            return;
        }
        let whole = match chain {
            Ok(chain) => format!("{}, chain whole", counted(chain.records, "record")),
            Err(why) => format!("the chain is broken: {}", inert(why)),
        };
        let attacks = match attempts.len() {
            0 => String::new(),
            all => format!("{}, {refused} refused. ", counted(u64::try_from(all).unwrap_or(u64::MAX), "attack")),
        };
        let paint = if good && chain.is_ok() { Paint::Good } else { Paint::Bad };
        self.console.line("");
        let text = format!("{attacks}{whole}. {:.1} s", took.as_secs_f64());
        self.console.line(self.console.paint(paint, &text));
        self.console.line("Next   doorward demo --keep     try it with your own client");
        self.console.line("       doorward                 start for real on this computer");
    }

    /// Something did not go as it must.
    pub(super) fn trouble(&mut self, why: &str) {
        if self.is_json() {
            self.document(json!({"part": "trouble", "why": why}));
            return;
        }
        self.console.line(format_args!("   {} {}", self.console.paint(Paint::Bad, "FAILED"), inert(why)));
    }

    /// How to reach an instance that stays.
    pub(super) fn kept(&mut self, stage: &Stage, key: &str) {
        let url = format!("http://{}{}", stage.address, super::stage::NOTES);
        if self.is_json() {
            self.document(json!({"part": "kept", "url": url, "key": key, "state": stage.state().display().to_string()}));
            return;
        }
        let lines = [
            String::new(),
            "Kept until Ctrl-C, which removes everything. A key for alice:".to_owned(),
            String::new(),
            format!("export {CLIENT_KEY}={key}"),
            format!("claude mcp add --transport http doorward-demo {url} \\"),
            format!("  --header \"Authorization: Bearer ${CLIENT_KEY}\""),
            format!("codex mcp add doorward-demo --url {url} \\"),
            format!("  --bearer-token-env-var {CLIENT_KEY}"),
            format!("doorward audit tail --follow --file {}", inert(&stage.record().display().to_string())),
        ];
        for line in lines {
            self.console.line(line);
        }
    }

    fn heading(&mut self, title: &str, end: Option<(Paint, String)>) {
        self.parts = self.parts.saturating_add(1);
        if self.is_json() {
            return;
        }
        self.console.line("");
        let left = format!("{}  {title}", self.parts);
        let strong = self.console.paint(Paint::Strong, &left);
        match end {
            None => self.console.line(strong),
            Some((paint, end)) => {
                let fill = WIDTH.saturating_sub(left.chars().count() + end.chars().count()).max(2);
                let end = self.console.paint(paint, &end);
                self.console.line(format_args!("{strong}{:fill$}{end}", ""));
            }
        }
    }

    fn document(&mut self, facts: Value) {
        self.console.document(crate::command::config::object(facts));
    }

    fn is_json(&self) -> bool {
        self.console.form() == Form::Json
    }
}

/// A whole record with its hash.
fn whole((record, hash): &Kept) -> Value {
    let mut value = serde_json::to_value(record).unwrap_or_default();
    if let Value::Object(members) = &mut value {
        members.insert("hash".to_owned(), hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into());
    }
    value
}

/// The time of day, in UTC.
fn time(record: &Record<'_>) -> String {
    record.time.get(11..).unwrap_or_default().to_owned()
}
