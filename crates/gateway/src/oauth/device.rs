//! The device grant (RFC 8628): a program without a browser asks, a person types its code at `/device` and decides on the consent page, and
//! the program fetches its tokens.
//!
//! Whoever asks is nobody yet, and what is allowed goes to them wherever they are. So the page is shown to nobody who has not signed in, a
//! code in its address is filled in and never sent by itself, and the question says from where and when it was asked (RFC 8628 section 5.4).

use super::clients::Reading;
use super::credential;
use super::register::RegistrationRates;
use super::token::{Pair, presented, unavailable};
use crate::Gateway;
use crate::listen::OfficeRequest;
use crate::listen::body::Body;
use crate::listen::page::not_allowed;
use crate::signin::{BadPost, Person, Problem, posted};
use crate::ui::device::{DevicePage, DonePage};
use crate::ui::handoff::Outcome;
use crate::ui::headers::Class;
use crate::ui::problem::Side;
use crate::ui::text::{Claimed, Hidden};
use doorward_core::audit::outcome::Notice;
use doorward_core::config::units::Rate;
use doorward_core::id::UserId;
use doorward_core::oauth::admission::DeviceGrant;
use doorward_core::oauth::client::{Client, Devices};
use doorward_core::oauth::device::{DeviceName, INTERVAL, LIFE, Poll, UserCode};
use doorward_core::oauth::dpop::Proven;
use doorward_core::oauth::form::Form;
use doorward_core::oauth::keys::Ticket;
use doorward_core::oauth::request::{AuthRequest, Front, Refused};
use doorward_core::oauth::scope::resource;
use doorward_core::oauth::token::{AuthenticatedClient, Shown, TokenError};
use doorward_core::secret::{DeviceCode, PlainToken, TokenHash};
use doorward_core::time::Timestamp;
use doorward_store::{Asked, NewDevice, NoTokens, NotRedeemed, PresentedDevice, Redeemed, StoreError};
use governor::clock::DefaultClock;
use governor::state::{InMemoryState, NotKeyed};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use http::{Method, Response};
use serde_json::json;
use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

/// How often devices may ask, and how often people may try user codes. Counted by each replica for itself.
pub struct DeviceRates {
    requests: RegistrationRates,
    of_each: DefaultKeyedRateLimiter<UserId>,
    of_all: RateLimiter<NotKeyed, InMemoryState, DefaultClock>,
}

/// Requests from one address; from all ten times as many.
const REQUESTS: Rate = Rate { count: NonZeroU32::new(10).unwrap(), per: Duration::from_secs(60) };
/// User codes that one person may try: ten at once, then one a minute. With two thousand that wait among 20^8 codes, a day of
/// trying finds one with a chance of one in nine thousand.
const TRIES: Quota = Quota::per_minute(NonZeroU32::new(1).unwrap()).allow_burst(NonZeroU32::new(10).unwrap());
const TRIES_OF_ALL: Quota = Quota::per_minute(NonZeroU32::new(100).unwrap());
/// People whose count is kept before those that rest are forgotten.
const TRYING: usize = 10_000;
/// User codes that are tried for a new request: one that is in use already is as rare as a guess that is right.
const ATTEMPTS: usize = 3;
/// The page that the form belongs to.
const PAGE: &str = "device";

impl DeviceRates {
    /// Nobody has asked or tried yet.
    #[must_use]
    pub fn new() -> Self {
        Self { requests: RegistrationRates::new(REQUESTS), of_each: RateLimiter::keyed(TRIES), of_all: RateLimiter::direct(TRIES_OF_ALL) }
    }

    fn may_ask(&self, peer: IpAddr) -> bool {
        self.requests.check(peer).is_ok()
    }

    /// Counts a code that somebody tries, right or wrong. Who has had their own takes none of the others'.
    fn may_try(&self, user: &UserId) -> bool {
        if self.of_each.len() >= TRYING {
            self.of_each.retain_recent();
        }
        self.of_each.check_key(user).is_ok() && self.of_all.check().is_ok()
    }
}

impl Default for DeviceRates {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for DeviceRates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceRates({} people)", self.of_each.len())
    }
}

/// What a program is asked back.
impl Gateway {
    /// `/oauth/device`.
    pub(crate) async fn ask_for_device(&self, mut request: OfficeRequest) -> Response<Body> {
        if request.method != Method::POST {
            return not_allowed("POST");
        }
        if !self.devices.may_ask(request.peer) {
            return self.token_refused(&request, TokenError::devices_too_often(), None).await;
        }
        let (form, shown) = match presented(&mut request).await {
            Ok(both) => both,
            Err(error) => return self.token_refused(&request, error, None).await,
        };
        match self.device_asked(&request, &form, &shown).await {
            Ok(response) => response,
            Err(error) => self.token_refused(&request, error, Some(&shown)).await,
        }
    }

