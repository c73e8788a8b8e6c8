//! The page of one attempt of an application to connect (product 5.5): its steps in order, and for the one where it stopped the known cause
//! and what to do. Shows, and offers nothing to press.

use super::text::Claimed;
use super::{Frame, print};
use askama::Template;

/// The page.
#[derive(Debug, Clone, Template)]
#[template(path = "attempt.html")]
pub struct AttemptPage {
    /// Around the page.
    pub frame: Frame,
    /// What the application calls itself.
    pub application: Claimed,
    /// Who says so.
    pub vouched: Vouched,
    /// The id that it gave.
    pub client_id: Claimed,
    /// The server that it asked for.
    pub server: Option<Claimed>,
    /// How it stands.
    pub progress: Progress,
    /// The same in words: `It has not fetched its tokens`.
    pub words: String,
    /// Since when: `2 minutes ago`.
    pub since: String,
    /// What was seen, oldest first.
    pub steps: Vec<StepRow>,
    /// What is to come, where it stopped or waits.
    pub stop: Option<Stop>,
}

/// Who says what an application is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vouched {
    /// Its publisher, by a document.
    Published,
    /// The administrator.
    Approved,
    /// It says so itself.
    SelfClaimed,
    /// Nobody looked.
    Nobody,
}

/// How an attempt stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It calls.
    Arrived,
    /// It is under way.
    Waiting,
    /// The person said no.
    Declined,
    /// It stopped.
    Stopped,
}

/// A step.
#[derive(Debug, Clone)]
pub struct StepRow {
    /// In our words: `It asked for access`.
    pub text: String,
    /// `2026-11-03 10:02:11 UTC`.
    pub when: String,
    /// Why it was refused, by its word in the documents.
    pub refused: Option<String>,
    /// It is known by an address alone.
    pub is_guess: bool,
}

/// Where it stopped, or what it waits for.
#[derive(Debug, Clone)]
pub struct Stop {
    /// The step that did not come: `It has not fetched its tokens`. `None` where the last one was refused.
    pub missing: Option<String>,
    /// What is known of the cause; `None` while it is early.
    pub cause: Option<String>,
    /// What to do.
    pub cure: String,
    /// What helps with this application besides.
    pub habit: Option<String>,
}

impl AttemptPage {
    /// The page as HTML.
    #[must_use]
    pub fn render(&self) -> String {
        print(self)
    }
}
