//! How a person comes in: claiming a new gateway or following a link of the terminal, and signing in.

use super::text::{Hidden, segment};
use super::{Frame, assets, print};
use askama::Template;

/// `/setup`: the person opened a link of the terminal. Its secret is in the fragment, which only the script or the person can read
/// (product L4, L5).
///
/// Posts to `/setup`: `csrf`, `txn` (if given), `code`.
#[derive(Debug, Clone, Template)]
#[template(path = "setup.html")]
pub struct SetupPage {
    /// Around the page.
    pub frame: Frame,
    /// What the link is for.
    pub purpose: Purpose,
    /// Token of the form.
    pub csrf: Hidden,
    /// Request that waits for the sign-in.
    pub txn: Option<Hidden>,
    /// What was wrong with the last attempt; shown as an error beside the field.
    pub error: Option<String>,
}

/// What a link of the terminal is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The first one: whoever follows it becomes the administrator.
    Claim,
    /// A later one: signs the administrator in.
    SignIn,
}

impl SetupPage {
    /// The page as HTML.
    #[must_use]
    pub fn render(&self) -> String {
        print(self)
    }

    fn claims(&self) -> bool {
        self.purpose == Purpose::Claim
    }

    fn script(&self) -> &'static str {
        assets::script_href()
    }
}

/// `/login`.
///
/// Each provider posts to `/login/<id>`: `csrf`, `txn` (if given).
#[derive(Debug, Clone, Template)]
#[template(path = "signin.html")]
pub struct SignInPage {
    /// Around the page.
    pub frame: Frame,
    /// Token of the forms.
    pub csrf: Hidden,
    /// Request that waits for the sign-in; says so on the page and goes with the form.
    pub txn: Option<Hidden>,
    /// How to sign in here.
    pub way: Way,
    /// Why the person is here again: signed out, time is up, the browser keeps no cookie.
    pub note: Option<String>,
}

/// How people sign in.
#[derive(Debug, Clone)]
pub enum Way {
    /// Laptop mode: a link that the terminal prints.
    Terminal {
        /// True if the running terminal has just printed a fresh link (product L7).
        just_printed: bool,
    },
    /// One button for each provider.
    Providers(Vec<Provider>),
}

/// An identity provider.
#[derive(Debug, Clone)]
pub struct Provider {
    /// Its id in the configuration, for the path.
    pub id: String,
    /// Its name, as the operator wrote it.
    pub name: String,
}

impl Provider {
    fn path(&self) -> String {
        format!("/login/{}", segment(&self.id))
    }
}

impl SignInPage {
    /// The page as HTML.
    #[must_use]
    pub fn render(&self) -> String {
        print(self)
    }
}
