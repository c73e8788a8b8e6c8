//! The consent page and its decision: filled from the store, checked again when it comes back (product 5.2; house 11.3).
//!
//! A yes is a row that this file writes, together with its code, in one transaction that uses the request up. What the form
//! says besides which rows were ticked and for how long counts for nothing.

use super::account::Yes;
use super::authorize::{Stop, Underway};
use super::way::{On, Recall};
use crate::Gateway;
use crate::listen::OfficeRequest;
use crate::listen::body::Body;
use crate::listen::page::{not_allowed, see_other};
use crate::signin::browser;
use crate::signin::{BadPost, Person, Problem, posted};
use crate::ui::consent::{
    Answer as Leaves, Application, Changes, Class, ClassRow, ConsentPage, Destination, Details, Device, Difference as Said,
    Duration as Choice, Identity as Badge, Notice as Why, Server, Tool,
};
use crate::ui::handoff::{HandOffPage, Outcome, PastePage};
use crate::ui::headers;
use crate::ui::problem::Side;
use crate::ui::text::{Claimed, Hidden, Target};
use crate::when::{ago, day, until};
use doorward_core::audit::outcome::Notice;
use doorward_core::id::{CredentialId, ServerName};
use doorward_core::oauth::attempt::{Mark, Step};
use doorward_core::oauth::client::{ClientAuth, DocumentSource, Identity};
use doorward_core::oauth::device::DeviceName;
use doorward_core::oauth::dpop::Binding;
use doorward_core::oauth::flow::{Approved, Browser, Decision, Facts, Lasting, Next, NotApproved, Refusal, approve, remembered};
use doorward_core::oauth::form::Form;
use doorward_core::oauth::keys::Ticket;
use doorward_core::oauth::redirect::{Place, RedirectTarget, place};
use doorward_core::oauth::request::{AuthRequest, Back, ErrorCode};
use doorward_core::oauth::scope::{Scope, resource};
use doorward_core::oauth::standing::{Difference, Offer, Standing};
use doorward_core::policy::facts::RiskClass;
use doorward_core::secret::{AuthorizationCode, PlainToken};
use doorward_core::time::Timestamp;
use doorward_store::{DeviceInfo, Gives, NewGrant, StoreError};
use http::{Method, Response};
use std::collections::BTreeSet;
use std::time::Duration;

/// Why the page is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// For the first time, or again by the browser.
    First,
    /// The decision came faster than anybody reads (product C11).
    TooQuick,
    /// The answer goes to another site, and that was not ticked (product R3).
    SiteNotConfirmed,
    /// A device asks, and that it is the person's own was not ticked.
    DeviceNotConfirmed,
    /// What was offered is not what is offered now.
    Changed,
}

/// What a yes is called on the record that was given before.
const REMEMBERED: &str = "consent_remembered";
/// A decision that comes sooner than this after the page was shown is no decision (product C11).
const READING: Duration = Duration::from_millis(700);
/// How long a consent may last; the first is for applications that nobody vouches for (product C9).
pub(super) const LASTING: [(&str, &str, Lasting); 3] = [
    ("8h", "8 hours", Lasting::For(Duration::from_secs(8 * 3600))),
    ("30d", "30 days", Lasting::For(Duration::from_secs(30 * 24 * 3600))),
    ("until-removed", "until I remove it", Lasting::UntilRemoved),
];

impl Gateway {
    /// `/oauth/consent`: the page of a request, or its decision.
    pub(crate) async fn consent(&self, mut request: OfficeRequest) -> Response<Body> {
        if request.method == Method::GET {
            return self.resume(&request).await;
        }
        if request.method != Method::POST {
            return not_allowed("GET, POST");
        }
        let form = match posted(&mut request, &["grant"]).await {
            Ok(form) => form,
            Err(bad) => return self.not_posted_here(bad, &request).await,
        };
        let Some(sealed) = form.get("txn").map(str::to_owned) else { return self.too_old(&request) };
        let Ok(ticket) = self.reception.keys.open(&sealed, self.env.now()) else { return self.too_old(&request) };
        if !browser::began(&request.headers, &ticket) {
            return self.other_browser(&request).await;
        }
        let person = match self.person(&request.headers).await {
            Ok(Some(person)) => person,
            Ok(None) => return self.sign_in_page(&request, Some(&sealed), Some("You are not signed in any more. Nothing was decided.")),
            Err(_) => return self.away(request.id),
        };
        self.decided(&request, (&ticket, &sealed), &form, &person).await
    }

