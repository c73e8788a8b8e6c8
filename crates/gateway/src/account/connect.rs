//! `/connect/<server>` and its callback: a person connects, changes and removes their own account at a server (product 5.4; credentials
//! 8.2). The address carries no right: whoever opens it sees their own account, or is asked to sign in.
//!
//! Leaving is a POST from a page of ours. Coming back is a GET from another site: what it says counts only together with the trip that is
//! sealed in a cookie of this browser, for the person who began it, and once (attacks OC-01 to OC-03).

use crate::Gateway;
use crate::credential::granted::{Connected, NotBegun, NotFinished, Trouble};
use crate::credential::{Broker, Granted};
use crate::listen::OfficeRequest;
use crate::listen::body::Body;
use crate::listen::page::{not_allowed, see_other};
use crate::signin::browser;
use crate::signin::{BadPost, Person, Problem, posted};
use crate::ui::connect::{Account, ConnectPage, Way};
use crate::ui::departure::DeparturePage;
use crate::ui::headers::Class;
use crate::ui::me::{Connection, Health};
use crate::ui::problem::Side;
use crate::ui::text::{Claimed, Hidden, Target};
use crate::when::ago;
use doorward_core::audit::outcome::Notice;
use doorward_core::config::{CredentialConfig, Selector, Server, Somebody, Through};
use doorward_core::connection::client::How;
use doorward_core::connection::given::BadGiven;
use doorward_core::connection::trip::NotArrived;
use doorward_core::id::{CorrelationId, ServerName};
use doorward_core::oauth::form::Form;
use doorward_core::oauth::keys::Ticket;
use doorward_core::oauth::request::Front;
use doorward_core::secret::Secret;
use doorward_store::{ConnectionInfo, ConnectionKind, ConnectionState, NewConnection, OnRecord, Refused, StoreError};
use http::{Method, Response};
use std::sync::Arc;

/// What is said above the page.
#[derive(Default)]
struct Words<'a> {
    done: Option<&'a str>,
    error: Option<&'a str>,
    /// The sealed request that waits.
    waits: Option<&'a str>,
}

/// The page that its forms belong to.
fn page_of(server: &ServerName) -> String {
    format!("connect {server}")
}

impl Gateway {
    /// `/connect/<server>`.
    pub(crate) async fn connection(&self, mut request: OfficeRequest, name: &ServerName) -> Response<Body> {
        let person = match self.person(&request.headers).await {
            Ok(Some(person)) => person,
            Ok(None) => return self.connects_after_sign_in(&request, name),
            Err(_) => return self.away(request.id),
        };
        let Some(server) = self.connectable(name, &person) else { return self.nothing_here(request.id) };
        if request.method == Method::GET || request.method == Method::HEAD {
            let waiting = browser::cookie(&request.headers, browser::WAITING).map(str::to_owned);
            let waits = waiting.as_deref().filter(|sealed| self.waits_for(sealed, &request, name));
            return self.connect_page(&request, &person, &server, Words { waits, ..Words::default() }).await;
        }
        if request.method != Method::POST {
            return not_allowed("GET, HEAD, POST");
        }
        let form = match posted(&mut request, &[]).await {
            Ok(form) => form,
            Err(bad) => return self.not_posted_here(bad, &request).await,
        };
        if self.shown(&form, &page_of(name), Some(&person)).is_none() {
            return self.bad_post(BadPost::Elsewhere, request.id);
        }
        if person.disabled {
            return self.disabled_here(request.id);
        }
        let waits = form.get("txn").filter(|sealed| self.waits_for(sealed, &request, name));
        match form.get("action") {
            Some("connect") => self.leaves(&request, &person, &server, waits).await,
            Some("enter") => self.entered(&request, &person, &server, (form.get("secret").unwrap_or_default(), waits)).await,
            Some("disconnect") => self.disconnected(&request, &person, &server).await,
            Some("skip") if waits.is_some() => match self.skip_account(&person, name).await {
                Ok(()) => see_other(&format!("/oauth/consent?txn={}", waits.unwrap_or_default())),
                Err(_) => self.away(request.id),
            },
            _ => self.bad_post(BadPost::Unreadable, request.id),
        }
    }

    /// A server of this person at which each has an account of their own. Any other one is not there.
    fn connectable(&self, name: &ServerName, person: &Person) -> Option<Arc<Server>> {
        let who = Somebody { user: &person.user, groups: &person.groups, through: Through::Any };
        let server = &self.upstreams.find(name)?.config;
        let offered = server.enabled && Selector::is_visible(&server.visible_to, &who) && server.credential.is_of_each_person();
        offered.then(|| Arc::clone(server))
    }

