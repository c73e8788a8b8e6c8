//! `/setup`, `/login` and `/logout`: how somebody becomes signed in, and ends that.

use super::{BadPost, Person, browser, posted};
use crate::Gateway;
use crate::listen::OfficeRequest;
use crate::listen::body::Body;
use crate::listen::page::{not_allowed, see_other, text};
use crate::ui::Frame;
use crate::ui::entry::{Provider, Purpose, SetupPage, SignInPage, Way};
use crate::ui::headers::{Class, Transport, headers};
use crate::ui::problem::{Link, ProblemPage, Side};
use crate::ui::text::{Claimed, Hidden, Place};
use doorward_core::audit::outcome::Notice;
use doorward_core::id::{CorrelationId, ProviderName, UserId};
use doorward_core::secret::{BrowserSecret, LinkSecret, PlainToken, TokenHash};
use doorward_store::{BrowserInfo, CameFrom};
use http::header::USER_AGENT;
use http::{HeaderMap, Method, Response};

const HTML: &str = "text/html; charset=utf-8";
/// Pages that forms belong to.
const SETUP: &str = "setup";
const ACCOUNT: &str = "account";

impl Gateway {
    /// A page of a class.
    pub(crate) fn html(&self, status: u16, class: Class, html: String) -> Response<Body> {
        let transport = if self.root().starts_with("https://") { Transport::Https } else { Transport::Http };
        text(status, HTML, html, &headers(class, transport))
    }

    /// What stands around a page.
    pub(crate) fn frame(&self, person: Option<&Person>) -> Frame {
        let host = self.root().split_once("://").map_or(self.root(), |(_, host)| host).to_owned();
        Frame { instance: self.reception.name.clone(), host, person: person.map(|person| Claimed::new(&person.shown)) }
    }

    /// A page that says what went wrong.
    pub(crate) fn problem(&self, status: u16, problem: Problem<'_>, id: CorrelationId) -> Response<Body> {
        let Problem { side, title, text, about, next, link } = problem;
        let link = link.and_then(|(path, label)| Place::new(path).map(|place| Link { place, label: label.to_owned() }));
        let page = ProblemPage {
            frame: self.frame(None),
            side,
            title: title.to_owned(),
            text: text.to_owned(),
            about: about.map(Claimed::technical),
            said: None,
            next: next.to_owned(),
            link,
            correlation: id.to_string(),
        };
        self.html(status, Class::Page, page.render())
    }

    /// The store is away: whoever asks is neither known nor unknown.
    pub(crate) fn away(&self, id: CorrelationId) -> Response<Body> {
        let problem = Problem {
            side: Side::Us,
            title: "Nothing can be looked up at the moment",
            text: "The gateway cannot reach its store, or cannot write its record. Nothing was changed.",
            about: None,
            next: "Try again in a moment.",
            link: None,
        };
        self.problem(503, problem, id)
    }

    /// A form that is not taken.
    pub(crate) fn bad_post(&self, bad: BadPost, id: CorrelationId) -> Response<Body> {
        let (status, text) = match bad {
            BadPost::Media => (415, "The form was sent in a form that is not taken here."),
            BadPost::Unreadable => (400, "The form could not be read."),
            BadPost::Elsewhere => (
                403,
                "The form was not sent from a page of this gateway, as far as your browser tells. Another site may have tried to decide for you. Nothing was changed.",
            ),
        };
        let problem = Problem {
            side: Side::You,
            title: "This form is not taken",
            text,
            about: None,
            next: "Go back to the page, load it again, and send it from there.",
            link: Some(("/me", "Your account")),
        };
        self.problem(status, problem, id)
    }

    /// The same, on the record where somebody is signed in: another site may have tried to decide for them (UI-02).
    pub(crate) async fn not_posted_here(&self, bad: BadPost, request: &OfficeRequest) -> Response<Body> {
        if matches!(bad, BadPost::Elsewhere)
            && let Ok(Some(person)) = self.person(&request.headers).await
        {
            let (user, cause) = (Some(&person.user), Some(person.id.as_str()));
            self.note(&Notice { reason: "forged_form", id: Some(request.id), user, cause, ..Notice::default() }).await;
        }
        self.bad_post(bad, request.id)
    }

