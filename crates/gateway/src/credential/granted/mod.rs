//! What each person allowed at the provider of a server (level 2; credentials 8): lent while it is good, renewed by one replica at a time,
//! taken back at its provider when it goes.
//!
//! A connection is pinned to the server it was made for, to the issuer that gave it and to its client: what is configured otherwise by
//! now is not sent anywhere (I5).

mod ask;
mod connect;
mod discover;
mod renew;

pub(crate) use ask::Trouble;
pub(crate) use connect::{Connected, Goodbye, NotBegun, NotFinished};

use super::Till;
use super::entered::{opened, over};
use super::mints::{Made, Mints};
use crate::audit::recorder::Recorder;
use crate::egress::Egress;
use crate::egress::target::Target;
use crate::env::Env;
use crate::tasks::Tasks;
use ask::Asker;
use doorward_core::config::Grantor;
use doorward_core::connection::client::{How, UpstreamClient};
use doorward_core::connection::held::Held;
use doorward_core::credential::{Age, Minted, NoLease, Origin, Principal, UpstreamSecret};
use doorward_core::id::{ServerName, UserId};
use doorward_core::secret::Secret;
use doorward_core::time::Timestamp;
use doorward_store::{ConnectionKind, Store};
use std::sync::Arc;
use std::time::Duration;

/// The broker of one server.
#[derive(Debug)]
pub struct Granted {
    config: Grantor,
    /// Of the configured client.
    secret: Option<Secret<String>>,
    server: ServerName,
    title: String,
    url: String,
    origin: Origin,
    origin_url: String,
    asker: Asker,
    tasks: Tasks,
    /// By person, under one epoch: under another it is read anew.
    mints: Mints<(UserId, u64)>,
}

/// What a renewal works with, whoever waits for it.
struct Work {
    store: Store,
    env: Env,
    audit: Option<Recorder>,
}

/// A connection as it was read.
struct Open {
    version: u64,
    held: Arc<Held>,
    label: String,
    /// Since when it is connected.
    since: Timestamp,
}

/// For one question to a provider.
const PATIENCE: Duration = Duration::from_secs(10);

impl Granted {
    /// For a server at `target`; `names` are the server and its title.
    pub(crate) fn new(
        (config, secret): (Grantor, Option<Secret<String>>),
        (server, title): (ServerName, String),
        (url, target): (String, &Target),
        (egress, tasks): (Egress, Tasks),
    ) -> Self {
        let origin = target.origin();
        let asker = Asker { server: server.clone(), egress, patience: PATIENCE, own: (origin.clone(), target.trust().cloned()) };
        let origin_url = origin.as_str().to_owned();
        Self { config, secret, server, title, url, origin, origin_url, asker, tasks, mints: Mints::default() }
    }

    pub(super) fn planned(&self) -> Principal {
        Principal::new(format!("the caller's own account at {}", self.server))
    }

    pub(super) async fn minted(self: &Arc<Self>, till: &Till<'_>, user: &UserId) -> Result<Arc<Minted>, NoLease> {
        let key = (user.clone(), till.epoch);
        self.mints.minted(&key, || till.env.now(), || self.usable(till, user)).await
    }

    pub(super) fn forget(&self, user: &UserId, epoch: u64) {
        self.mints.forget(&(user.clone(), epoch));
    }

    async fn usable(self: &Arc<Self>, till: &Till<'_>, user: &UserId) -> Result<Made, NoLease> {
        let open = self.opened(till, user).await?;
        match open.held.age(till.env.now()) {
            Age::Good => Ok(Made::New(self.lend(&open))),
            age => match self.renewed(till, user, &open).await {
                // One that still counts is used once more, unless it was taken back.
                Err(why) if age == Age::Renew && !why.needs_person() => Ok(Made::Old(self.lend(&open), why)),
                renewed => renewed.map(|open| Made::New(self.lend(&open))),
            },
        }
    }

