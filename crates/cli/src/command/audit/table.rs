//! A record as one line for people. Whatever came from outside is escaped; one record is one line.

use crate::console::{Console, inert};
use doorward_core::audit::event::{Kind, Record};
use std::borrow::Cow;

/// The heading of the lines.
pub(super) const HEADING: &str = "    RECORD  TIME (UTC)           WHAT     WHO           ABOUT";

/// One line: position, time, what, who, about what, and why.
pub(super) fn line(record: &Record<'_>, console: &Console) -> String {
    let time = record.time.get(..19).unwrap_or(&record.time).replace('T', " ");
    let what = what(record);
    let who = record.user.as_ref().map(|user| inert(&user.sub)).unwrap_or_default();
    let text = format!("{:>10}  {}  {:<8} {who:<13} {}", record.seq, inert(&time), inert(&what), about(record));
    let text = text.trim_end().to_owned();
    if !console.color() {
        return text;
    }
    let color = match what.as_ref() {
        "deny" | "refuse" | "refused" => anstyle::AnsiColor::Red,
        "permit" => anstyle::AnsiColor::Green,
        _ => return text,
    };
    let style = anstyle::Style::new().fg_color(Some(color.into()));
    format!("{style}{text}{style:#}")
}

fn what<'a>(record: &'a Record<'_>) -> Cow<'a, str> {
    match record.kind {
        Kind::Intent | Kind::Refused => record.decision.as_deref().map_or(Cow::Borrowed("?"), Cow::Borrowed),
        Kind::Outcome => Cow::Borrowed("outcome"),
        Kind::Opened => Cow::Borrowed("opened"),
        Kind::Closed => Cow::Borrowed("closed"),
        Kind::Event => Cow::Borrowed("event"),
        Kind::Checkpoint => Cow::Borrowed("seal"),
        Kind::Key => Cow::Borrowed("key"),
        Kind::Purge => Cow::Borrowed("purge"),
    }
}

fn about(record: &Record<'_>) -> String {
    let mut parts: Vec<String> = Vec::new();
    let text = |text: &Option<Cow<'_, str>>| text.as_deref().map(inert);
    match (text(&record.server), text(&record.name), text(&record.method)) {
        (Some(server), Some(name), Some(method)) if method == "tools/call" => parts.push(format!("{server}__{name}")),
        (server, name, method) => parts.extend([server, method, name].into_iter().flatten()),
    }
    if let Some(stone) = &record.purged {
        parts.push(format!("{} to {} removed by {}: {}", stone.first, stone.last, inert(&stone.by), inert(&stone.why)));
    }
    if let Some(intent) = record.intent {
        parts.push(format!("of {intent}:"));
    }
    if record.kind != Kind::Refused {
        parts.extend(text(&record.class));
    }
    if let Some(ms) = record.latency_ms {
        parts.push(format!("{ms} ms"));
    }
    match (record.rules.as_slice(), text(&record.reason)) {
        ([], None) => {}
        ([], Some(reason)) => parts.push(format!("({reason})")),
        (rules, _) => {
            let rules: Vec<String> = rules.iter().map(|rule| inert(rule)).collect();
            parts.push(format!("({})", rules.join(", ")));
        }
    }
    if !record.flags.is_empty() {
        let flags: Vec<String> = record.flags.iter().map(|flag| inert(flag)).collect();
        parts.push(format!("flagged {}", flags.join(", ")));
    }
    if let Some(client) = text(&record.client) {
        parts.push(format!("by {client}"));
    }
    if let Some(administrator) = &record.by {
        parts.push(format!("done by {}", inert(&administrator.sub)));
    }
    if let Some(seal) = &record.seal {
        parts.push(format!("by key {}", inert(&seal.key)));
    }
    parts.join(" ")
}
