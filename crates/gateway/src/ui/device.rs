//! `/device`: where a person types the code of a program without a browser (RFC 8628), and the end of its request.

use super::handoff::Outcome;
use super::text::{Claimed, Hidden};
use super::{Frame, print};
use askama::Template;

/// `/device`. Posts there: `csrf`, `user_code`.
#[derive(Debug, Clone, Template)]
#[template(path = "device.html")]
pub struct DevicePage {
    /// Around the page; `person` is who will decide.
    pub frame: Frame,
    /// Token of the form.
    pub csrf: Hidden,
    /// The code that came with the address: filled in, never sent by itself.
    pub code: Option<Hidden>,
    /// What was wrong with the last attempt; shown as an error beside the field.
    pub error: Option<String>,
}

impl DevicePage {
    /// The page as HTML.
    #[must_use]
    pub fn render(&self) -> String {
        print(self)
    }
}

/// The request of a device is decided: nothing leaves from here, the device asks for itself.
#[derive(Debug, Clone, Template)]
#[template(path = "device-done.html")]
pub struct DonePage {
    /// Around the page.
    pub frame: Frame,
    /// Which application waits.
    pub application: Claimed,
    /// What was decided.
    pub outcome: Outcome,
}

impl DonePage {
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
}