    async fn decided(&self, request: &OfficeRequest, (ticket, sealed): (&Ticket, &str), form: &Form, person: &Person) -> Response<Body> {
        let underway = match self.underway(request, ticket, Some(person), Browser::Same).await {
            Ok(underway) => underway,
            Err(Stop::SignIn) => return self.sign_in_page(request, Some(sealed), None),
            Err(Stop::Page(page)) => return *page,
            Err(Stop::Answer(answer)) => return self.leave(request, ticket, (answer.url(self.root()), ""), Outcome::Failed),
        };
        let asked = &underway.request;
        // The page that this form was on: of this request, of this client as it is now.
        let Some(age) = self.shown(form, &page_of(ticket, asked), Some(person)) else {
            return self.bad_post(BadPost::Elsewhere, request.id);
        };
        let now = self.env.now();
        match form.get("decision") {
            Some("other-user") => {
                if self.store.end_browser(&person.browser).await.is_err() {
                    return self.away(request.id);
                }
                let (user, cause) = (Some(&person.user), Some(person.id.as_str()));
                self.note(&Notice { reason: "signed_out", id: Some(request.id), user, cause, ..Notice::default() }).await;
                let mut response =
                    self.sign_in_page(request, Some(sealed), Some("You are signed out. The request waits for whoever signs in next."));
                browser::sign_out(&mut response);
                return response;
            }
            Some(no @ ("cancel" | "report")) => return self.declined(request, ticket, asked, person, no == "report").await,
            Some("allow" | "remote") => {}
            _ => return self.bad_post(BadPost::Unreadable, request.id),
        }
        if age < READING {
            return self.ask(request, (ticket, sealed), &underway, person, Shown::TooQuick).await;
        }
        if destination(asked) == Destination::DifferentSite && form.get("site") != Some("understood") {
            return self.ask(request, (ticket, sealed), &underway, person, Shown::SiteNotConfirmed).await;
        }
        if destination(asked) == Destination::Device && form.get("device") != Some("mine") {
            return self.ask(request, (ticket, sealed), &underway, person, Shown::DeviceNotConfirmed).await;
        }
        let lasting = LASTING.iter().find(|(value, ..)| form.get("duration") == Some(value)).map(|(.., lasting)| *lasting);
        let ticked: Option<BTreeSet<Scope>> = form.all("grant").map(Scope::parse).collect();
        let (Some(lasting), Some(ticked)) = (lasting, ticked) else { return self.bad_post(BadPost::Unreadable, request.id) };
        let yes = Yes::of(page_of(ticket, asked), &ticked, form);
        let (name, decision) = (asked.client().name().to_owned(), Decision { ticked, lasting });
        let (client, server, device) = (asked.client().clone(), asked.server().clone(), device_of(asked));
        let Underway { request: asked, facts } = underway;
        match approve(asked, &facts, decision, ticket.begun, now) {
            Ok(approved) => match self.waits_for_account(request, person, &approved, &yes).await {
                Ok(true) => {
                    let mut response = see_other(&format!("/connect/{server}"));
                    browser::keep_waiting(&mut response, sealed);
                    response
                }
                Ok(false) => self.allowed(request, ticket, (&approved, &facts.offer), &name, yes.by_hand).await,
                Err(_) => self.away(request.id),
            },
            Err(NotApproved::Nothing(answer)) => match self.said_no(ticket, device).await {
                Ok(true) => {
                    let (id, user, named) = (Some(request.id), Some(&person.user), Some(client.id()));
                    let (reason, cause) = ("consent_declined", Some("nothing was ticked"));
                    self.note(&Notice { reason, id, user, client: named, server: Some(&server), cause, ..Notice::default() }).await;
                    let mark = Mark::refused(Step::Decision, self.env.now(), reason);
                    self.note_step(On::decided(request, ticket, &person.user), (&client, &server), mark);
                    self.leave(request, ticket, (answer.url(self.root()), &name), Outcome::Denied)
                }
                Ok(false) => self.decided_before(request),
                Err(_) => self.away(request.id),
            },
            Err(NotApproved::NotOffered) => {
                let again = self.underway(request, ticket, Some(person), Browser::Same).await;
                match again {
                    Ok(again) => self.ask(request, (ticket, sealed), &again, person, Shown::Changed).await,
                    Err(_) => self.too_old(request),
                }
            }
            Err(NotApproved::Stale(Next::Refuse(Refusal::Client(answer)))) => {
                self.leave(request, ticket, (answer.url(self.root()), &name), Outcome::Failed)
            }
            Err(NotApproved::Stale(Next::Refuse(Refusal::OtherBrowser))) => self.other_browser(request).await,
            Err(NotApproved::Stale(Next::SignIn | Next::Consent | Next::Remembered)) => self.sign_in_page(request, Some(sealed), None),
        }
    }

