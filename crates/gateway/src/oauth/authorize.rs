//! `/oauth/authorize` and the page of a request that is under way: load the facts, ask `next`, show what it says.
//!
//! Nothing is stored before somebody signed in but a bounded note for the administrator (ADR 26), and no document is fetched: whoever is
//! nobody has no effect (REG-08). GET has none (protocol B18).

use super::clients::{Reading, Unresolved};
use super::consent::Shown;
use super::way::{BAD_REDIRECT, NO_DEVICES, On};
use crate::Gateway;
use crate::listen::OfficeRequest;
use crate::listen::body::Body;
use crate::listen::page::{not_allowed, see_other};
use crate::signin::browser;
use crate::signin::{FETCH_DEST, FETCH_MODE, FETCH_SITE, Person, Problem};
use crate::ui::problem::Side;
use doorward_core::audit::outcome::Notice;
use doorward_core::config::{Selector, Somebody, Through};
use doorward_core::id::{ClientId, GroupName, ServerName, UserId};
use doorward_core::oauth::client::Client;
use doorward_core::oauth::flow::{Browser, Facts, Next, Refusal, SignedIn, next};
use doorward_core::oauth::form::Form;
use doorward_core::oauth::keys::Ticket;
use doorward_core::oauth::redirect::BadRedirect;
use doorward_core::oauth::request::{Answer, AuthRequest, ErrorCode, Front, Refused};
use doorward_core::oauth::standing::{Offer, Standing};
use doorward_core::secret::{BrowserSecret, PlainToken};
use doorward_store::StoreError;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, Response};

/// A request that has come as far as its client.
pub(super) struct Underway {
    /// The request.
    pub(super) request: AuthRequest,
    /// What is known of browser and person.
    pub(super) facts: Facts,
}

impl Gateway {
    /// `/oauth/authorize`: freezes the request into a ticket, binds it to this browser, and shows the next step.
    pub(crate) async fn authorize(&self, request: OfficeRequest) -> Response<Body> {
        if request.method != Method::GET {
            return not_allowed("GET");
        }
        let front = Form::parse(request.query.as_deref().unwrap_or_default()).ok().and_then(|form| Front::read(&form).ok());
        let Some(front) = front else { return self.unreadable(&request) };
        self.begun(&request, front).await
    }

    /// Freezes a request into a ticket that is bound to this browser, and shows the next step.
    pub(super) async fn begun(&self, request: &OfficeRequest, front: Front) -> Response<Body> {
        let (Ok(id), Ok(secret), Ok(nonce)) = (self.env.bytes::<16>(), self.env.bytes::<32>(), self.env.bytes::<12>()) else {
            return self.away(request.id);
        };
        let secret = PlainToken::<BrowserSecret>::mint(&secret);
        let (browser, unled) = (*secret.hashed().as_bytes(), is_unled(&request.headers));
        let ticket = Ticket { id, browser, begun: self.env.now(), unled, front };
        let Ok(sealed) = self.reception.keys.seal(&ticket, nonce) else { return self.away(request.id) };
        let mut response = self.show(request, &ticket, &sealed, Browser::Same).await;
        browser::begin(&mut response, &request.headers, &ticket, &secret);
        response
    }

    /// The page of a request that is under way, after a sign-in or a reload.
    pub(crate) async fn resume(&self, request: &OfficeRequest) -> Response<Body> {
        let sealed = Form::parse(request.query.as_deref().unwrap_or_default()).ok().and_then(|form| form.get("txn").map(str::to_owned));
        let ticket = sealed.as_deref().and_then(|sealed| self.reception.keys.open(sealed, self.env.now()).ok());
        let (Some(sealed), Some(ticket)) = (sealed, ticket) else { return self.too_old(request) };
        if let Some(code) = ticket.front.entered() {
            let code = if code.is_empty() { String::new() } else { format!("?user_code={code}") };
            let mut response = see_other(&format!("/device{code}"));
            browser::end(&mut response, &ticket);
            return response;
        }
        if let Some(server) = ticket.front.connects() {
            let mut response = see_other(&format!("/connect/{server}"));
            browser::end(&mut response, &ticket);
            return response;
        }
        let whose = if browser::began(&request.headers, &ticket) { Browser::Same } else { Browser::Other };
        self.show(request, &ticket, &sealed, whose).await
    }

