//! The connect page `/`: which servers there are, how each client is connected, and how the gateway is.

use super::text::Hidden;
use super::{Frame, print};
use askama::Template;

/// The connect page.
#[derive(Debug, Clone, Template)]
#[template(path = "home.html")]
pub struct HomePage {
    /// Around the page.
    pub frame: Frame,
    /// Token of the sign-out form.
    pub csrf: Hidden,
    /// The servers that this person may use.
    pub servers: Vec<Server>,
    /// Whether the pages of administrators answer this person.
    pub administers: bool,
    /// How the gateway is; empty outside of laptop mode.
    pub status: Vec<Status>,
}

/// One server.
#[derive(Debug, Clone)]
pub struct Server {
    /// Its name in the configuration.
    pub id: String,
    /// How people call it, as the operator wrote it.
    pub title: String,
    /// The address that a client is given.
    pub url: String,
    /// `18 read, 9 write`.
    pub tools: String,
    /// Whether it can be used.
    pub state: State,
    /// One command for each client.
    pub commands: Vec<Command>,
}

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// As it should be.
    Good,
    /// Somebody has to do something, such as approve its tools or sign in.
    NeedsYou,
    /// It does not answer.
    Down,
}

/// What to type, or to put into a file.
#[derive(Debug, Clone)]
pub struct Command {
    /// `Claude Code`, `VS Code`, `Another client`.
    pub client: String,
    /// `claude mcp add --transport http github http://127.0.0.1:8417/s/github/mcp`.
    pub text: String,
}

/// A line of the status.
#[derive(Debug, Clone)]
pub struct Status {
    /// `Record`.
    pub label: String,
    /// `intact up to 1204`.
    pub value: String,
    /// How that is.
    pub state: State,
}

impl HomePage {
    /// The page as HTML.
    #[must_use]
    pub fn render(&self) -> String {
        print(self)
    }
}