    /// A yes: kept, then to the client.
    pub(super) async fn allowed(
        &self,
        request: &OfficeRequest,
        ticket: &Ticket,
        (approved, offer): (&Approved, &Offer),
        name: &str,
        by_hand: bool,
    ) -> Response<Body> {
        let url = match self.kept(request, ticket, (approved, Some(offer)), "consent_given").await {
            Ok(url) => url,
            Err(page) => return *page,
        };
        if by_hand && approved.request().target().is_some_and(RedirectTarget::is_loopback) {
            let Some(target) = url.as_deref().and_then(Target::new) else { return self.away(request.id) };
            let now = self.env.now();
            let expires = until(now, now.after(self.lives.code));
            let page = PastePage { frame: self.frame(None), target, application: Claimed::new(name), expires };
            let mut response = self.html(200, headers::Class::Page, page.render());
            browser::end(&mut response, ticket);
            return response;
        }
        self.leave(request, ticket, (url, name), Outcome::Allowed)
    }

    /// An earlier yes counts for this one (C14): on the record and in the store like one that is given now.
    pub(super) async fn recalled(&self, request: &OfficeRequest, ticket: &Ticket, underway: Underway) -> Response<Body> {
        let Underway { request: asked, facts } = underway;
        let Ok(approved) = remembered(asked, &facts, ticket.begun, self.env.now()) else { return self.too_old(request) };
        match self.kept(request, ticket, (&approved, None), REMEMBERED).await {
            // Only a browser carries an answer that nobody is asked about.
            Ok(None) => self.too_old(request),
            Ok(Some(url)) => {
                let mut response = see_other(&url);
                browser::end(&mut response, ticket);
                response
            }
            Err(page) => *page,
        }
    }

