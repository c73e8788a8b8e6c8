//! The lax server as a child process: one JSON message a line. Its luggage is the environment and the arguments it was started with.

use std::io;
use std::sync::Arc;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::sync::mpsc;

use super::State;
use super::mcp::{self, Event, Luggage};
use super::quirk::{Answer, Behaviour, Quirk};

/// Serves standard input and output until input ends. `luggage` is what the tool `reflect` answers.
///
/// # Errors
/// When standard output is closed.
pub async fn run(behaviour: Behaviour, luggage: Luggage) -> io::Result<()> {
    let crashes = behaviour.has(&Quirk::Answer(Answer::Crash));
    let state = Arc::new(State::new(behaviour));
    let (sender, mut events) = mpsc::unbounded_channel();
    let writing = tokio::spawn(async move {
        let mut out = tokio::io::stdout();
        while let Some(Event::Message(message) | Event::Split(message, _)) = events.recv().await {
            out.write_all(format!("{message}\n").as_bytes()).await?;
            out.flush().await?;
        }
        io::Result::Ok(())
    });
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let Ok(message) = serde_json::from_str::<Value>(&line) else { continue };
        if message.get("method").is_none() {
            state.answered(&message);
            continue;
        }
        if message.get("id").is_none() {
            continue;
        }
        if crashes && mcp::called(&message).is_some() {
            std::process::exit(70);
        }
        let (state, luggage, sender) = (Arc::clone(&state), luggage.clone(), sender.clone());
        tokio::spawn(async move { mcp::answer(&state, &message, &luggage, &sender).await });
    }
    drop(sender);
    writing.await.map_err(io::Error::other)?
}