    /// Whether a sealed request of this browser is for this server.
    fn waits_for(&self, sealed: &str, request: &OfficeRequest, name: &ServerName) -> bool {
        let ticket = self.reception.keys.open(sealed, self.env.now()).ok();
        ticket.is_some_and(|ticket| browser::began(&request.headers, &ticket) && ticket.front.is_for(name, self.root()))
    }

    fn connects_after_sign_in(&self, request: &OfficeRequest, name: &ServerName) -> Response<Body> {
        let (Ok(id), Ok(nonce)) = (self.env.bytes::<16>(), self.env.bytes::<12>()) else { return self.away(request.id) };
        // Bound to no browser: it stands for an address that anybody may open.
        let ticket = Ticket { id, browser: [0; 32], begun: self.env.now(), unled: false, front: Front::connecting(name) };
        let Ok(sealed) = self.reception.keys.seal(&ticket, nonce) else { return self.away(request.id) };
        self.sign_in_page(request, Some(&sealed), None)
    }

    async fn connect_page(&self, request: &OfficeRequest, person: &Person, server: &Server, words: Words<'_>) -> Response<Body> {
        let Ok(known) = self.store.list_connections(Some(&person.user)).await else { return self.away(request.id) };
        let account = known.into_iter().find(|known| known.server == server.name);
        let waits = words.waits.and_then(|sealed| {
            let ticket = self.reception.keys.open(sealed, self.env.now()).ok()?;
            Some((ticket, Hidden::new(sealed.to_owned())))
        });
        let waits = match waits {
            Some((ticket, hidden)) => Some((self.name_of_client(&ticket.front.client_id).await, hidden)),
            None => None,
        };
        let page = ConnectPage {
            frame: self.frame(Some(person)),
            csrf: Hidden::new(self.form_token(&page_of(&server.name), Some(person))),
            name: server.name.to_string(),
            server: server.title.clone(),
            way: match &server.credential {
                CredentialConfig::UserSecret(deposit) => Way::Secret(deposit.help_url.clone()),
                _ => Way::Provider,
            },
            account: account.map(|known| Account {
                name: Claimed::new(&known.label),
                health: health(&known),
                since: ago(self.env.now(), known.created),
                scopes: (!known.scopes.is_empty()).then(|| Claimed::new(&known.scopes.join(", "))),
            }),
            done: words.done.map(str::to_owned),
            error: words.error.map(str::to_owned),
            waits,
        };
        self.html(200, Class::Page, page.render())
    }

    fn granted(&self, server: &Server) -> Option<&Arc<Granted>> {
        match self.brokers.get(&server.name) {
            Some(Broker::Granted(granted)) => Some(granted),
            _ => None,
        }
    }

    /// To the provider: on the record first, and only after this person said so on our page.
    async fn leaves(&self, request: &OfficeRequest, person: &Person, server: &Server, waits: Option<&str>) -> Response<Body> {
        let Some(granted) = self.granted(server) else { return self.bad_post(BadPost::Unreadable, request.id) };
        let (id, user, of) = (Some(request.id), Some(&person.user), Some(&server.name));
        let notice = Notice { reason: "account_connecting", id, user, server: of, ..Notice::default() };
        if self.audit.event(&notice, self.env.now()).await.is_err() {
            return self.away(request.id);
        }
        let who = (&person.user, *person.browser.as_bytes());
        let going = match granted.begin(&self.till(), &self.trips, who, self.root(), waits).await {
            Ok(going) => going,
            Err(why) => return self.does_not_leave(request, person, server, &why).await,
        };
        let Some(target) = Target::new(&going.address) else { return self.away(request.id) };
        let page = DeparturePage { frame: self.frame(Some(person)), target, provider: format!("{}, at {}", server.title, going.host) };
        // 200 and a refresh: a redirect after a form would be stopped by `form-action` (product 5.3).
        let mut response = self.html(200, Class::Page, page.render());
        browser::travel(&mut response, &request.headers, &going.state, &going.sealed);
        if let Some(sealed) = waits {
            browser::keep_waiting(&mut response, sealed);
        }
        response
    }