    /// Puts a yes on the record, then into the store with what it gives. The address that the browser goes to, if it carries the answer.
    async fn kept(
        &self,
        request: &OfficeRequest,
        ticket: &Ticket,
        (approved, offer): (&Approved, Option<&Offer>),
        reason: &'static str,
    ) -> Result<Option<String>, Box<Response<Body>>> {
        let away = || Box::new(self.away(request.id));
        let (Ok(code), Ok(id)) = (self.env.bytes::<32>(), self.env.bytes::<12>()) else { return Err(away()) };
        let code = PlainToken::<AuthorizationCode>::mint(&code);
        let id = format!("grant_{}", id.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        let id = CredentialId::new(&id).map_err(|_| away())?;
        let (asked, now) = (approved.request(), self.env.now());
        let granted: BTreeSet<String> = approved.granted().iter().map(Scope::to_string).collect();
        let words = granted.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
        let (place, target) = match asked.back() {
            Back::Browser { target, .. } => (target.as_str().to_owned(), target.origin()),
            Back::Device(name) => (name.short(), "device".to_owned()),
        };
        let cause = format!("{id}: {words}, answer to {place}");
        let (user, client, server) = (Some(approved.user()), Some(asked.client().id()), Some(asked.server()));
        let notice = Notice { reason, id: Some(request.id), user, client, server, cause: Some(&cause), ..Notice::default() };
        if self.audit.event(&notice, now).await.is_err() {
            return Err(away());
        }
        let (hash, expires) = (code.hashed(), now.after(self.lives.code));
        let named = asked.client().name().chars().filter(|c| !c.is_control()).take(60).collect::<String>();
        let new = NewGrant {
            id: &id,
            user: approved.user(),
            client: asked.client().id(),
            fingerprint: asked.client().fingerprint(),
            name: if named.trim().is_empty() { "(no name)" } else { &named },
            identity: identity_word(asked.client().identity()),
            target: &target,
            server: asked.server(),
            granted: &granted,
            offered: offer,
            expires: approved.ends(),
            gives: match asked.back() {
                Back::Browser { target, named, challenge, .. } => {
                    // Where no token is bound, what asks for it is not understood, and ignored as everything of the kind.
                    let key = asked.key().filter(|_| self.proofs.binding() != Binding::Off);
                    Gives::Code { code: &hash, redirect_uri: target.as_str(), named: *named, challenge: challenge.as_str(), expires, key }
                }
                Back::Device(name) => Gives::Device(name),
            },
            once: (&ticket.once(), ticket.ends().after(Duration::from_secs(1))),
        };
        match self.store.record_grant(&new, now).await {
            Ok(true) => {
                let recall = if reason == REMEMBERED { Recall::Earlier } else { Recall::Now };
                self.note_answer(On::decided(request, ticket, approved.user()), (asked.client(), asked.server()), &id, recall);
            }
            failed => {
                // The record says that it was given: now it says that it does not count.
                self.note(&Notice { reason: "consent_not_kept", ..notice }).await;
                return Err(Box::new(match failed {
                    Ok(_) => self.decided_before(request),
                    Err(StoreError::Refused(_)) => self.too_many(request),
                    Err(_) => self.away(request.id),
                }));
            }
        }
        Ok(approved.answer(&code).url(self.root()))
    }

    async fn declined(
        &self,
        request: &OfficeRequest,
        ticket: &Ticket,
        asked: &AuthRequest,
        person: &Person,
        is_report: bool,
    ) -> Response<Body> {
        match self.said_no(ticket, device_of(asked)).await {
            Ok(true) => {}
            Ok(false) => return self.decided_before(request),
            Err(_) => return self.away(request.id),
        }
        let reason = if is_report { "consent_reported" } else { "consent_declined" };
        let (user, client, server) = (Some(&person.user), Some(asked.client().id()), Some(asked.server()));
        self.note(&Notice { reason, id: Some(request.id), user, client, server, cause: None, ..Notice::default() }).await;
        self.note_step(
            On::decided(request, ticket, &person.user),
            (asked.client(), asked.server()),
            Mark::refused(Step::Decision, self.env.now(), reason),
        );
        let outcome = if is_report { Outcome::Reported } else { Outcome::Denied };
        let answer = asked.refuse(ErrorCode::AccessDenied);
        self.leave(request, ticket, (answer.url(self.root()), asked.client().name()), outcome)
    }

    /// Uses up the request, and that of a device with it. False if it was decided before.
    async fn said_no(&self, ticket: &Ticket, device: Option<DeviceName>) -> Result<bool, StoreError> {
        let (name, until, now) = (ticket.once(), ticket.ends().after(Duration::from_secs(1)), self.env.now());
        match device {
            Some(device) => self.store.deny_device(device, (&name, until), now).await,
            None => self.store.decide_once((&name, until), now).await,
        }
    }

    /// The page that sends the browser to the client: 200, since a redirect after a form would be stopped (product 5.3).
    fn leave(&self, request: &OfficeRequest, ticket: &Ticket, (url, name): (Option<String>, &str), outcome: Outcome) -> Response<Body> {
        let mut response = match url.map(|url| Target::new(&url)) {
            Some(None) => return self.away(request.id),
            Some(Some(target)) => {
                let page = HandOffPage { frame: self.frame(None), target, application: Claimed::new(name), outcome };
                self.html(200, headers::Class::Page, page.render())
            }
            None if outcome == Outcome::Failed => self.device_not_served(request),
            None => self.device_done(name, outcome),
        };
        browser::end(&mut response, ticket);
        response
    }

    /// Shows the question.
    pub(super) async fn ask(
        &self,
        request: &OfficeRequest,
        (ticket, sealed): (&Ticket, &str),
        underway: &Underway,
        person: &Person,
        shown: Shown,
    ) -> Response<Body> {
        let now = self.env.now();
        let Underway { request: asked, facts: Facts { offer, standing, .. } } = underway;
        let Ok((seen, held)) = self.known_of(asked, person).await else { return self.away(request.id) };
        let Ok(account) = self.account_of(person, asked.server()).await else { return self.away(request.id) };
        let waits = match device_of(asked) {
            Some(name) => match self.store.device(name, now).await {
                Ok(Some(info)) => Some(info),
                Ok(None) => return self.decided_before(request),
                Err(_) => return self.away(request.id),
            },
            None => None,
        };
        if shown == Shown::First {
            let (user, client, server) = (Some(&person.user), Some(asked.client().id()), Some(asked.server()));
            self.note(&Notice { reason: "consent_shown", id: Some(request.id), user, client, server, cause: None, ..Notice::default() })
                .await;
            let on = On::decided(request, ticket, &person.user);
            self.note_step(on, (asked.client(), asked.server()), Mark::done(Step::Question, self.env.now()));
        }
        let client = asked.client();
        let trusted = waits.is_none() && !matches!(client.identity(), Identity::SelfClaimed);
        let title =
            self.upstreams.find(asked.server()).map_or_else(|| asked.server().to_string(), |upstream| upstream.config.title.clone());
        let wants = |class: RiskClass| {
            let scope = Scope::new(asked.server().clone(), class);
            asked.scopes().contains(&scope) || (class == RiskClass::Read && asked.scopes().is_empty())
        };
        let classes = offer
            .iter()
            .map(|(class, tools)| ClassRow {
                class: class_of(*class),
                summary: String::new(),
                tools: tools.iter().map(|name| Tool { name: Claimed::new(name), title: None }).collect(),
                ticked: wants(*class) || (*class == RiskClass::Read && held.contains(&format!("{}:read", asked.server()))),
                held: held.contains(&Scope::new(asked.server().clone(), *class).to_string()),
            })
            .collect();
        let refused = asked.scopes().of(asked.server()).filter(|scope| !offer.contains_key(&scope.class()));
        let page = ConsentPage {
            frame: self.frame(Some(person)),
            txn: Hidden::new(sealed.to_owned()),
            csrf: Hidden::new(self.form_token(&page_of(ticket, asked), Some(person))),
            offers_other_user: true,
            notice: match shown {
                Shown::First => None,
                Shown::TooQuick => Some(Why::TooQuick),
                Shown::SiteNotConfirmed => Some(Why::SiteNotConfirmed),
                Shown::DeviceNotConfirmed => Some(Why::DeviceNotConfirmed),
                Shown::Changed => Some(Why::OfferChanged),
            },
            changes: standing.as_ref().and_then(|standing| changes(standing, (asked, offer, &title), now)),
            earlier: standing.as_ref().map(|standing| day(standing.since)),
            application: Application {
                passes_on_to: self.clients.partners(client.id()).iter().map(|name| Claimed::new(name)).collect(),
                ..application(asked, &seen, waits.as_ref(), now)
            },
            servers: vec![Server {
                id: asked.server().to_string(),
                title,
                acts_as: self.acts_as(asked.server(), account.as_deref()),
                classes,
            }],
            refused_scopes: refused.map(|scope| Claimed::technical(&scope.to_string())).collect(),
            device: waits.as_ref().map(|info| Device {
                code: Claimed::technical(ticket.front.user_code().unwrap_or_default()),
                asked: ago(now, info.created),
            }),
            durations: LASTING
                .iter()
                .map(|(value, label, _)| Choice {
                    value: (*value).to_owned(),
                    label: (*label).to_owned(),
                    chosen: *value == if trusted { "30d" } else { "8h" },
                })
                .collect(),
            details: Details {
                client_id: Claimed::technical(client.id().as_str()),
                redirect_uri: asked
                    .target()
                    .map_or_else(|| Claimed::new("none: a device fetches the answer"), |target| Claimed::technical(target.as_str())),
                resource: Claimed::technical(&resource(self.root(), asked.server())),
                scopes: asked.scopes().of(asked.server()).map(|scope| Claimed::technical(&scope.to_string())).collect(),
                source: source_of(client.identity()).to_owned(),
                request: ticket.short(),
                expires: until(now, ticket.ends()),
            },
        };
        self.html(200, headers::Class::Page, page.render())
    }

    /// What the page says besides: who allowed this client before, and what this person granted it for this server.
    async fn known_of(&self, asked: &AuthRequest, person: &Person) -> Result<Known, StoreError> {
        let seen = self.store.seen_client(asked.client().id(), &person.user).await?;
        let grants = self.store.list_grants(Some(&person.user), self.env.now()).await?;
        let held = grants.into_iter().filter(|grant| grant.client == *asked.client().id() && grant.server == *asked.server());
        Ok((seen, held.flat_map(|grant| grant.granted).collect()))
    }

    /// The classes that may be granted for a server, with the tools that were approved. Resources and prompts are read.
    pub(super) async fn offer(&self, server: &ServerName) -> Result<Offer, StoreError> {
        let mut offer = Offer::from([(RiskClass::Read, BTreeSet::new())]);
        let Some(upstream) = self.upstreams.find(server) else { return Ok(offer) };
        for pin in self.store.pins(server).await? {
            let name = pin.tool.as_str();
            if upstream.config.tools.allowed(name) {
                offer.entry(upstream.config.tools.class(name).unwrap_or(pin.class)).or_default().insert(name.to_owned());
            }
        }
        Ok(offer)
    }

    fn decided_before(&self, request: &OfficeRequest) -> Response<Body> {
        let problem = Problem {
            side: Side::You,
            title: "This request was decided before",
            text: "Each request is decided once. What was decided then counts.",
            about: None,
            next: "If the application still waits, start again from it.",
            link: Some(("/me", "Apps you allowed")),
        };
        self.problem(409, problem, request.id)
    }

    fn too_many(&self, request: &OfficeRequest) -> Response<Body> {
        let problem = Problem {
            side: Side::You,
            title: "You allowed too many applications",
            text: "There is room for a thousand permissions of one person. Nothing was allowed.",
            about: None,
            next: "Remove some that you do not need, then start again from the application.",
            link: Some(("/me", "Apps you allowed")),
        };
        self.problem(409, problem, request.id)
    }
}

/// Own last time and number of others, scopes held.
type Known = ((Option<Timestamp>, u64), BTreeSet<String>);

/// What is different since the person said yes; nothing to say if nothing is.
fn changes(standing: &Standing, (asked, offer, title): (&AuthRequest, &Offer, &str), now: Timestamp) -> Option<Changes> {
    let server = || title.to_owned();
    let said = |difference| match difference {
        Difference::Application => Said::Application { what: "its name, its keys or the addresses that its answers may go to".to_owned() },
        Difference::More(class) => Said::More { server: server(), class: class_of(class) },
        Difference::NewTools(class, tools) => {
            Said::NewTools { server: server(), class: class_of(class), tools: tools.iter().map(|tool| Claimed::new(tool)).collect() }
        }
        Difference::Ended => Said::Ended,
    };
    let differences: Vec<Said> = standing.differences(asked, offer, now).into_iter().map(said).collect();
    (!differences.is_empty()).then(|| Changes { since: day(standing.since), differences })
}

/// Who asks, as the page says it.
fn application(asked: &AuthRequest, seen: &(Option<Timestamp>, u64), waits: Option<&DeviceInfo>, now: Timestamp) -> Application {
    let client = asked.client();
    Application {
        name: Claimed::new(client.name()),
        identity: match client.identity() {
            // Whoever asks from a device need not be at the addresses that were checked or written down.
            _ if waits.is_some() && matches!(client.auth(), ClientAuth::None | ClientAuth::EitherWay(_)) => Badge::Unproven,
            Identity::Published { host, source, checked } => {
                Badge::Published { host: Claimed::technical(host), checked: ago(now, *checked), is_copy: *source != DocumentSource::Live }
            }
            Identity::Approved => Badge::Approved,
            Identity::SelfClaimed => Badge::SelfClaimed { registered: "by itself".to_owned() },
        },
        answer: Leaves {
            origin: Claimed::technical(&match (asked.target(), waits) {
                (Some(target), _) => target.origin(),
                (None, waits) => waits.map(|info| info.peer.clone()).unwrap_or_default(),
            }),
            destination: destination(asked),
        },
        passes_on_to: Vec::new(),
        first_seen: seen.0.map_or_else(|| "Never before by you".to_owned(), |at| format!("You allowed it on {}", day(at))),
        others: match seen.1 {
            0 => None,
            1..5 => Some("fewer than 5 people here use it".to_owned()),
            many => Some(format!("used by {many} people here")),
        },
    }
}

/// What a form belongs to: this request, and the client as it was when the page was shown.
pub(super) fn page_of(ticket: &Ticket, asked: &AuthRequest) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!("consent:{}:{}", hex(&ticket.id), hex(asked.client().fingerprint()))
}

