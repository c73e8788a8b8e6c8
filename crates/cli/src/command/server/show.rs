//! `doorward server show`: what is configured of a server and what is approved of it. Connects to nothing.

use crate::command::apikey::unavailable;
use crate::console::{Console, Form, inert};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::house::House;
use doorward_core::id::ServerName;
use serde_json::{Value, json};

/// Prints it.
///
/// # Errors
/// [`Failure`] if there is no such server.
pub(super) async fn run(house: &House, name: &str, console: &mut Console) -> Result<Exit, Failure> {
    let known = ServerName::new(name).ok().filter(|name| house.config().servers.contains_key(name));
    let name = known.ok_or_else(|| {
        Failure::new(Exit::Usage, "server.unknown", format!("there is no server \"{}\"", inert(name)), "see doorward server list")
    })?;
    let store = house.store().await?;
    let mut pins = store.pins(&name).await.map_err(|error| unavailable(&error))?;
    store.close().await;
    pins.sort_by(|a, b| a.tool.as_str().cmp(b.tool.as_str()));
    pins.dedup_by(|a, b| a.tool == b.tool);
    let prefix = format!("server.{name}.");
    let entries: Vec<(String, String)> = house
        .config()
        .entries()
        .into_iter()
        .filter_map(|entry| entry.key().strip_prefix(&prefix).map(|key| (key.to_owned(), entry.value)))
        .collect();
    let class = |tool: &str, pinned| house.config().servers.get(&name).and_then(|server| server.tools.class(tool)).unwrap_or(pinned);
    if console.form() == Form::Json {
        let tools: Vec<Value> = pins
            .iter()
            .map(|pin| {
                let class = class(pin.tool.as_str(), pin.class).as_str();
                json!({"tool": pin.tool.as_str(), "class": class, "approved_by": pin.by, "approved": pin.at.to_string()})
            })
            .collect();
        let values: serde_json::Map<String, Value> = entries.into_iter().map(|(key, value)| (key, value.into())).collect();
        console.document(super::super::config::object(json!({"server": name.as_str(), "values": values, "approved": tools})));
        return Ok(Exit::Fine);
    }
    console.line(format_args!("{name}"));
    for (key, value) in entries {
        console.line(format_args!("  {key} = {}", inert(&value)));
    }
    console.line(format_args!("approved"));
    for pin in &pins {
        let (class, day) = (class(pin.tool.as_str(), pin.class), pin.at.to_string());
        let day = day.get(..10).unwrap_or(&day);
        console.line(format_args!("  {:<12} {:<44} {day}", class.as_str(), inert(pin.tool.as_str())));
    }
    if pins.is_empty() {
        console.line("  nothing");
        console.say(format_args!("  look and approve: doorward server test {name}, doorward server approve {name} --read-only"));
    }
    Ok(Exit::Fine)
}
