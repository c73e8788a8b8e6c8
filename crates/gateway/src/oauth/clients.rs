//! Who a client id names.

use crate::Gateway;
use doorward_core::oauth::client::Client;
use doorward_core::time::Timestamp;

/// Why nobody is named.
#[derive(Debug)]
pub(crate) enum Unresolved {
    Unknown,
    Blocked,
    NotAllowed,
    NeedsFetch,
    CouldNotBeChecked(String),
    Store,
}

impl Gateway {
    pub(crate) async fn named_client(&self, id: &str, _may_fetch: bool, _now: Timestamp) -> Result<Client, Unresolved> {
        let schemes = doorward_core::oauth::redirect::Schemes::default();
        if let Some(entry) = doorward_core::oauth::catalogue::find(id) {
            return entry.client(&schemes).map_err(|_| Unresolved::Unknown);
        }
        self.reception.registrations.open(id, &schemes).map_err(|_| Unresolved::Unknown)
    }
}