    async fn device_asked(&self, request: &OfficeRequest, form: &Form, shown: &Shown) -> Result<Response<Body>, TokenError> {
        let authenticated = self.authenticated(shown).await?;
        let client = self.with_devices(&authenticated).await?;
        let name = client.id().clone();
        let code = PlainToken::<DeviceCode>::mint(&self.env.bytes().map_err(|_| TokenError::unavailable())?);
        let hash = code.hashed();
        let device = DeviceName(*hash.as_bytes());
        let mut user_code = self.new_user_code()?;
        let front = Front::read_device(form, name.as_str(), (device, &user_code))
            .map_err(|_| TokenError::request("a parameter is too long or holds characters that it may not"))?;
        let asked = AuthRequest::check(&front, client, self.root()).map_err(|refused| match refused {
            Refused::Redirect(_) => TokenError::which_target(),
            Refused::Page(_) | Refused::NoDevices => TokenError::no_devices(),
        })?;
        let (now, short) = (self.env.now(), device.short());
        let notice = Notice {
            reason: "device_requested",
            id: Some(request.id),
            client: Some(&name),
            server: Some(asked.server()),
            cause: Some(&short),
            ..Notice::default()
        };
        self.audit.event(&notice, now).await.map_err(|_| TokenError::unavailable())?;
        let (scope, peer) = (asked.scopes().to_string(), request.peer.to_canonical().to_string());
        for _ in 0..ATTEMPTS {
            let kept = self.reception.keys.user_code(&user_code);
            let (expires, pace, server) = (now.after(LIFE), INTERVAL, asked.server());
            let new = NewDevice { code: &hash, user_code: &kept, client: &name, server, scope: &scope, peer: &peer, expires, pace };
            match self.store.ask_for_device(&new, now).await {
                Ok(Asked::Recorded) => return Ok(self.told_device(&code, &user_code)),
                Ok(Asked::CodeInUse) => user_code = self.new_user_code()?,
                Err(error) => {
                    self.note(&Notice { reason: "device_not_kept", ..notice }).await;
                    return Err(if matches!(error, StoreError::Refused(_)) { TokenError::too_many_devices() } else { unavailable(&error) });
                }
            }
        }
        self.note(&Notice { reason: "device_not_kept", ..notice }).await;
        Err(TokenError::unavailable())
    }

    /// RFC 8628 section 3.2.
    fn told_device(&self, code: &PlainToken<DeviceCode>, user_code: &UserCode) -> Response<Body> {
        let (root, shown) = (self.root(), user_code.shown());
        let content = json!({
            "device_code": code.reveal(),
            "user_code": shown,
            "verification_uri": format!("{root}/device"),
            "verification_uri_complete": format!("{root}/device?user_code={shown}"),
            "expires_in": LIFE.as_secs(),
            "interval": INTERVAL.as_secs(),
        });
        credential(200, &content)
    }

    fn new_user_code(&self) -> Result<UserCode, TokenError> {
        let random = self.env.bytes().map_err(|_| TokenError::unavailable())?;
        UserCode::mint(&random).ok_or(TokenError::unavailable())
    }

    /// The client, if it has the device grant now: by its registration and by the word of the administrator.
    async fn with_devices(&self, client: &AuthenticatedClient) -> Result<Client, TokenError> {
        let resolved = self.clients.resolve(client.id().as_str(), Reading::Withheld, self.env.now()).await;
        let client = resolved.map_err(|_| TokenError::client("unknown_client"))?;
        if client.devices() == Devices::Named { Ok(client) } else { Err(TokenError::no_devices()) }
    }

    /// What a device code gives now, for the token endpoint.
    ///
    /// # Errors
    /// [`TokenError`]: also that nobody has decided yet.
    pub(super) async fn redeemed_device(
        &self,
        client: &AuthenticatedClient,
        (code, resource, proof): (&TokenHash<DeviceCode>, Option<&str>, Option<&Proven>),
        pair: &Pair,
        arrived: Timestamp,
    ) -> Result<Result<Redeemed, NotRedeemed>, TokenError> {
        if self.clients.admission().device_grant == DeviceGrant::Off {
            return Err(TokenError::unsupported());
        }
        self.with_devices(client).await?;
        let server = self.meant(resource)?;
        // As with a refresh, the decision is made anew (TK-07): between the yes and the fetch there may be minutes.
        if let Some(id) = self.store.grant_of_device(code).await.map_err(|error| unavailable(&error))? {
            self.still_allowed(&id).await?;
        }
        let (access, refresh) = (pair.access.hashed(), pair.refresh.hashed());
        let device = PresentedDevice { code, client: client.id(), server: server.as_ref(), proof };
        let next = super::token::successors(&access, &refresh, &self.lives);
        match self
            .store
            .redeem_device(&device, &next, (arrived, self.lives.replay_window), self.env.now())
            .await
            .map_err(|error| unavailable(&error))?
        {
            Ok(redeemed) => Ok(Ok(redeemed)),
            Err(NoTokens::Dead(why)) => Ok(Err(why)),
            Err(NoTokens::Poll(poll)) => Err(poll.told()),
        }
    }
}

