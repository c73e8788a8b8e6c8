//! A header with a secret that each person entered (level 1): read from the vault, and kept until anything is taken back (I8).

use super::Till;
use super::mints::{Made, Mints};
use doorward_core::audit::outcome::Notice;
use doorward_core::config::Deposit;
use doorward_core::credential::{Minted, NoLease, Origin, Principal, UpstreamSecret};
use doorward_core::id::{ServerName, UserId};
use doorward_core::secret::Secret;
use doorward_store::{Connection, ConnectionKind, ConnectionState, StoreError};
use serde_json::{Value, json};
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
        self.mints.minted(&key, || till.env.now(), || async { self.read(till, (server, user)).await.map(Made::New) }).await
    }

    /// Its server does not take it: it is marked, and not lent again.
    pub(super) async fn refused(&self, till: &Till<'_>, user: &UserId, version: u64) {
        over(till, (&self.server, user), version).await;
        self.forget(user, till.epoch);
    }

    pub(super) fn forget(&self, user: &UserId, epoch: u64) {
        self.mints.forget(&(user.clone(), epoch));
    }

    /// A secret as it is kept: with where it may be sent to.
    pub(crate) fn sealed(&self, secret: &str) -> Secret<Vec<u8>> {
        Secret::new(json!({"origin": self.origin.as_str(), "secret": secret}).to_string().into_bytes())
    }

    async fn read(&self, till: &Till<'_>, (server, user): (&ServerName, &UserId)) -> Result<Minted, NoLease> {
        let connection = opened(till, (server, user), ConnectionKind::Entered).await?;
        let kept: Value = serde_json::from_slice(connection.value.expose()).map_err(|_| NoLease::Damaged)?;
        let text = |key: &str| kept.get(key).and_then(Value::as_str).ok_or(NoLease::Damaged);
        // Entered for another address than the one that is configured now: it is sent nowhere (I5).
        if text("origin")? != self.origin.as_str() {
            return Err(NoLease::SignInNeeded);
        }
        let value = Secret::new(format!("{}{}{}", self.deposit.before, text("secret")?, self.deposit.after));
        let header = self.deposit.name.as_str().to_owned();
        let sent = UpstreamSecret::from_source(header, value, self.origin.clone());
        let sent = sent.of_version(connection.version).of_account(connection.info.created);
        Ok(Minted::for_good(sent, Principal::new(format!("{} ({server})", connection.info.label))))
    }
}

/// Marks a connection as over that its server does not take and that nothing renews: the person is told by every page from then on.
pub(super) async fn over(till: &Till<'_>, (server, user): (&ServerName, &UserId), version: u64) {
    let why = "server_refuses";
    match till.store.connection_is_over((user, server), version, why, till.env.now()).await {
        Ok(true) => {
            let Some(audit) = till.audit else { return };
            let (user, server) = (Some(user), Some(server));
            let notice = Notice { reason: "connection_over", user, server, cause: Some(why), ..Notice::default() };
            if audit.event(&notice, till.env.now()).await.is_err() {
                tracing::error!(reason = notice.reason, "an event could not be recorded");
            }
        }
        Ok(false) => {}
        Err(error) => tracing::warn!(%error, "that a connection is over could not be written down"),
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