    async fn show(&self, request: &OfficeRequest, ticket: &Ticket, sealed: &str, whose: Browser) -> Response<Body> {
        let Ok(person) = self.person(&request.headers).await else { return self.away(request.id) };
        let underway = match self.underway(request, ticket, person.as_ref(), whose).await {
            Ok(underway) => underway,
            Err(Stop::SignIn) => return self.sign_in_page(request, Some(sealed), None),
            Err(Stop::Page(page)) => return *page,
            // Nobody is sent on by this gateway who was not asked, or has not at least signed in (RFC 9700 section 4.11.2).
            Err(Stop::Answer(_)) if person.is_none() && !ticket.front.asks_nobody() => {
                return self.sign_in_page(request, Some(sealed), None);
            }
            Err(Stop::Answer(answer)) => return self.redirected(request, ticket, &answer).await,
        };
        match (next(&underway.request, &underway.facts, ticket.begun, self.env.now()), &person) {
            (Next::Remembered, _) => self.recalled(request, ticket, underway).await,
            (Next::Consent, Some(person)) if whose == Browser::Same => match self.said_yes(ticket, person, &underway).await {
                Some(yes) => self.goes_on(request, (ticket, sealed), underway, person, yes).await,
                None => self.ask(request, (ticket, sealed), &underway, person, Shown::First).await,
            },
            (Next::Consent, Some(person)) => self.ask(request, (ticket, sealed), &underway, person, Shown::First).await,
            (Next::Consent | Next::SignIn, _) => self.sign_in_page(request, Some(sealed), None),
            (Next::Refuse(Refusal::OtherBrowser), _) => self.other_browser(request).await,
            (Next::Refuse(Refusal::Client(answer)), _) => {
                self.note_refused(On::of(request, ticket, person.as_ref(), whose), underway.request.client(), &answer);
                self.redirected(request, ticket, &answer).await
            }
        }
    }

    /// Reads who asks and checks what is asked.
    pub(super) async fn underway(
        &self,
        request: &OfficeRequest,
        ticket: &Ticket,
        person: Option<&Person>,
        whose: Browser,
    ) -> Result<Underway, Stop> {
        let on = On::of(request, ticket, person, whose);
        let client = self.asking(request, &ticket.front.client_id, (person.is_some(), on)).await?;
        let checked = AuthRequest::check(&ticket.front, client.clone(), self.root()).map_err(|refused| {
            let (reason, stop) = match refused {
                Refused::Page(why) => (BAD_REDIRECT, Stop::Page(Box::new(self.bad_redirect(request, why)))),
                Refused::Redirect(answer) => (answer.code().map_or("", ErrorCode::as_str), Stop::Answer(answer)),
                Refused::NoDevices => (NO_DEVICES, Stop::Page(Box::new(self.device_not_served(request)))),
            };
            self.note_request(on, &client, (Err(reason), None));
            stop
        })?;
        let visible = person.is_some_and(|person| self.is_offered(checked.server(), (&person.user, &person.groups), checked.client().id()));
        self.note_request(on, checked.client(), (Ok(&checked), visible.then(|| checked.server())));
        let signed_in = person.map(|person| SignedIn { user: person.user.clone(), since: person.since, disabled: person.disabled });
        let (offer, standing) = match person.filter(|_| visible) {
            Some(person) => self.offered(&checked, person).await.map_err(|_| Stop::Page(Box::new(self.away(request.id))))?,
            None => (Offer::new(), None),
        };
        let need_not_ask = self.consents.need_not_ask.contains(checked.client().id());
        let unled = ticket.unled && is_unled(&request.headers);
        Ok(Underway { facts: Facts { browser: whose, signed_in, visible, offer, standing, need_not_ask, unled }, request: checked })
    }

    /// What there is to allow, and what this person allowed before.
    async fn offered(&self, asked: &AuthRequest, person: &Person) -> Result<(Offer, Option<Standing>), StoreError> {
        let since = self.env.now().before(self.consents.remembered);
        let standing = self.store.standing(&person.user, asked.client().id(), asked.server(), since).await?;
        Ok((self.offer(asked.server()).await?, standing))
    }

