//! Leaving: the page that sends the browser back to the application, and the one that shows the address to paste.
//!
//! The answer to a decision is 200 with a refresh and a link, not a redirect: Chromium applies `form-action` to every redirect of a form
//! post, and the button would be dead (product 5.3).

use super::text::{Claimed, Target};
use super::{Frame, print};
use askama::Template;

/// Sends the browser to the application at once, and has a link for browsers that do not go.
#[derive(Debug, Clone, Template)]
#[template(path = "handoff.html")]
pub struct HandOffPage {
    /// Around the page.
    pub frame: Frame,
    /// Where to; holds the code, so the answer must not be stored.
    pub target: Target,
    /// Who gets the answer.
    pub application: Claimed,
    /// What was decided.
    pub outcome: Outcome,
}

/// What the application is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It may come in.
    Allowed,
    /// Cancelled (product C13): told in the same way.
    Denied,
    /// Cancelled and reported (product C20).
    Reported,
    /// The request itself was wrong or could not be served: the application is told which error.
    Failed,
}

impl HandOffPage {
    /// The page as HTML.
    #[must_use]
    pub fn render(&self) -> String {
        print(self)
    }

    fn is_allowed(&self) -> bool {
        self.outcome == Outcome::Allowed
    }

    fn is_reported(&self) -> bool {
        self.outcome == Outcome::Reported
    }

    fn is_failed(&self) -> bool {
        self.outcome == Outcome::Failed
    }
}

/// The application runs on another computer (product C21): the address to paste there; nothing leaves by itself.
#[derive(Debug, Clone, Template)]
#[template(path = "paste.html")]
pub struct PastePage {
    /// Around the page.
    pub frame: Frame,
    /// What to paste; holds the code.
    pub target: Target,
    /// Which application waits for it.
    pub application: Claimed,
    /// Until when it can be used: `in 1 minute`.
    pub expires: String,
}

impl PastePage {
    /// The page as HTML.
    #[must_use]
    pub fn render(&self) -> String {
        print(self)
    }
}
