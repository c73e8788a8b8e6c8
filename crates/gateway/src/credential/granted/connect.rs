//! Making a connection, and taking it back (credentials 8.2, 8.5): to the provider and back in one browser of one person, with a client
//! of this connection alone where the provider registers one.

use super::Granted;
use super::ask::Trouble;
use super::discover::{Found, NotFound};
use crate::credential::Till;
use doorward_core::connection::client::{BadClient, BadRegistration, How, Registration, UpstreamClient};
use doorward_core::connection::given::{BadGiven, Given};
use doorward_core::connection::held::{Held, Parts, label};
use doorward_core::connection::request::{exchange, revoke};
use doorward_core::connection::server::AuthorizationServer;
use doorward_core::connection::trip::{Arrived, BadTrip, Begin, NotArrived, Trip, TripKey};
use doorward_core::id::UserId;
use doorward_core::oauth::form::Form;
use doorward_core::oidc::provider::Naming;
use doorward_core::secret::{Secret, hex};
use doorward_store::{ConnectionKind, Farewell, NewConnection, StoreError};
use serde_json::{Value, json};
use std::time::Duration;

/// Somebody on the way to a provider.
pub(crate) struct Going {
    /// Where the browser goes.
    pub(crate) address: String,
    /// The trip, for a cookie.
    pub(crate) sealed: String,
    /// Its `state`.
    pub(crate) state: String,
    /// The host that asks the person, for them to see.
    pub(crate) host: String,
}

/// An account that was connected.
#[derive(Debug)]
pub(crate) struct Connected {
    /// What was allowed.
    pub(crate) scopes: Vec<String>,
    /// More than was asked for.
    pub(crate) wider: Vec<String>,
    /// The client of this connection, and whether people share it.
    pub(crate) client: (String, How),
    /// Whom it was connected at.
    pub(crate) issuer: String,
    /// Whether the sealed ticket in the browser is the one it was begun for.
    pub(crate) arrived: Arrived,
}

