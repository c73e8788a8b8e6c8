//! DW022: a command that a shell interprets: `sh -c`, pipes, `curl | sh`, a helper for headers with more than one program.
//! `cmd /c npx ..`, which Windows needs, is none as long as the shell has nothing to interpret.

use super::Rule;
use crate::document::Position;
use crate::estate::Estate;
use crate::finding::{Confidence, Finding, Severity};
use crate::launch::{Shell, launch, script_signs};
use crate::server::Server;

pub(super) static RULE: Rule = Rule {
    id: "DW022",
    severity: Severity::Medium,
    title: "Started through a shell",
    why: "What really runs is in the text of a script that no list of approved programs sees; with curl | sh it is decided by somebody else at each start.",
    fix: "start the program itself, with its arguments in a list; put what the script prepares into a file that is reviewed",
    check,
};

fn check(estate: &Estate) -> Vec<Finding> {
    let mut found = Vec::new();
    for (document, server) in estate.servers() {
        if let Some((at, confidence, evidence)) = shell(server).or_else(|| helper(server)) {
            found.push(Finding::new(&RULE, confidence, document.site(at), document.subject(server), evidence));
        }
    }
    found
}

fn shell(server: &Server) -> Option<(Position, Confidence, String)> {
    if let Some(script) = launch(server).script {
        let text = &script.word.text;
        let signs = script_signs(text);
        let harmless = signs.is_empty() && script.shell == Shell::Cmd;
        return (!harmless).then(|| {
            let confidence = if signs.is_empty() { Confidence::Medium } else { Confidence::High };
            (script.word.at, confidence, format!("{}: {}", told(text, &signs), commands(text)))
        });
    }
    // A command line as one text, with what only a shell understands.
    let command = server.command.as_ref()?;
    let text = command.text.peek();
    let signs: Vec<_> = script_signs(text).into_iter().filter(|_| text.contains(' ')).collect();
    (!signs.is_empty()).then(|| (command.at, Confidence::High, format!("{}: {}", told(text, &signs), commands(text))))
}

/// Programs that make headers are started by a shell.
fn helper(server: &Server) -> Option<(Position, Confidence, String)> {
    let field = server.settings.iter().find(|field| field.key == "headersHelper")?;
    let text = field.text.peek();
    let signs: Vec<_> = script_signs(text).into_iter().filter(|sign| *sign != "$(").collect();
    (!signs.is_empty()).then(|| (field.at, Confidence::Medium, format!("{}: {}", field.path, commands(text))))
}

/// The programs that a script names, not what it gives them: there may be secrets in it that nothing tells.
fn commands(text: &str) -> String {
    let first = |part: &str| {
        let word = part.split_whitespace().find(|word| !word.contains('='))?;
        let name = word.rsplit(['/', '\\']).next().unwrap_or_default();
        let plain = name.len() <= 24 && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        Some(if plain && !name.is_empty() { name.to_owned() } else { "...".to_owned() })
    };
    let mut names: Vec<String> = text.split(['|', '&', ';', '\n', '`', '(']).filter_map(first).collect();
    let more = names.len() > 6;
    names.truncate(6);
    format!("{}{}", names.join(", "), if more { ", ..." } else { "" })
}

fn told(text: &str, signs: &[&str]) -> &'static str {
    let fetches = ["curl ", "wget ", "iwr ", "Invoke-WebRequest", "irm "].iter().any(|name| text.contains(name));
    let runs = ["| sh", "|sh", "| bash", "|bash", "| zsh", "| iex", "|iex", "| python", "| node", "<(curl", "$(curl"]
        .iter()
        .any(|sign| text.contains(sign));
    match (fetches && runs, signs.is_empty()) {
        (true, _) => "a script from the network is run",
        (false, false) => "a script",
        (false, true) => "a shell",
    }
}