    /// Another access token in place of `version`, which the server did not take. None is asked for where that one is a minute old or
    /// less: then it is not its age that the server minds.
    ///
    /// # Errors
    /// [`NoLease::SignInNeeded`] where nothing but the person helps, [`NoLease::Refused`] where another one would be no better.
    pub(super) async fn anew(self: &Arc<Self>, till: &Till<'_>, user: &UserId, version: u64) -> Result<Arc<Minted>, NoLease> {
        let key = (user.clone(), till.epoch);
        let mint = || async {
            let open = self.opened(till, user).await?;
            let is_young = till.env.now().since(open.held.renewed_at()) <= YOUNG;
            match open.version == version {
                // A new one would be no better: it is not its age that the server minds.
                true if is_young => Err(NoLease::Refused("server_refuses_new_token")),
                true if !open.held.is_renewable() => {
                    over(till, (&self.server, user), version).await;
                    Err(NoLease::SignInNeeded)
                }
                true => self.renewed(till, user, &open).await.map(|open| Made::New(self.lend(&open))),
                // Somebody else has renewed it since.
                false => Ok(Made::New(self.lend(&open))),
            }
        };
        self.mints.another(&key, version, || till.env.now(), mint).await
    }

    /// Renews in a task of its own: an answer with a new refresh token is kept whoever stops waiting for it.
    async fn renewed(self: &Arc<Self>, till: &Till<'_>, user: &UserId, open: &Open) -> Result<Open, NoLease> {
        let work = Work { store: till.store.clone(), env: till.env.clone(), audit: till.audit.cloned() };
        let (granted, user) = (Arc::clone(self), user.clone());
        let known = Open { version: open.version, held: Arc::clone(&open.held), label: open.label.clone(), since: open.since };
        let run = self.tasks.run(async move { granted.renew(&work, &user, known).await });
        run.await.unwrap_or(Err(NoLease::Unavailable("internal_error")))
    }

    /// The connection of a person, if it is of this server, issuer and client still.
    async fn opened(&self, till: &Till<'_>, user: &UserId) -> Result<Open, NoLease> {
        let connection = opened(till, (&self.server, user), ConnectionKind::Granted).await?;
        let held = Held::from_bytes(connection.value.expose()).map_err(|_| NoLease::Damaged)?;
        let held = self.still_ours(held).ok_or(NoLease::SignInNeeded)?;
        let (label, since) = (connection.info.label, connection.info.created);
        Ok(Open { version: connection.version, held: Arc::new(held), label, since })
    }

    fn still_ours(&self, held: Held) -> Option<Held> {
        let parts = held.parts();
        let is_pinned = parts.origin == self.origin_url && self.config.issuer.as_ref().is_none_or(|issuer| *issuer == parts.server.issuer);
        match (&self.config.client_id, parts.client.how) {
            _ if !is_pinned => None,
            // With the secret that is configured now: it may have been changed since.
            (Some(id), How::Configured) if *id == parts.client.id => {
                let client = UpstreamClient::configured(id, self.client_secret(), &parts.server).ok()?;
                Some(held.of_client(client))
            }
            (Some(_), _) | (None, How::Configured) => None,
            (None, _) => Some(held),
        }
    }

    fn client_secret(&self) -> Option<Secret<String>> {
        self.secret.as_ref().map(|secret| Secret::new(secret.expose().clone()))
    }

    fn lend(&self, open: &Open) -> Minted {
        let value = Secret::new(format!("Bearer {}", open.held.access().expose()));
        let sent = UpstreamSecret::from_source("authorization".to_owned(), value, self.origin.clone());
        let sent = sent.of_version(open.version).of_account(open.since);
        let acting = Principal::new(format!("{} ({})", open.label, self.server));
        match open.held.life() {
            Some(life) => Minted::until_then(sent, acting, life),
            None => Minted::for_good(sent, acting),
        }
    }
}

/// A token that is younger was refused for another reason than its age.
const YOUNG: Duration = Duration::from_secs(60);
