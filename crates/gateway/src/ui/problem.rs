//! Every error that a person sees: which side failed, what happened, what to do next, and a number to ask about.

use super::text::{Claimed, Place};
use super::{Frame, print};
use askama::Template;

/// An error page, for every status that answers with a page.
#[derive(Debug, Clone, Template)]
#[template(path = "problem.html")]
pub struct ProblemPage {
    /// Around the page.
    pub frame: Frame,
    /// Who has to act or failed.
    pub side: Side,
    /// One sentence of ours: `This link was used already`.
    pub title: String,
    /// What happened, in our words.
    pub text: String,
    /// Application or server concerned, shown in a value cell.
    pub about: Option<Claimed>,
    /// What the other side said, such as the error code of a provider; shown in a value cell.
    pub said: Option<Claimed>,
    /// What to do now.
    pub next: String,
    /// Where that can be done.
    pub link: Option<Link>,
    /// Found in the log and the record.
    pub correlation: String,
}

/// Which side failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The gateway.
    Us,
    /// The application that asked.
    Application,
    /// An identity provider or the provider of a server.
    Provider,
    /// The way between.
    Network,
    /// The person can mend it: a link that is old, a form that was sent twice.
    You,
}

/// A link to a place of the gateway.
#[derive(Debug, Clone)]
pub struct Link {
    /// Where to.
    pub place: Place,
    /// What it says: `Start again`.
    pub label: String,
}

impl ProblemPage {
    /// The page as HTML.
    #[must_use]
    pub fn render(&self) -> String {
        print(self)
    }

    fn side_text(&self) -> &'static str {
        match self.side {
            Side::Us => "This gateway",
            Side::Application => "The application",
            Side::Provider => "The provider",
            Side::Network => "The network",
            Side::You => "Something to do for you",
        }
    }
}
