//! A header with a secret that each person entered (level 1): read from the vault, and kept until anything is taken back (I8).

use super::Till;
use super::mints::Mints;
use super::refused::NoLease;
use doorward_core::config::Deposit;
use doorward_core::credential::{Minted, Origin, Principal, UpstreamSecret};
use doorward_core::id::{ServerName, UserId};
use doorward_core::secret::Secret;
use doorward_store::{Connection, ConnectionKind, ConnectionState, StoreError};
use std::sync::Arc;

/// The broker of one server.
#[derive(Debug)]
pub struct Entered {
    deposit: Deposit,
    origin: Origin,
    server: ServerName,
    /// By person, under one epoch: under another it is read anew.
    mints: Mints<(UserId, u64)>,
}

impl Entered {
    pub(crate) fn new(deposit: Deposit, origin: Origin, server: ServerName) -> Self {
        Self { deposit, origin, server, mints: Mints::default() }
    }

    pub(super) fn planned(&self) -> Principal {
        Principal::new(format!("the caller's own key of {}", self.server))
    }

    pub(super) async fn minted(&self, till: &Till<'_>, (server, user): (&ServerName, &UserId)) -> Result<Arc<Minted>, NoLease> {
        let key = (user.clone(), till.epoch);
        self.mints.minted(&key, || till.env.now(), || self.read(till, (server, user))).await
    }

    async fn read(&self, till: &Till<'_>, (server, user): (&ServerName, &UserId)) -> Result<Minted, NoLease> {
        let connection = opened(till, (server, user), ConnectionKind::Entered).await?;
        let secret = std::str::from_utf8(connection.value.expose()).map_err(|_| NoLease::Damaged)?;
        let value = Secret::new(format!("{}{secret}{}", self.deposit.before, self.deposit.after));
        let header = self.deposit.name.as_str().to_owned();
        let sent = UpstreamSecret::from_source(header, value, self.origin.clone()).of_version(connection.version);
        Ok(Minted::for_good(sent, Principal::new(format!("{} at {server}", connection.info.label))))
    }
}

/// The connection of a person to a server, if it can be used. That it is used is written down, to the hour.
///
/// # Errors
/// [`NoLease`].
pub(super) async fn opened(till: &Till<'_>, (server, user): (&ServerName, &UserId), kind: ConnectionKind) -> Result<Connection, NoLease> {
    let found = till.store.connection(user, server).await.map_err(|error| match error {
        StoreError::Integrity { .. } => NoLease::Damaged,
        _ => NoLease::Store,
    })?;
    let connection = found.filter(|connection| connection.info.kind == kind).ok_or(NoLease::NotConnected)?;
    if connection.info.state != ConnectionState::Works {
        return Err(NoLease::SignInNeeded);
    }
    if till.store.used_connection(user, server, till.env.now()).await.is_err() {
        tracing::debug!(%server, "that a connection is used could not be written down");
    }
    Ok(connection)
}