    async fn does_not_leave(&self, request: &OfficeRequest, person: &Person, server: &Server, why: &NotBegun) -> Response<Body> {
        tracing::warn!(id = %request.id, server = %server.name, %why, "an account could not be connected");
        self.not_connected(request, person, server, why.reason()).await;
        let (side, title, text, next) = match why {
            NotBegun::Ours => return self.away(request.id),
            NotBegun::OtherIssuer => (
                Side::Provider,
                "The server names another provider than before",
                "Your account is at one provider, and the server now names another one. Nothing was sent.",
                "If you know that this is right, disconnect your account on the page before, and connect it again. Else ask the administrator.",
            ),
            NotBegun::NoClient => (
                Side::Us,
                "This gateway is not known there yet",
                "The provider takes only applications that were registered by hand, and this gateway was not. Nothing was sent.",
                "Ask the administrator to register this gateway there, with the number below.",
            ),
            NotBegun::NotFound(found) if found.is_away() => (
                Side::Provider,
                "The provider cannot be reached",
                "The server, or who signs people in for it, does not answer as it should. Nothing was changed.",
                "Try again in a minute. If this stays so, give the number below to the administrator.",
            ),
            _ => (
                Side::Provider,
                "The provider cannot be used safely",
                "What the server says of who signs people in for it is missing, or not as it has to be. Nothing was sent.",
                "Give the number below to the administrator of this gateway.",
            ),
        };
        let link = Some(("/me", "Your accounts"));
        self.problem(502, Problem { side, title, text, about: Some(&server.title), next, link }, request.id)
    }

    async fn not_connected(&self, request: &OfficeRequest, person: &Person, server: &Server, why: &str) {
        let (id, user, of) = (Some(request.id), Some(&person.user), Some(&server.name));
        let notice = Notice { reason: "account_refused", id, user, server: of, cause: Some(why), ..Notice::default() };
        self.note(&notice).await;
    }

    /// `/connect/<server>/callback`: where the provider sends the browser back to.
    pub(crate) async fn connected(&self, request: OfficeRequest, name: &ServerName) -> Response<Body> {
        if request.method != Method::GET {
            return not_allowed("GET");
        }
        let person = match self.person(&request.headers).await {
            Ok(Some(person)) => person,
            Ok(None) => return self.not_this_connection(&request),
            Err(_) => return self.away(request.id),
        };
        let Some(server) = self.connectable(name, &person) else { return self.nothing_here(request.id) };
        let Ok(answer) = Form::parse(request.query.as_deref().unwrap_or_default()) else { return self.not_this_connection(&request) };
        let state = answer.get("state").unwrap_or_default().to_owned();
        let trip = browser::travelled(&request.headers, &state).and_then(|sealed| self.trips.open(sealed, self.env.now()).ok());
        let (Some(trip), Some(granted)) = (trip, self.granted(&server)) else {
            // No trip of this browser: whose it is nobody can say, and it may come as often as anybody likes.
            tracing::info!(id = %request.id, "an answer of a provider belongs to no connection of this browser");
            return self.not_this_connection(&request);
        };
        // On the record before the code is given away (I2).
        let (id, user, of) = (Some(request.id), Some(&person.user), Some(&server.name));
        let notice = Notice { reason: "account_answered", id, user, server: of, ..Notice::default() };
        if person.disabled || self.audit.event(&notice, self.env.now()).await.is_err() {
            return self.away(request.id);
        }
        let finished = granted.finish(&self.till(), trip, (&person.user, person.browser.as_bytes()), &answer).await;
        let mut response = match finished {
            Ok(connected) => self.is_connected(&request, &person, &server, &connected).await,
            Err(why) => self.did_not_finish(&request, &person, &server, &why).await,
        };
        browser::returned(&mut response, &state);
        response
    }

    async fn is_connected(&self, request: &OfficeRequest, person: &Person, server: &Server, connected: &Connected) -> Response<Body> {
        let shared = if connected.client.1 == How::Configured { "client of all" } else { "client of this connection" };
        let cause = format!("{}, {shared}, scopes {}, client {}", connected.issuer, connected.scopes.join(" "), connected.client.0);
        if !self.kept_on_record(request, person, server, &cause).await {
            return self.away(request.id);
        }
        self.forget_account(&server.name, &person.user);
        let wider = connected.wider.join(" ");
        if !wider.is_empty() {
            let (reason, cause) = ("account_wider", Some(wider.as_str()));
            self.note(&Notice {
                reason,
                id: Some(request.id),
                user: Some(&person.user),
                server: Some(&server.name),
                cause,
                ..Notice::default()
            })
            .await;
        }
        let waiting = browser::cookie(&request.headers, browser::WAITING).filter(|sealed| connected.arrived.leads_to(sealed));
        if let Some(sealed) = waiting.filter(|sealed| self.waits_for(sealed, request, &server.name)) {
            return see_other(&format!("/oauth/consent?txn={sealed}"));
        }
        let mut done = "Connected. Go back to your application and try again.".to_owned();
        if !wider.is_empty() {
            done.push_str(" The provider allowed more than this gateway asked for; you can take it back there.");
        }
        self.connect_page(request, person, server, Words { done: Some(&done), ..Words::default() }).await
    }

