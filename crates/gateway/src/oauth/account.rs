//! The step between a yes and its answer, where the server wants an account of the person: the yes is kept as what it is, a fact of the
//! store for one request of one person, while they connect the account (house 11.3). What it led to is decided again from it, against what
//! is offered then.

use super::authorize::Underway;
use super::clients::Reading;
use super::consent::{LASTING, Shown, page_of};
use crate::Gateway;
use crate::listen::OfficeRequest;
use crate::listen::body::Body;
use crate::signin::Person;
use crate::ui::consent::ActsAs;
use crate::ui::text::Claimed;
use doorward_core::audit::outcome::Notice;
use doorward_core::config::CredentialConfig;
use doorward_core::id::ServerName;
use doorward_core::oauth::flow::{Approved, Browser, Decision, approve};
use doorward_core::oauth::form::Form;
use doorward_core::oauth::keys::Ticket;
use doorward_core::oauth::scope::Scope;
use doorward_core::secret::Secret;
use doorward_store::{ConnectionState, StoreError};
use http::Response;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What a person said to one request, as the form had it.
pub(super) struct Yes {
    request: String,
    ticked: Vec<String>,
    lasting: String,
    /// The answer is carried by hand to another computer.
    pub(super) by_hand: bool,
    /// They go on without an account.
    skipped: bool,
}

impl Yes {
    /// `page` names the request and its client as they were shown.
    pub(super) fn of(page: String, ticked: &BTreeSet<Scope>, form: &Form) -> Self {
        Self {
            request: page,
            ticked: ticked.iter().map(Scope::to_string).collect(),
            lasting: form.get("duration").unwrap_or_default().to_owned(),
            by_hand: form.get("decision") == Some("remote"),
            skipped: false,
        }
    }

    fn to_bytes(&self) -> Vec<u8> {
        let Self { request, ticked, lasting, by_hand, skipped } = self;
        let whole = json!({"request": request, "ticked": ticked, "lasting": lasting, "by_hand": by_hand, "skipped": skipped});
        whole.to_string().into_bytes()
    }

    fn read(text: &[u8]) -> Option<Self> {
        let whole: Value = serde_json::from_slice(text).ok()?;
        let ticked = whole.get("ticked")?.as_array()?.iter().map(|one| one.as_str().map(str::to_owned)).collect::<Option<_>>()?;
        let text = |key: &str| whole.get(key).and_then(Value::as_str).map(str::to_owned);
        let flag = |key: &str| whole.get(key).and_then(Value::as_bool);
        let (request, lasting) = (text("request")?, text("lasting")?);
        Some(Self { request, ticked, lasting, by_hand: flag("by_hand")?, skipped: flag("skipped")? })
    }

    fn decision(&self) -> Option<Decision> {
        let lasting = LASTING.iter().find(|(value, ..)| self.lasting == *value).map(|(.., lasting)| *lasting)?;
        let ticked = self.ticked.iter().map(|text| Scope::parse(text)).collect::<Option<_>>()?;
        Some(Decision { ticked, lasting })
    }
}

/// One yes at a time for each server: who goes on with another request is asked again for this one.
fn kept_as(server: &ServerName) -> String {
    format!("allowed:{server}")
}

impl Gateway {
    /// The account of a person at a server, by its name, if the server wants one and it can be used.
    pub(super) async fn account_of(&self, person: &Person, server: &ServerName) -> Result<Option<String>, StoreError> {
        let known = self.store.list_connections(Some(&person.user)).await?;
        let fit = known.into_iter().find(|known| known.server == *server && known.state == ConnectionState::Works);
        Ok(fit.map(|known| known.label))
    }

    /// As whom calls will go to a server; `account` is the person's own there, if it can be used.
    pub(super) fn acts_as(&self, server: &ServerName, account: Option<&str>) -> ActsAs {
        match self.upstreams.find(server).map(|upstream| &upstream.config.credential) {
            Some(CredentialConfig::Header { .. }) => ActsAs::SharedKey,
            Some(CredentialConfig::UserSecret(_) | CredentialConfig::Oauth(_)) => match account {
                Some(name) => ActsAs::Account(Claimed::new(name)),
                None => ActsAs::NotConnected(self.upstreams.find(server).map_or_else(|| server.to_string(), |of| of.config.title.clone())),
            },
            Some(CredentialConfig::Google(credential)) => ActsAs::Service(Claimed::new(&credential.shown())),
            Some(CredentialConfig::None) | None => ActsAs::Nobody,
        }
    }