/// The request of a device that this one stands for.
const fn device_of(asked: &AuthRequest) -> Option<DeviceName> {
    match asked.back() {
        Back::Device(name) => Some(*name),
        Back::Browser { .. } => None,
    }
}

fn destination(asked: &AuthRequest) -> Destination {
    let Some(target) = asked.target() else { return Destination::Device };
    match place(asked.client(), target) {
        Place::ThisComputer if target.is_loopback() => Destination::ThisComputer,
        Place::ThisComputer => Destination::Program,
        Place::SamePublisher => Destination::SameSite,
        Place::Elsewhere => Destination::DifferentSite,
    }
}

const fn class_of(class: RiskClass) -> Class {
    match class {
        RiskClass::Read => Class::Read,
        RiskClass::Write => Class::Write,
        RiskClass::Destructive => Class::Destructive,
    }
}

const fn identity_word(identity: &Identity) -> &'static str {
    match identity {
        Identity::Published { .. } => "published",
        Identity::Approved => "approved",
        Identity::SelfClaimed => "self-claimed",
    }
}

const fn source_of(identity: &Identity) -> &'static str {
    match identity {
        Identity::Published { source: DocumentSource::Live, .. } => "its document, read just now",
        Identity::Published { source: DocumentSource::LastGood, .. } => "the last good copy of its document",
        Identity::Published { source: DocumentSource::Catalogue, .. } => "the copy of its document that came with this program",
        Identity::Approved => "the configuration of this gateway",
        Identity::SelfClaimed => "its own registration",
    }
}
