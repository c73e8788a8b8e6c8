//! `/admin` and `/api/v1`: what runs here, for those who answer for it (product 5.6; AUD-06).
//!
//! Who may look is an [`Overseer`](overseer::Overseer), who may change an [`Administrator`](overseer::Administrator), made of a sign-in in a
//! browser alone. No credential of a program opens this door
//! ([ADR 31](../../../docs/adr/0031-administration-is-done-in-person.md)). A page and the API show the same views and make the same changes.
//! Reading the record and every change stand on the record before they happen. Must not know OAuth.

mod api;
pub mod attempts;
mod changes;
pub mod known;
mod overseer;
mod pages;
mod rows;
mod views;

use doorward_core::config::clients::Clients;
use doorward_core::config::show::Entry;
use doorward_store::StoreError;

/// What the configuration says, for those who may see it.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Every effective value. Secrets stand in it by reference.
    pub(crate) entries: Vec<Entry>,
    /// Which clients it names.
    pub(crate) clients: Clients,
}

/// The store does not answer, or the record takes nothing: nothing was changed.
struct Away;

impl From<StoreError> for Away {
    fn from(error: StoreError) -> Self {
        tracing::warn!(%error, "administrators could not be answered");
        Self
    }
}