    /// What an application that waits calls itself; its id where it cannot be read just now.
    pub(crate) async fn name_of_client(&self, id: &str) -> Claimed {
        match self.clients.resolve(id, Reading::Withheld, self.env.now()).await {
            Ok(client) => Claimed::new(client.name()),
            Err(_) => Claimed::technical(id),
        }
    }

    /// Whether what was just allowed waits for an account: then the yes is kept.
    pub(super) async fn waits_for_account(
        &self,
        request: &OfficeRequest,
        person: &Person,
        approved: &Approved,
        yes: &Yes,
    ) -> Result<bool, StoreError> {
        let (server, client) = (approved.request().server(), approved.request().client().id());
        let wants = self.upstreams.find(server).is_some_and(|upstream| upstream.config.credential.is_of_each_person());
        if !wants || self.account_of(person, server).await?.is_some() {
            return Ok(false);
        }
        self.store.put_secret(&person.user, &kept_as(server), &Secret::new(yes.to_bytes())).await?;
        let (id, user) = (Some(request.id), Some(&person.user));
        let reason = "consent_waits_for_account";
        self.note(&Notice { reason, id, user, client: Some(client), server: Some(server), ..Notice::default() }).await;
        Ok(true)
    }

    /// The yes to exactly this request, of the client as it was shown, that this person gave before they connected the account it waits
    /// for. Until they have, or have said that they go on without, it is none: who comes back is asked again.
    pub(super) async fn said_yes(&self, ticket: &Ticket, person: &Person, underway: &Underway) -> Option<Yes> {
        let server = underway.request.server();
        if !self.upstreams.find(server)?.config.credential.is_of_each_person() {
            return None;
        }
        let (text, _) = self.store.secret(&person.user, &kept_as(server)).await.ok()??;
        let yes = Yes::read(text.expose()).filter(|yes| yes.request == page_of(ticket, &underway.request))?;
        let goes_on = yes.skipped || self.account_of(person, server).await.ok()?.is_some();
        goes_on.then_some(yes)
    }

    /// The person goes on without an account: what they allowed is answered all the same.
    ///
    /// # Errors
    /// [`StoreError`]: nothing was changed.
    pub(crate) async fn skip_account(&self, person: &Person, server: &ServerName) -> Result<(), StoreError> {
        let Some((text, version)) = self.store.secret(&person.user, &kept_as(server)).await? else { return Ok(()) };
        let Some(yes) = Yes::read(text.expose()) else { return Ok(()) };
        let skipped = Secret::new(Yes { skipped: true, ..yes }.to_bytes());
        self.store.swap_secret(&person.user, &kept_as(server), version, &skipped).await.map(|_| ())
    }

    /// From that yes to the answer: it counts once, and for no more than is offered now.
    pub(super) async fn goes_on(
        &self,
        request: &OfficeRequest,
        (ticket, sealed): (&Ticket, &str),
        underway: Underway,
        person: &Person,
        yes: Yes,
    ) -> Response<Body> {
        let kept = kept_as(underway.request.server());
        // Gone whatever follows. The ticket itself is used up with the answer.
        if self.store.remove_secret(&person.user, &kept).await.is_err() {
            return self.away(request.id);
        }
        let name = underway.request.client().name().to_owned();
        if let Some(decision) = yes.decision()
            && let Ok(approved) = approve(underway.request, &underway.facts, decision, ticket.begun, self.env.now())
        {
            return self.allowed(request, ticket, (&approved, &underway.facts.offer), &name, yes.by_hand).await;
        }
        match self.underway(request, ticket, Some(person), Browser::Same).await {
            Ok(again) => self.ask(request, (ticket, sealed), &again, person, Shown::Changed).await,
            Err(_) => self.too_old(request),
        }
    }
}
