//! Leaving for an identity provider. The answer to the button is 200 with a refresh and a link, for the reason that `handoff` gives.

use super::text::Target;
use super::{Frame, print};
use askama::Template;

/// Sends the browser to a provider at once, and has a link for browsers that do not go.
#[derive(Debug, Clone, Template)]
#[template(path = "departure.html")]
pub struct DeparturePage {
    /// Around the page.
    pub frame: Frame,
    /// Where to; holds the state of the sign-in, so the answer must not be stored.
    pub target: Target,
    /// The provider, as the operator wrote it.
    pub provider: String,
}

impl DeparturePage {
    /// The page as HTML.
    #[must_use]
    pub fn render(&self) -> String {
        print(self)
    }
}