    /// `/setup`: where a one-time link leads. The secret is in the fragment; claiming is a POST (product L4, L5; UI-04).
    pub(crate) async fn setup(&self, mut request: OfficeRequest) -> Response<Body> {
        let now = self.env.now();
        match self.store.has_link(now).await {
            Ok(true) => {}
            Ok(false) => return self.nothing_here(request.id),
            Err(_) => return self.away(request.id),
        }
        if request.method == Method::GET || request.method == Method::HEAD {
            return self.setup_page(None, 200).await;
        }
        if request.method != Method::POST {
            return not_allowed("GET, HEAD, POST");
        }
        let form = match posted(&mut request, &[]).await {
            Ok(form) => form,
            Err(bad) => return self.bad_post(bad, request.id),
        };
        if self.shown(&form, SETUP, None).is_none() {
            return self.setup_page(Some("The page was open for too long. Send it again."), 403).await;
        }
        let link = form.get("code").map(str::trim).and_then(|code| TokenHash::<LinkSecret>::of(code).ok());
        let user = match link {
            Some(link) => match self.store.take_link(&link, now).await {
                Ok(user) => user,
                Err(_) => return self.away(request.id),
            },
            None => None,
        };
        let Some(user) = user else {
            self.note(&Notice { reason: "link_refused", id: Some(request.id), ..Notice::default() }).await;
            return self.setup_page(Some("This code is not valid: mistyped, used before, or older than ten minutes."), 403).await;
        };
        let waiting = browser::cookie(&request.headers, browser::WAITING);
        self.signed_in((&user, None), &request, waiting).await
    }

    async fn setup_page(&self, error: Option<&str>, status: u16) -> Response<Body> {
        // Before anybody ever signed in, the link makes the administrator.
        let is_first = self.store.list_browsers(None, self.env.now()).await.is_ok_and(|browsers| browsers.is_empty());
        let page = SetupPage {
            frame: self.frame(None),
            purpose: if is_first { Purpose::Claim } else { Purpose::SignIn },
            csrf: Hidden::new(self.form_token(SETUP, None)),
            txn: None,
            error: error.map(str::to_owned),
        };
        self.html(status, Class::Setup, page.render())
    }