    /// The client of a request. Its document is fetched only for somebody who is signed in.
    async fn asking(&self, request: &OfficeRequest, id: &str, (signed_in, on): (bool, Option<On<'_>>)) -> Result<Client, Stop> {
        let reading = if signed_in { Reading::Allowed } else { Reading::Withheld };
        let found = self.clients.resolve(id, reading, self.env.now()).await;
        if let Err(unresolved) = &found {
            self.note_unresolved(on, unresolved);
        }
        match found {
            Ok(client) => Ok(client),
            Err(Unresolved::NeedsFetch) => Err(Stop::SignIn),
            Err(Unresolved::Store(_)) => Err(Stop::Page(Box::new(self.away(request.id)))),
            Err(unresolved) => Err(Stop::Page(Box::new(self.unknown_client(request, id, &unresolved)))),
        }
    }

    /// Whether the server that is asked for is there for this person and client.
    pub(super) fn is_offered(&self, server: &ServerName, (user, groups): (&UserId, &[GroupName]), client: &ClientId) -> bool {
        let who = Somebody { user, groups, through: Through::Client(client, self.agents.of(client)) };
        let offered = self.upstreams.find(server).filter(|upstream| upstream.config.enabled);
        offered.is_some_and(|upstream| Selector::is_visible(&upstream.config.visible_to, &who))
    }

    /// Sends the browser back to the client with an error. Its address was checked.
    pub(super) async fn redirected(&self, request: &OfficeRequest, ticket: &Ticket, answer: &Answer) -> Response<Body> {
        let client = ClientId::new(&ticket.front.client_id).ok();
        let cause = answer.code().map(ErrorCode::as_str);
        let notice = Notice { reason: "authorization_refused", id: Some(request.id), client: client.as_ref(), cause, ..Notice::default() };
        self.note(&notice).await;
        match answer.url(self.root()) {
            Some(url) => see_other(&url),
            None => self.device_not_served(request),
        }
    }

    fn bad_redirect(&self, request: &OfficeRequest, why: BadRedirect) -> Response<Body> {
        // One text for an unknown client and for a bad address: whoever tries learns nothing (product R6).
        tracing::info!(id = %request.id, %why, "an authorization request was refused");
        self.not_this_client(request)
    }

    fn unknown_client(&self, request: &OfficeRequest, id: &str, why: &Unresolved) -> Response<Body> {
        tracing::info!(id = %request.id, %why, "an authorization request was refused");
        match why {
            Unresolved::Unchecked(cause) => self.problem(
                400,
                Problem {
                    side: Side::Network,
                    title: "The application could not be checked",
                    text: &format!("It says who it is with a document at the address below, and that document could not be read: {cause}. There is nothing to allow."),
                    about: Some(id),
                    next: "Start again from the application in a while. If this stays so, ask the administrator of this gateway.",
                    link: None,
                },
                request.id,
            ),
            Unresolved::Blocked | Unresolved::NotAllowed => self.problem(
                403,
                Problem {
                    side: Side::Application,
                    title: "This application may not ask here",
                    text: "The administrator of this gateway decides which applications may ask for access, and this one may not.",
                    about: Some(id),
                    next: "Ask the administrator, and show them the address or id above.",
                    link: None,
                },
                request.id,
            ),
            _ => self.not_this_client(request),
        }
    }

    fn not_this_client(&self, request: &OfficeRequest) -> Response<Body> {
        let problem = Problem {
            side: Side::Application,
            title: "The application's request cannot be answered",
            text: "The application is not known here, or it wants its answer at an address that is not one of its own. Nobody is sent anywhere.",
            about: None,
            next: "Start again from the application. If this stays so, remove this server from the application and add it anew.",
            link: None,
        };
        self.problem(400, problem, request.id)
    }

    fn unreadable(&self, request: &OfficeRequest) -> Response<Body> {
        let problem = Problem {
            side: Side::Application,
            title: "The application's request cannot be read",
            text: "A parameter is missing, repeated, or too long, so that nobody can tell who asks.",
            about: None,
            next: "Start again from the application.",
            link: None,
        };
        self.problem(400, problem, request.id)
    }

    /// The ticket is altered, of another installation, or older than ten minutes.
    pub(super) fn too_old(&self, request: &OfficeRequest) -> Response<Body> {
        let problem = Problem {
            side: Side::You,
            title: "This request is too old",
            text: "A request for access can be decided for ten minutes. Nothing was allowed.",
            about: None,
            next: "Start again from the application.",
            link: None,
        };
        self.problem(400, problem, request.id)
    }

    /// Somebody was given the address of another person's request (AZ-02).
    pub(super) async fn other_browser(&self, request: &OfficeRequest) -> Response<Body> {
        self.note(&Notice { reason: "other_browser", id: Some(request.id), ..Notice::default() }).await;
        let problem = Problem {
            side: Side::You,
            title: "This request began in another browser",
            text: "A request for access is decided where it began. If somebody sent you this address, they may have tried to get at your tools.",
            about: None,
            next: "If you began it yourself, start again from the application, and let it open this browser.",
            link: None,
        };
        self.problem(400, problem, request.id)
    }
}

/// Whether no other origin sent the browser here, and it opens a page rather than a picture or a frame, as far as it tells. One that
/// does not tell may have been sent (AZ-10). A neighbour under the same domain is another origin, and so is another port here.
fn is_unled(headers: &HeaderMap) -> bool {
    let says = |name: &HeaderName, words: &[&str]| {
        let mut said = headers.get_all(name).iter();
        let own = |value: &HeaderValue| words.iter().any(|word| value.as_bytes() == word.as_bytes());
        said.next().is_some_and(own) && said.next().is_none()
    };
    says(&FETCH_SITE, &["none", "same-origin"]) && says(&FETCH_MODE, &["navigate"]) && says(&FETCH_DEST, &["document"])
}

/// Why a request goes no further here.
pub(super) enum Stop {
    /// Somebody signs in first.
    SignIn,
    /// A page of ours.
    Page(Box<Response<Body>>),
    /// The client is told.
    Answer(Box<Answer>),
}
