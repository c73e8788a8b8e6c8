//! The tools of an example server: their definitions and what they do. Knows no HTTP.

use super::{State, held};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// Says back what it was told.
    Echo,
    /// Says what time it is.
    Clock,
    /// Lists the notes.
    ListNotes,
    /// Reads a note.
    ReadNote,
    /// Asks with whom to share a note, and shares it (2026-07-28 only).
    ShareNote,
    /// Deletes a note.
    DeleteNote,
}

/// What became of a call.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Done {
    /// A text.
    Said(String),
    /// It did not work, and this is why.
    Failed(String),
    /// A question first: what is asked, and the state that must come back with the answer.
    Asks { question: String, state: String },
}

/// The answer of a person in a later round of a call.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Round<'a> {
    /// The state that was given with the question.
    pub(super) state: Option<&'a str>,
    /// The answers.
    pub(super) answers: Option<&'a Value>,
    /// Whether questions can be asked at all.
    pub(super) may_ask: bool,
}

/// The notes that a server begins with.
pub(super) fn notes() -> BTreeMap<String, &'static str> {
    [("1", "Buy milk"), ("2", "Call the plumber"), ("3", "The spare key is under the third stone")]
        .into_iter()
        .map(|(id, text)| (id.to_owned(), text))
        .collect()
}

// === impl Tool ===

impl Tool {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Clock => "clock",
            Self::ListNotes => "list_notes",
            Self::ReadNote => "read_note",
            Self::ShareNote => "share_note",
            Self::DeleteNote => "delete_note",
        }
    }

    /// Its definition, as `tools/list` gives it.
    #[must_use]
    pub fn definition(self) -> Value {
        let (title, description) = match self {
            Self::Echo => ("Echo", "Says back the text that it is given."),
            Self::Clock => ("Clock", "Says what time it is, in UTC."),
            Self::ListNotes => ("List notes", "Lists the ids of all notes."),
            Self::ReadNote => ("Read a note", "Reads one note."),
            Self::ShareNote => ("Share a note", "Asks with whom to share a note, then shares it."),
            Self::DeleteNote => ("Delete a note", "Deletes one note for good."),
        };
        let (properties, required) = match self {
            Self::Echo => (json!({"text": {"type": "string", "maxLength": 4096}}), json!(["text"])),
            Self::Clock | Self::ListNotes => (json!({}), json!([])),
            Self::ReadNote | Self::ShareNote | Self::DeleteNote => {
                (json!({"id": {"type": "string", "description": "Id of the note, such as 1"}}), json!(["id"]))
            }
        };
        let annotations = match self {
            Self::Echo | Self::Clock | Self::ListNotes | Self::ReadNote => json!({"readOnlyHint": true, "openWorldHint": false}),
            Self::ShareNote => json!({"readOnlyHint": false, "destructiveHint": false, "openWorldHint": false}),
            Self::DeleteNote => json!({"readOnlyHint": false, "destructiveHint": true, "openWorldHint": false}),
        };
        json!({
            "name": self.name(),
            "title": title,
            "description": description,
            "inputSchema": {"type": "object", "properties": properties, "required": required, "additionalProperties": false},
            "annotations": annotations,
        })
    }

    pub(super) fn run(self, state: &State, arguments: &Value, round: Round<'_>) -> Done {
        let text = |key: &str| arguments.get(key).and_then(Value::as_str);
        match self {
            Self::Echo => text("text").map_or_else(|| Done::Failed("text is missing.".to_owned()), |text| Done::Said(text.to_owned())),
            Self::Clock => Done::Said(state.env.now().to_string()),
            Self::ListNotes => Done::Said(held(&state.notes).keys().cloned().collect::<Vec<_>>().join(", ")),
            Self::ReadNote | Self::ShareNote | Self::DeleteNote => {
                let Some(id) = text("id") else { return Done::Failed("id is missing.".to_owned()) };
                self.on_note(state, id, round)
            }
        }
    }

    fn on_note(self, state: &State, id: &str, round: Round<'_>) -> Done {
        let mut notes = held(&state.notes);
        let Some(note) = notes.get(id).copied() else { return Done::Failed("There is no such note.".to_owned()) };
        match self {
            Self::DeleteNote => {
                notes.remove(id);
                Done::Said(format!("Note {id} is gone."))
            }
            Self::ShareNote => shared(id, round),
            _ => Done::Said(note.to_owned()),
        }
    }
}

fn shared(id: &str, round: Round<'_>) -> Done {
    if !round.may_ask {
        return Done::Failed("This tool asks a question, which needs a client of 2026-07-28.".to_owned());
    }
    let state = format!("share {id}");
    if round.state != Some(state.as_str()) {
        return Done::Asks { question: format!("Share note {id} with whom?"), state };
    }
    let answer = round.answers.and_then(|answers| answers.get("recipient"));
    let accepted = answer.filter(|answer| answer.get("action").and_then(Value::as_str) == Some("accept"));
    match accepted.and_then(|answer| answer.pointer("/content/name")).and_then(Value::as_str) {
        Some(name) => Done::Said(format!("Note {id} is shared with {name}.")),
        None => Done::Failed("Nobody was named, nothing was shared.".to_owned()),
    }
}
