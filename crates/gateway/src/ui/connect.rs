//! `/connect/<server>`: the account of a person at a server (product 5.4). Nothing happens when it is looked at.

use super::me::Health;
use super::text::{Claimed, Hidden};
use super::{Frame, print};
use askama::Template;

/// `/connect/<server>`. Posts there: `csrf`, `action` (`connect`, `enter`, `disconnect`, `skip`), `secret`, `txn`.
#[derive(Debug, Clone, Template)]
#[template(path = "connect.html")]
pub struct ConnectPage {
    /// Around the page; `person` is whose account it is.
    pub frame: Frame,
    /// Token of the form.
    pub csrf: Hidden,
    /// The name of the server, as in addresses.
    pub name: String,
    /// Its title.
    pub server: String,
    /// How one connects.
    pub way: Way,
    /// The account that there is.
    pub account: Option<Account>,
    /// What was done just now.
    pub done: Option<String>,
    /// What went wrong just now.
    pub error: Option<String>,
    /// The application that waits for it, with its sealed request.
    pub waits: Option<(Claimed, Hidden)>,
}

/// How one connects.
#[derive(Debug, Clone)]
pub enum Way {
    /// On the pages of the server's provider.
    Provider,
    /// By a secret of one's own; with the page where one makes it.
    Secret(Option<String>),
}

/// An account that is connected.
#[derive(Debug, Clone)]
pub struct Account {
    /// Its name there.
    pub name: Claimed,
    /// Whether it works.
    pub health: Health,
    /// `2 days ago`.
    pub since: String,
    /// What was allowed there.
    pub scopes: Option<Claimed>,
}

impl ConnectPage {
    /// The page as HTML.
    #[must_use]
    pub fn render(&self) -> String {
        print(self)
    }
}
