//! `doorward server diff`: what a server offers now, beside what was approved. Approves nothing.

use super::Opened;
use super::definitions::{kept, pretty};
use super::file::difference;
use crate::command::apikey::unavailable;
use crate::console::{Console, Form, Sign, inert};
use crate::exit::Exit;
use crate::failure::Failure;
use doorward_gateway::catalogue::{Definition, Family};
use doorward_store::Pin;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// How one tool stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    New,
    Changed,
    Gone,
}

/// Prints what differs; exit 1 if something does.
///
/// # Errors
/// [`Failure`] if the server cannot be read.
pub(super) async fn run(opened: Opened, console: &mut Console) -> Result<Exit, Failure> {
    let name = opened.upstream.config.name.clone();
    let pins = opened.store.pins(&name).await.map_err(|error| unavailable(&error))?;
    let found = opened.definitions().await?;
    let mut rows: Vec<(Standing, &str, Option<&Definition>)> = Vec::new();
    let mut same = BTreeSet::new();
    for (family, listing) in &found {
        for tool in listing.tools() {
            let of_tool: Vec<&Pin> = pins.iter().filter(|pin| pin.tool == tool.name).collect();
            if of_tool.iter().any(|pin| pin.digest == tool.digest) {
                same.insert(tool.name.as_str());
                continue;
            }
            let standing = if of_tool.is_empty() { Standing::New } else { Standing::Changed };
            // A tool that is defined in both eras is told once, as the newer one has it.
            if *family == Family::Modern || !rows.iter().any(|(_, known, _)| *known == tool.name.as_str()) {
                rows.push((standing, tool.name.as_str(), Some(tool)));
            }
        }
    }
    let there: BTreeSet<&str> = found.iter().flat_map(|(_, listing)| listing.tools()).map(|tool| tool.name.as_str()).collect();
    let gone: BTreeSet<&str> = pins.iter().map(|pin| pin.tool.as_str()).filter(|tool| !there.contains(tool)).collect();
    rows.extend(gone.into_iter().map(|tool| (Standing::Gone, tool, None)));
    rows.sort_by_key(|(_, tool, _)| *tool);
    if console.form() == Form::Json {
        let tools: Vec<Value> = rows
            .iter()
            .map(|(standing, tool, definition)| {
                let before = pins.iter().filter(|pin| pin.tool.as_str() == *tool).find_map(|pin| kept(&opened.house.state, &name, &pin.digest));
                json!({"tool": tool, "state": standing.word(), "approved": before, "now": definition.and_then(|now| now.json.to_value().ok())})
            })
            .collect();
        console.document(super::super::config::object(json!({"server": name.as_str(), "same": same.len(), "tools": tools})));
    } else {
        for (standing, tool, definition) in &rows {
            show(&opened, &pins, *standing, tool, *definition, console);
        }
        let good = console.sign(if rows.is_empty() { Sign::Good } else { Sign::Note });
        let changed = rows.len();
        console.line(format_args!("{good} {name}: {} as approved, {changed} not", same.len()));
        if changed > 0 {
            console.say(format_args!("  accept what you have read: doorward server approve {name} --tool NAME"));
        }
    }
    let exit = if rows.is_empty() { Exit::Fine } else { Exit::Findings };
    opened.close().await;
    Ok(exit)
}

fn show(opened: &Opened, pins: &[Pin], standing: Standing, tool: &str, definition: Option<&Definition>, console: &mut Console) {
    let name = &opened.upstream.config.name;
    let sign = console.sign(if standing == Standing::Changed { Sign::Bad } else { Sign::Note });
    let class = definition.map_or("", |definition| definition.claimed.as_str());
    console.line(format_args!("{sign} {:<8} {:<44} {class}", standing.word(), inert(tool)));
    let Some(now) = definition.and_then(|definition| definition.json.to_value().ok()) else { return };
    match standing {
        Standing::New => {
            let text = now.get("description").and_then(Value::as_str).unwrap_or_default();
            for line in crate::console::wrapped(&inert(text), console.width().saturating_sub(4)).into_iter().take(6) {
                console.line(format_args!("    {line}"));
            }
        }
        Standing::Changed => {
            let before = pins.iter().filter(|pin| pin.tool.as_str() == tool).find_map(|pin| kept(&opened.house.state, name, &pin.digest));
            match before {
                Some(before) => {
                    for line in difference(&pretty(&before), &pretty(&now)) {
                        console.line(format_args!("   {line}"));
                    }
                }
                None => console.line("    the approved text was not kept; only its digest is known"),
            }
        }
        Standing::Gone => {}
    }
}

// === impl Standing ===

impl Standing {
    const fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Changed => "changed",
            Self::Gone => "gone",
        }
    }
}
