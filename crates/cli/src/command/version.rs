//! `doorward version`: what this program is and which formats it reads.

use crate::console::{Console, Form};
use crate::exit::{self, Exit};
use crate::failure::Failure;
use clap::Args;
use doorward_core::audit::event;
use doorward_core::config::check;
use doorward_core::mcp::version::{LEGACY, Version};
use serde_json::{Map, Value, json};

/// Options of `version`.
#[derive(Debug, Args)]
pub struct Arguments {}

/// Prints the version.
///
/// # Errors
/// Never.
pub fn run(_arguments: &Arguments, console: &mut Console) -> Result<Exit, Failure> {
    let version = env!("CARGO_PKG_VERSION");
    let mut revisions = vec![Version::V2026_07_28.as_str()];
    revisions.extend(LEGACY.iter().map(|version| version.as_str()));
    let target = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
    let build = if cfg!(debug_assertions) { "debug" } else { "release" };
    if console.form() == Form::Json {
        let exits: Map<String, Value> = exit::ALL.iter().map(|exit| (exit.code().to_string(), exit.meaning().into())).collect();
        let document = json!({
            "version": version,
            "build": {"target": target, "profile": build},
            "formats": {"config": check::VERSION, "audit": event::VERSION},
            "mcp": revisions,
            "exits": exits,
        });
        if let Value::Object(members) = document {
            console.document(members);
        }
        return Ok(Exit::Fine);
    }
    console.line(format_args!("doorward {version} ({target}, {build})"));
    console.line(format_args!("MCP      {}", revisions.join(", ")));
    console.line(format_args!("formats  configuration {}, audit {}", check::VERSION, event::VERSION));
    Ok(Exit::Fine)
}