    /// No record, no effect: what cannot be recorded is taken away again.
    async fn kept_on_record(&self, request: &OfficeRequest, person: &Person, server: &Server, cause: &str) -> bool {
        let (id, user, of) = (Some(request.id), Some(&person.user), Some(&server.name));
        let notice = Notice { reason: "account_connected", id, user, server: of, cause: Some(cause), ..Notice::default() };
        if self.audit.event(&notice, self.env.now()).await.is_ok() {
            return true;
        }
        let farewell = request.id.to_string();
        if self.store.disconnect_account((&person.user, &server.name), &farewell, OnRecord::Already, self.env.now()).await.is_err() {
            tracing::error!(server = %server.name, "an account that is on no record could not be taken away");
        }
        false
    }

    async fn did_not_finish(&self, request: &OfficeRequest, person: &Person, server: &Server, why: &NotFinished) -> Response<Body> {
        tracing::warn!(id = %request.id, server = %server.name, %why, "an account was not connected");
        let cause = match why {
            NotFinished::NotArrived(NotArrived::OtherUser(began)) => format!("{} begun by {began}", why.reason()),
            _ => why.reason(),
        };
        self.not_connected(request, person, server, &cause).await;
        let (side, status, title, text) = match why {
            NotFinished::Ours => return self.away(request.id),
            NotFinished::Replayed | NotFinished::NotArrived(NotArrived::Other | NotArrived::OtherUser(_) | NotArrived::OtherBrowser) => {
                return self.not_this_connection(request);
            }
            NotFinished::TooMany => {
                (Side::You, 409, "You connected too many accounts", "There is room for 200 accounts of one person. Nothing was kept.")
            }
            NotFinished::NotArrived(NotArrived::Refused(code)) if code == "access_denied" => (
                Side::Provider,
                403,
                "Nothing was connected",
                "The provider says that it was cancelled there, or that your account may not do this.",
            ),
            NotFinished::NotArrived(NotArrived::Refused(_)) | NotFinished::Trouble(Trouble::Given(BadGiven::Refused(_))) => {
                (Side::Provider, 502, "The provider refused", "The provider did not give what was asked for. Nothing was connected.")
            }
            NotFinished::NotArrived(_) => (
                Side::Provider,
                502,
                "The provider's answer cannot be believed",
                "What came back is not its answer. Nothing was connected.",
            ),
            NotFinished::Trouble(_) => (
                Side::Provider,
                502,
                "The provider cannot be used at the moment",
                "It does not answer, or not as it should. Nothing was connected.",
            ),
        };
        let next = "Try again. If this stays so, give the number below to the administrator of this gateway.";
        let link = Some(("/me", "Your accounts"));
        self.problem(status, Problem { side, title, text, about: Some(&server.title), next, link }, request.id)
    }

    fn not_this_connection(&self, request: &OfficeRequest) -> Response<Body> {
        let problem = Problem {
            side: Side::You,
            title: "This connection does not go on here",
            text: "It began in another browser or for somebody else, it is over, or it is older than ten minutes. If somebody sent you this address, they may have tried to get at an account of yours. Nothing was connected.",
            about: None,
            next: "Begin again on the page of your accounts.",
            link: Some(("/me", "Your accounts")),
        };
        self.problem(400, problem, request.id)
    }

