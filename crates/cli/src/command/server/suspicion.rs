//! What the screen finds in definitions, shown to the person who is to approve them (POL-03). Text of a server stays inert.

use crate::console::{Console, Form, Sign, inert, wrapped};
use doorward_core::id::ServerName;
use doorward_core::json::leaves::Leaf;
use doorward_core::screen::definition::Judgement;
use doorward_gateway::catalogue::Definition;

/// Digits of a digest that name a definition: nobody makes another one that begins so.
const DIGITS: usize = 32;

/// The first digits of a digest.
fn short(digest: &[u8; 32]) -> String {
    digest.iter().take(DIGITS / 2).map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a person wrote the digits of this digest.
pub(super) fn names(written: &str, digest: &[u8; 32]) -> bool {
    written.eq_ignore_ascii_case(&short(digest))
}

/// Says what was found, where it is enough to keep the tool back: the rules, and the texts in which they found it. All of each
/// text: who writes one chooses what stands at its end.
pub(super) fn tell(judgement: &Judgement, tool: &Definition, console: &mut Console) {
    if !judgement.is_high() || console.form() == Form::Json {
        return;
    }
    let bad = console.sign(Sign::Bad);
    console.say(format_args!("    {bad} suspicious: {}", judgement.rules().join(", ")));
    let width = console.width().saturating_sub(8);
    let mut shown: Vec<&str> = Vec::new();
    for finding in judgement.findings().iter().filter(|finding| !finding.place.is_empty()) {
        if shown.contains(&finding.place.as_str()) {
            continue;
        }
        shown.push(&finding.place);
        console.say(format_args!("      {}", inert(&finding.place)));
        for line in wrapped(&inert(&text_at(tool, &finding.place)), width) {
            console.say(format_args!("        {line}"));
        }
    }
    console.say(format_args!("      digest {}", short(&tool.digest)));
}

/// Says that a tool was left out, and how a person who has read its definition approves it.
pub(super) fn left_out(server: &ServerName, judgement: &Judgement, tool: &Definition, console: &mut Console) {
    let name = inert(tool.name.as_str());
    console.say(format_args!("  {name} is not approved: its definition tells a model what to do, or hides something"));
    tell(judgement, tool, console);
    console.say(format_args!("      if it is honest: doorward server approve {server} --tool {name} --reviewed {}", short(&tool.digest)));
}

/// The texts at a place, one behind the other.
fn text_at(tool: &Definition, place: &str) -> String {
    let mut texts = Vec::new();
    tool.json.leaves(|leaf| {
        if leaf.leaf == Leaf::Text && leaf.trail.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join("/") == place {
            texts.push(leaf.text.into_owned());
        }
    });
    texts.join(" | ")
}
