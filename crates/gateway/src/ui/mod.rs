//! The pages of the front office: typed views and how they become HTML (product 5).
//!
//! A view is a plain struct of text, choices and rows; handlers fill it and the template prints it. Views know nothing of the store, of
//! OAuth types or of requests, and decide nothing: what they offer, the handler that gets the form checks again. Templates
//! (`crates/gateway/templates`) are compiled in and escape all they print; text that others chose comes as
//! [`text::Claimed`]. No page holds a style or a script of its own, and only `/setup` refers to one.

pub mod admin;
pub mod assets;
pub mod attempt;
pub mod connect;
pub mod consent;
pub mod departure;
pub mod device;
pub mod entry;
pub mod handoff;
pub mod headers;
pub mod home;
pub mod me;
#[cfg(test)]
mod payloads;
pub mod problem;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod samples_admin;
#[cfg(test)]
mod tests;
pub mod text;

use askama::Template;
use text::Claimed;

/// What stands around every page: whose gateway this is and at which host, so that a copy of the page shows another host.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Name of the instance, as the operator wrote it: `Doorward`, `Acme tools`.
    pub instance: String,
    /// Host (and port) of the gateway's root: `127.0.0.1:8417`.
    pub host: String,
    /// Who is signed in; `None` shows nobody.
    pub person: Option<Claimed>,
}

impl Frame {
    /// The stylesheet with its content hash.
    fn style(&self) -> &'static str {
        assets::style_href()
    }
}

/// Shown when a template cannot be printed. Printing into a `String` does not fail; a page must not be empty if it ever does.
const UNPRINTED: &str =
    "<!doctype html><html lang=\"en\"><title>Error</title><p>This page could not be shown. Go back and try again.</p></html>";

/// The page as HTML.
fn print(view: &impl Template) -> String {
    view.render().unwrap_or_else(|_| UNPRINTED.to_owned())
}