/// Why nobody leaves for a provider.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotBegun {
    #[error(transparent)]
    NotFound(#[from] NotFound),
    #[error("the registration of a client: {0}")]
    Registration(#[from] BadRegistration),
    #[error(transparent)]
    Client(#[from] BadClient),
    #[error("the provider registers no clients, and none is configured")]
    NoClient,
    #[error("the server names another authorization server than the one that the person is connected at")]
    OtherIssuer,
    #[error(transparent)]
    Trip(#[from] BadTrip),
    #[error("the records or the random source do not answer")]
    Ours,
}

/// Why nothing was connected.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotFinished {
    #[error(transparent)]
    NotArrived(#[from] NotArrived),
    #[error("it was used before")]
    Replayed,
    #[error("{0}")]
    Trouble(#[from] Trouble),
    #[error("the records do not answer")]
    Ours,
    #[error("as many accounts as there may be")]
    TooMany,
}

/// What is kept between leaving and coming back: where to, as which client, to which address of ours, and for which origin.
struct Kept {
    server: AuthorizationServer,
    client: UpstreamClient,
    redirect: String,
    origin: String,
}

/// What a provider that was told of an end said.
pub(crate) enum Goodbye {
    /// It knows.
    Heard,
    /// It can never be told, for this reason.
    Never(&'static str),
    /// It is told again.
    Later(&'static str),
}

impl NotBegun {
    /// For records: a short stable word.
    pub(crate) const fn reason(&self) -> &'static str {
        match self {
            Self::NotFound(why) => why.reason(),
            Self::Registration(_) => "registration_refused",
            Self::Client(_) | Self::Trip(_) => "bad_client",
            Self::NoClient => "no_client",
            Self::OtherIssuer => "other_issuer",
            Self::Ours => "store_unavailable",
        }
    }
}

impl NotFinished {
    /// For records: a short stable word.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::NotArrived(NotArrived::Refused(code)) => format!("provider_refused {code}").trim_end().to_owned(),
            Self::NotArrived(why) => why.to_string(),
            Self::Replayed => "replayed".to_owned(),
            Self::Trouble(Trouble::Given(BadGiven::Refused(code))) => format!("token_refused {code}").trim_end().to_owned(),
            Self::Trouble(trouble) => trouble.reason().to_owned(),
            Self::Ours => "store_unavailable".to_owned(),
            Self::TooMany => "too_many_accounts".to_owned(),
        }
    }
}

impl Granted {
    /// The person leaves for the provider. `who` is the person and the digest of their session in this browser; `waiting` the ticket that
    /// goes on afterwards.
    ///
    /// # Errors
    /// [`NotBegun`]; nothing is kept then but a client that was registered.
    pub(crate) async fn begin(
        &self,
        till: &Till<'_>,
        key: &TripKey,
        (user, browser): (&UserId, [u8; 32]),
        root: &str,
        waiting: Option<&str>,
    ) -> Result<Going, NotBegun> {
        let found = self.discover().await?;
        self.is_still_there(till, user, &found).await?;
        // Of this server alone: an answer that comes to another one's address is of another connection (OC-03).
        let redirect = format!("{root}/connect/{}/callback", self.server);
        let client = self.client_for(till, user, (&found, &redirect)).await?;
        let random = (till.env.bytes(), till.env.bytes(), till.env.bytes(), till.env.bytes());
        let (Ok(state), Ok(nonce), Ok(verifier), Ok(once)) = random else { return Err(NotBegun::Ours) };
        let (at, scopes) = (&found.server, found.scopes.as_slice());
        let begin =
            Begin { server: &self.server, user, browser, at, client: &client, redirect: &redirect, scopes, resource: &found.resource };
        let trip = Trip::begin(begin, &[state, nonce, verifier], waiting, till.env.now());
        let address = trip.authorization(&found.server).ok_or(NotBegun::Ours)?;
        let sealed = key.seal(&trip, once)?;
        let host = host_of(&found.server.authorization.url).to_owned();
        Ok(Going { address, sealed, state: trip.state().to_owned(), host })
    }

    /// Whoever is connected at one provider is not led to another because a server says so: they disconnect first, which is their word.
    async fn is_still_there(&self, till: &Till<'_>, user: &UserId, found: &Found) -> Result<(), NotBegun> {
        let known = match till.store.connection(user, &self.server).await {
            Ok(known) => known,
            Err(StoreError::Integrity { .. }) => None,
            Err(_) => return Err(NotBegun::Ours),
        };
        let held = known.and_then(|known| Held::from_bytes(known.value.expose()).ok());
        match held.is_none_or(|held| held.parts().server.issuer == found.server.issuer) || self.config.issuer.is_some() {
            true => Ok(()),
            false => Err(NotBegun::OtherIssuer),
        }
    }

    /// The configured client; else the one that was registered for this person before, at the same provider; else a new one.
    async fn client_for(&self, till: &Till<'_>, user: &UserId, (found, redirect): (&Found, &str)) -> Result<UpstreamClient, NotBegun> {
        let client = match &self.config.client_id {
            Some(id) => UpstreamClient::configured(id, self.client_secret(), &found.server)?,
            None => match self.kept(till, user).await?.filter(|kept| {
                let is_same = kept.server.issuer == found.server.issuer && kept.redirect == redirect && kept.origin == self.origin_url;
                is_same && kept.client.how == How::Registered && !kept.client.is_expired(till.env.now())
            }) {
                Some(kept) => kept.client,
                None => self.registered(till, user, (found, redirect)).await?,
            },
        };
        let of_client = String::from_utf8(client.to_bytes()?.to_vec()).map_err(|_| NotBegun::Ours)?;
        let whole = json!({"server": found.server, "client": of_client, "redirect": redirect, "origin": self.origin_url});
        let text = Secret::new(whole.to_string().into_bytes());
        till.store.put_secret(user, &self.kept_name(), &text).await.map_err(|_| NotBegun::Ours)?;
        Ok(client)
    }

    async fn registered(&self, till: &Till<'_>, user: &UserId, (found, redirect): (&Found, &str)) -> Result<UpstreamClient, NotBegun> {
        let endpoint = found.server.registration.as_ref().ok_or(NotBegun::NoClient)?;
        let registration = Registration::new(&format!("{} (Doorward)", self.title), redirect, &found.server, &found.scopes);
        let answer = self.asker.register(endpoint, user, registration.body().to_owned()).await;
        let (status, text) = answer.map_err(|trouble| NotBegun::NotFound(NotFound::Trouble(trouble)))?;
        Ok(registration.read(status, &text, till.env.now())?)
    }

    fn kept_name(&self) -> String {
        format!("connecting:{}", self.server)
    }

    async fn kept(&self, till: &Till<'_>, user: &UserId) -> Result<Option<Kept>, NotBegun> {
        match till.store.secret(user, &self.kept_name()).await {
            Ok(found) => Ok(found.and_then(|(text, _)| read(text.expose()))),
            // Damaged: another one takes its place.
            Err(StoreError::Integrity { .. }) => Ok(None),
            Err(_) => Err(NotBegun::Ours),
        }
    }

    /// The person came back with an answer: it becomes an account, once.
    ///
    /// # Errors
    /// [`NotFinished`]; no code was given away unless the answer is this person's, in this browser, of this provider, and new.
    pub(crate) async fn finish(
        &self,
        till: &Till<'_>,
        trip: Trip,
        (user, browser): (&UserId, &[u8; 32]),
        answer: &Form,
    ) -> Result<Connected, NotFinished> {
        let ends = trip.ends().after(Duration::from_secs(1));
        let kept = self.kept(till, user).await.map_err(|_| NotFinished::Ours)?;
        let Some(Kept { server, client, .. }) = kept.filter(|kept| {
            let is_same = kept.server.issuer == trip.issuer() && kept.client.id == trip.client() && kept.redirect == trip.redirect();
            // What is configured otherwise by now is no end of what was begun (I5).
            let is_ours = match &self.config.client_id {
                Some(id) => *id == kept.client.id,
                None => kept.client.how != How::Configured,
            };
            is_same
                && is_ours
                && kept.origin == self.origin_url
                && self.config.issuer.as_ref().is_none_or(|issuer| *issuer == kept.server.issuer)
        }) else {
            // Also where somebody else is signed in: what they began is not kept under this name.
            return Err(trip.arrive(&self.server, user, browser, answer, Naming::Open).err().unwrap_or(NotArrived::Other).into());
        };
        let arrived = trip.arrive(&self.server, user, browser, answer, server.naming)?;
        match till.store.decide_once((&arrived.once(), ends), till.env.now()).await {
            Ok(true) => {}
            Ok(false) => return Err(NotFinished::Replayed),
            Err(_) => return Err(NotFinished::Ours),
        }
        let request = exchange(&arrived, &client).map_err(|_| NotArrived::Other)?;
        let began = till.env.now();
        let given = match self.asker.tokens(&server.token, user, &request, (arrived.trip().scopes(), began)).await {
            // The client that was registered for this person is known no more: the next attempt registers another.
            Err(Trouble::Given(bad)) if bad.is_client() && client.how == How::Registered => {
                self.forget_client(till, user).await;
                return Err(Trouble::Given(bad).into());
            }
            given => given?,
        };
        let client_of = (client.id.clone(), client.how);
        let blocked = given.scopes.iter().filter(|scope| self.config.blocked_scopes.contains(*scope) && !given.wider.contains(scope));
        let (wider, issuer) = (given.wider.iter().chain(blocked).cloned().collect(), server.issuer.clone());
        let replaced = self.replaces(till, user, &client_of.0).await;
        let farewell = hex(&arrived.once());
        let held = self.held((server, client), arrived.trip().resource(), given, till);
        let bytes = held.to_bytes().map_err(|_| NotFinished::Ours)?;
        let shown = held.parts().label.clone().unwrap_or_else(|| self.title.clone());
        let value = Secret::new(bytes.to_vec());
        let new = NewConnection {
            owner: user,
            server: &self.server,
            kind: ConnectionKind::Granted,
            label: &shown,
            scopes: held.scopes(),
            value: &value,
            replaced: replaced.then_some(farewell.as_str()),
        };
        till.store.connect_account(&new, till.env.now()).await.map_err(|error| match error {
            StoreError::Refused(doorward_store::Refused::TooMany) => NotFinished::TooMany,
            _ => NotFinished::Ours,
        })?;
        Ok(Connected { scopes: held.scopes().to_vec(), wider, client: client_of, issuer, arrived })
    }

    fn held(&self, (server, client): (AuthorizationServer, UpstreamClient), resource: &str, given: Given, till: &Till<'_>) -> Held {
        // What the account is called there nobody says: where it is does.
        let host = format!("account at {}", host_of(&server.issuer));
        let parts = Parts {
            origin: self.origin_url.clone(),
            resource: resource.to_owned(),
            label: label(&host),
            connected: till.env.now(),
            server,
            client,
        };
        Held::connect(parts, given)
    }

    /// Whether what is connected now is of another client than `client`. What is of the same one a provider may take for the same consent:
    /// to take the old one back would take the new one, too.
    async fn replaces(&self, till: &Till<'_>, user: &UserId, client: &str) -> bool {
        let known = till.store.connection(user, &self.server).await.ok().flatten();
        let held = known.and_then(|known| Held::from_bytes(known.value.expose()).ok());
        held.is_some_and(|held| held.parts().client.id != client)
    }

    /// Forgets the client that was registered for a person here.
    pub(crate) async fn forget_client(&self, till: &Till<'_>, user: &UserId) {
        if till.store.remove_secret(user, &self.kept_name()).await.is_err() {
            tracing::warn!(server = %self.server, "a client that is of no use any more could not be forgotten");
        }
    }

    /// Tells the provider that a connection is over (RFC 7009).
    pub(crate) async fn say_farewell(&self, farewell: &Farewell) -> Goodbye {
        let Ok(held) = Held::from_bytes(farewell.value.expose()) else { return Goodbye::Never("unreadable") };
        let held = self.with_client_of_now(held);
        let Some(endpoint) = held.parts().server.revocation.clone() else { return Goodbye::Never("no_revocation_endpoint") };
        let mut told = Goodbye::Never("no_token");
        for request in revoke(&held) {
            told = match (self.asker.revoke(&endpoint, &farewell.owner, &request).await, told) {
                (Ok(()), _) => Goodbye::Heard,
                // With the refresh token the rest has gone; not everybody takes back access tokens.
                (Err(Trouble::Status(400..=499, _)), Goodbye::Heard) => Goodbye::Heard,
                (Err(trouble), _) => return Goodbye::Later(trouble.reason()),
            };
        }
        told
    }

    /// With the secret that the client has now, where it is the one that the connection was made with at the same provider. What was
    /// configured otherwise meanwhile is told to nobody of before (I5).
    fn with_client_of_now(&self, held: Held) -> Held {
        let parts = held.parts();
        let is_ours = parts.client.how == How::Configured
            && self.config.client_id.as_ref() == Some(&parts.client.id)
            && self.config.issuer.as_ref() == Some(&parts.server.issuer)
            && parts.origin == self.origin_url;
        match UpstreamClient::configured(&parts.client.id, self.client_secret(), &parts.server) {
            Ok(client) if is_ours => held.of_client(client),
            _ => held,
        }
    }
}

/// The host of an address, for people.
fn host_of(url: &str) -> &str {
    url.split("://").nth(1).and_then(|rest| rest.split(['/', '?']).next()).unwrap_or(url)
}

fn read(text: &[u8]) -> Option<Kept> {
    let mut whole: Value = serde_json::from_slice(text).ok()?;
    let server = serde_json::from_value(whole.get_mut("server")?.take()).ok()?;
    let client = UpstreamClient::from_bytes(whole.get("client")?.as_str()?.as_bytes()).ok()?;
    let text = |key: &str| whole.get(key).and_then(Value::as_str).map(str::to_owned);
    Some(Kept { server, client, redirect: text("redirect")?, origin: text("origin")? })
}