    /// A new cookie for a new sign-in, whatever the browser had before (AZ-13); then back to what waits.
    pub(super) async fn signed_in(
        &self,
        (user, came): (&UserId, Option<CameFrom<'_>>),
        request: &OfficeRequest,
        waiting: Option<&str>,
    ) -> Response<Body> {
        let now = self.env.now();
        let (Ok(random), Ok(name)) = (self.env.bytes::<32>(), self.env.bytes::<8>()) else { return self.away(request.id) };
        let secret = PlainToken::<BrowserSecret>::mint(&random);
        let info = BrowserInfo {
            id: name.iter().map(|byte| format!("{byte:02x}")).collect(),
            user: user.clone(),
            groups: Vec::new(),
            email: None,
            label: label(&request.headers),
            created: now,
            used: now,
            expires: now.after(self.login.session),
            disabled: false,
        };
        let notice = Notice { reason: "signed_in", id: Some(request.id), user: Some(user), cause: Some(&info.id), ..Notice::default() };
        // On the record first: who came in must not depend on whether the disk was full a moment later.
        if self.audit.event(&notice, now).await.is_err() {
            return self.away(request.id);
        }
        match self.store.put_browser(&secret.hashed(), &info, came).await {
            Ok(true) => {}
            Ok(false) => {
                let (user, cause) = (Some(user), Some("signed_out_meanwhile"));
                self.note(&Notice { reason: "sign_in_refused", id: Some(request.id), user, cause, ..Notice::default() }).await;
                return self.not_this_sign_in(request);
            }
            Err(_) => return self.away(request.id),
        }
        if let Some(old) = browser::cookie(&request.headers, browser::SESSION).and_then(|value| TokenHash::of(value).ok())
            && let Err(error) = self.store.end_browser(&old).await
        {
            tracing::warn!(%error, "an earlier sign-in of this browser could not be ended");
        }
        let waiting = waiting.filter(|sealed| self.reception.keys.open(sealed, now).is_ok());
        let mut response = see_other(&waiting.map_or_else(|| "/".to_owned(), |sealed| format!("/oauth/consent?txn={sealed}")));
        browser::sign_in(&mut response, &secret, self.login.session);
        response
    }

    /// `/login`: how to sign in here.
    pub(crate) async fn login(&self, request: OfficeRequest) -> Response<Body> {
        if request.method != Method::GET && request.method != Method::HEAD {
            return not_allowed("GET, HEAD");
        }
        match self.person(&request.headers).await {
            Ok(Some(_)) => see_other("/"),
            Ok(None) => self.sign_in_page(&request, None, None),
            Err(_) => self.away(request.id),
        }
    }

    /// The page that says how to sign in; `waiting` is the sealed ticket of a request that goes on afterwards.
    pub(crate) fn sign_in_page(&self, request: &OfficeRequest, waiting: Option<&str>, note: Option<&str>) -> Response<Body> {
        // A page that somebody looks at, not a picture in the page of another site.
        let is_page = request.headers.get("sec-fetch-dest").is_none_or(|dest| dest.as_bytes() == b"document");
        let providers: Vec<Provider> = self.providers.iter().map(|provider| &provider.config.name).map(provider_of).collect();
        let way = if providers.is_empty() {
            Way::Terminal { just_printed: is_page && request.peer.is_loopback() && self.ask_for_link() }
        } else {
            Way::Providers(providers)
        };
        let page = SignInPage {
            frame: self.frame(None),
            csrf: Hidden::new(self.form_token("login", None)),
            txn: waiting.map(|sealed| Hidden::new(sealed.to_owned())),
            way,
            note: note.map(str::to_owned),
        };
        let mut response = self.html(200, Class::Page, page.render());
        if let Some(sealed) = waiting {
            browser::keep_waiting(&mut response, sealed);
        }
        response
    }

    /// `/logout`: a POST from a page of ours ends this sign-in.
    pub(crate) async fn logout(&self, mut request: OfficeRequest) -> Response<Body> {
        if request.method != Method::POST {
            return not_allowed("POST");
        }
        let form = match posted(&mut request, &[]).await {
            Ok(form) => form,
            Err(bad) => return self.bad_post(bad, request.id),
        };
        let person = match self.person(&request.headers).await {
            Ok(Some(person)) => person,
            Ok(None) => return see_other("/login"),
            Err(_) => return self.away(request.id),
        };
        if self.shown(&form, ACCOUNT, Some(&person)).is_none() {
            return self.bad_post(BadPost::Elsewhere, request.id);
        }
        self.sign_out(&person, request.id).await
    }

    /// Ends the sign-in of this browser.
    pub(crate) async fn sign_out(&self, person: &Person, id: CorrelationId) -> Response<Body> {
        if self.store.end_browser(&person.browser).await.is_err() {
            return self.away(id);
        }
        let (user, cause) = (Some(&person.user), Some(person.id.as_str()));
        self.note(&Notice { reason: "signed_out", id: Some(id), user, cause, ..Notice::default() }).await;
        let mut response = see_other("/login");
        browser::sign_out(&mut response);
        response
    }

    /// What is not there.
    pub(crate) fn nothing_here(&self, id: CorrelationId) -> Response<Body> {
        let problem = Problem {
            side: Side::You,
            title: "There is nothing here",
            text: "This address is not in use, or not any more. A link from the terminal works once, for ten minutes.",
            about: None,
            next: "For another link, run doorward admin-link on the computer of the gateway.",
            link: Some(("/login", "Sign in")),
        };
        self.problem(404, problem, id)
    }
}

fn provider_of(name: &ProviderName) -> Provider {
    Provider { id: name.to_string(), name: name.to_string() }
}

/// What a page says of something that went wrong.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Problem<'a> {
    /// Which side failed.
    pub(crate) side: Side,
    /// In one sentence.
    pub(crate) title: &'a str,
    /// What happened.
    pub(crate) text: &'a str,
    /// A technical value that is concerned.
    pub(crate) about: Option<&'a str>,
    /// What to do.
    pub(crate) next: &'a str,
    /// Where, and its label.
    pub(crate) link: Option<(&'a str, &'a str)>,
}

/// What a browser calls itself, in two words where it is a known one. For people; proves nothing.
fn label(headers: &HeaderMap) -> String {
    let agent = headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let of = |names: &[(&str, &'static str)]| names.iter().find(|(mark, _)| agent.contains(mark)).map(|(_, name)| *name);
    let browser = of(&[("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari")]);
    let system = of(&[
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS", "macOS"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(browser), None) => browser.to_owned(),
        _ => "Another browser".to_owned(),
    }
}