    /// Keeps a secret that the person entered. It goes nowhere but to the vault.
    async fn entered(
        &self,
        request: &OfficeRequest,
        person: &Person,
        server: &Server,
        (secret, waits): (&str, Option<&str>),
    ) -> Response<Body> {
        if !matches!(server.credential, CredentialConfig::UserSecret(_)) {
            return self.bad_post(BadPost::Unreadable, request.id);
        }
        let secret = Secret::new(secret.trim().as_bytes().to_vec());
        let fits = (1..=LONGEST).contains(&secret.expose().len()) && secret.expose().iter().all(u8::is_ascii_graphic);
        if !fits {
            let error = Some("This is no key: a key is one word of letters, digits and signs, without spaces. Nothing was kept.");
            return self.connect_page(request, person, server, Words { error, waits, ..Words::default() }).await;
        }
        let Some(Broker::Entered(broker)) = self.brokers.get(&server.name) else { return self.bad_post(BadPost::Unreadable, request.id) };
        // On the record before it is anything.
        let (id, user, of, cause) = (Some(request.id), Some(&person.user), Some(&server.name), Some("a key that was entered"));
        let notice = Notice { reason: "account_connected", id, user, server: of, cause, ..Notice::default() };
        if self.audit.event(&notice, self.env.now()).await.is_err() {
            return self.away(request.id);
        }
        let value = broker.sealed(std::str::from_utf8(secret.expose()).unwrap_or_default());
        let label = format!("key of {}", person.shown.chars().filter(|c| !c.is_control()).take(100).collect::<String>());
        let farewell = request.id.to_string();
        let new = NewConnection {
            owner: &person.user,
            server: &server.name,
            kind: ConnectionKind::Entered,
            label: &label,
            scopes: &[],
            value: &value,
            replaced: Some(&farewell),
        };
        if let Err(error) = self.store.connect_account(&new, self.env.now()).await {
            self.not_connected(request, person, server, "not_kept").await;
            return match error {
                StoreError::Refused(Refused::TooMany) => self.did_not_finish(request, person, server, &NotFinished::TooMany).await,
                _ => self.away(request.id),
            };
        }
        self.forget_account(&server.name, &person.user);
        if let Some(sealed) = waits {
            return see_other(&format!("/oauth/consent?txn={sealed}"));
        }
        let done = Some("Kept. Go back to your application and try again.");
        self.connect_page(request, person, server, Words { done, ..Words::default() }).await
    }

    async fn disconnected(&self, request: &OfficeRequest, person: &Person, server: &Server) -> Response<Body> {
        match self.removes(request, person, &server.name).await {
            Ok(gone) => {
                let done = Some(if gone { "Disconnected. It cannot be used any more." } else { "It was gone before." });
                self.connect_page(request, person, server, Words { done, ..Words::default() }).await
            }
            Err(_) => self.away(request.id),
        }
    }

    fn disabled_here(&self, id: CorrelationId) -> Response<Body> {
        let text = "The administrator of this gateway has disabled your account here. Nothing was changed.";
        let (title, next) = ("You may not do this", "Ask the administrator of this gateway.");
        self.problem(403, Problem { side: Side::You, title, text, about: None, next, link: None }, id)
    }

    /// Takes an account away: nobody can use it from now on; its provider is told as soon as it answers (credentials 8.5).
    pub(super) async fn removes(&self, request: &OfficeRequest, person: &Person, server: &ServerName) -> Result<bool, StoreError> {
        let farewell = request.id.to_string();
        let gone = self.store.disconnect_account((&person.user, server), &farewell, OnRecord::Already, self.env.now()).await?;
        if gone {
            self.forget_account(server, &person.user);
            if let Some(Broker::Granted(granted)) = self.brokers.get(server) {
                granted.forget_client(&self.till(), &person.user).await;
            }
            let (id, user, of) = (Some(request.id), Some(&person.user), Some(server));
            self.note(&Notice { reason: "account_disconnected", id, user, server: of, ..Notice::default() }).await;
        }
        Ok(gone)
    }

    /// The accounts of a person, for `/me`: those that there are, and those that there could be.
    pub(super) async fn accounts(&self, person: &Person) -> Result<Vec<Connection>, StoreError> {
        let known = self.store.list_connections(Some(&person.user)).await?;
        let mut found: Vec<Connection> = known
            .iter()
            .map(|known| Connection {
                id: known.server.to_string(),
                server: self.title_of(&known.server),
                account: Some(Claimed::new(&known.label)),
                health: health(known),
                detail: format!("connected {}", ago(self.env.now(), known.created)),
            })
            .collect();
        for upstream in self.upstreams.iter() {
            let name = &upstream.config.name;
            if self.connectable(name, person).is_some() && !known.iter().any(|known| known.server == *name) {
                found.push(Connection {
                    id: name.to_string(),
                    server: upstream.config.title.clone(),
                    account: None,
                    health: Health::SignInNeeded,
                    detail: "not connected".to_owned(),
                });
            }
        }
        Ok(found)
    }
}

/// Longest secret that is taken, in bytes.
const LONGEST: usize = 4_096;

fn health(known: &ConnectionInfo) -> Health {
    match (known.state, &known.trouble) {
        (ConnectionState::SignInNeeded, _) => Health::SignInNeeded,
        // Not the person's to mend.
        (ConnectionState::Works, Some(why)) if why == "client_refused" => Health::Damaged,
        (ConnectionState::Works, Some(_)) => Health::Refreshing,
        (ConnectionState::Works, None) => Health::Works,
    }
}