/// What a person sees.
impl Gateway {
    /// `/device`: the field for the code, and the way from a code to its question.
    pub(crate) async fn device(&self, mut request: OfficeRequest) -> Response<Body> {
        let is_read = request.method == Method::GET || request.method == Method::HEAD;
        if !is_read && request.method != Method::POST {
            return not_allowed("GET, HEAD, POST");
        }
        if self.clients.admission().device_grant == DeviceGrant::Off {
            return self.nothing_here(request.id);
        }
        let form = match is_read {
            true => Form::parse(request.query.as_deref().unwrap_or_default()).ok(),
            false => match posted(&mut request, &[]).await {
                Ok(form) => Some(form),
                Err(bad) => return self.not_posted_here(bad, &request).await,
            },
        };
        let typed = form.as_ref().and_then(|form| form.get("user_code")).and_then(UserCode::parse);
        let person = match self.person(&request.headers).await {
            Ok(Some(person)) => person,
            Ok(None) => return self.first_sign_in(&request, typed.as_ref()),
            Err(_) => return self.away(request.id),
        };
        let Some(form) = form.filter(|_| !is_read) else { return self.code_page(200, &person, typed.as_ref(), None) };
        if self.shown(&form, PAGE, Some(&person)).is_none() {
            return self.bad_post(BadPost::Elsewhere, request.id);
        }
        self.code_typed(&request, &person, typed).await
    }

    /// Nobody sees a code's question before they signed in; what they brought along waits.
    fn first_sign_in(&self, request: &OfficeRequest, typed: Option<&UserCode>) -> Response<Body> {
        let (Ok(id), Ok(nonce)) = (self.env.bytes::<16>(), self.env.bytes::<12>()) else { return self.away(request.id) };
        // Bound to no browser: it stands for an address that anybody may open.
        let ticket = Ticket { id, browser: [0; 32], begun: self.env.now(), unled: false, front: Front::entering(typed) };
        let Ok(sealed) = self.reception.keys.seal(&ticket, nonce) else { return self.away(request.id) };
        self.sign_in_page(request, Some(&sealed), None)
    }

    /// From a code to its question. Mistyped, decided, expired and unknown codes are one.
    async fn code_typed(&self, request: &OfficeRequest, person: &Person, typed: Option<UserCode>) -> Response<Body> {
        if !self.devices.may_try(&person.user) {
            let notice = Notice { reason: "device_codes_tried", id: Some(request.id), user: Some(&person.user), ..Notice::default() };
            self.note(&notice).await;
            return self.code_page(429, person, None, Some("Too many codes were tried. Wait a few minutes."));
        }
        let now = self.env.now();
        let found = match &typed {
            Some(code) => match self.store.device_of_user_code(&self.reception.keys.user_code(code), now).await {
                Ok(found) => found,
                Err(_) => return self.away(request.id),
            },
            None => None,
        };
        let (Some(found), Some(code)) = (found, typed) else {
            let notice = Notice { reason: "device_code_refused", id: Some(request.id), user: Some(&person.user), ..Notice::default() };
            self.note(&notice).await;
            let text = "This code is not valid: mistyped, used before, or older than ten minutes.";
            return self.code_page(403, person, None, Some(text));
        };
        let (scope, target) = (Some(found.scope), resource(self.root(), &found.server));
        let front = Front::of_device(found.client.as_str(), (scope, Some(target)), (found.name, &code));
        self.begun(request, front).await
    }

    fn code_page(&self, status: u16, person: &Person, typed: Option<&UserCode>, error: Option<&str>) -> Response<Body> {
        let page = DevicePage {
            frame: self.frame(Some(person)),
            csrf: Hidden::new(self.form_token(PAGE, Some(person))),
            code: typed.map(|code| Hidden::new(code.shown())),
            error: error.map(str::to_owned),
        };
        self.html(status, Class::Page, page.render())
    }

    /// The end of a decision whose answer goes to a device: there is nowhere to send the browser.
    pub(super) fn device_done(&self, name: &str, outcome: Outcome) -> Response<Body> {
        let page = DonePage { frame: self.frame(None), application: Claimed::new(name), outcome };
        self.html(200, Class::Page, page.render())
    }

    /// A request of a device that cannot be served for this person: what is not theirs looks like what is not there (RS-05).
    pub(super) fn device_not_served(&self, request: &OfficeRequest) -> Response<Body> {
        let problem = Problem {
            side: Side::Application,
            title: "This request cannot be served",
            text: "What the device asks for is not there for you, or it may not ask. Nothing was allowed.",
            about: None,
            next: "Start again on the device, with the address of a server that you may use.",
            link: Some(("/", "Your servers")),
        };
        self.problem(403, problem, request.id)
    }
}

/// Whether an answer of the token endpoint says no more than that nobody has decided: no failure that counts, and no record.
pub(super) fn is_pending(error: &TokenError) -> bool {
    *error == Poll::Pending.told()
}
