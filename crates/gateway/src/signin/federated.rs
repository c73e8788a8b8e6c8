//! `/login/<idp>` and its callback: leaving for an identity provider, and coming back (OpenID Connect Core section 3.1; product 5.1).
//!
//! Leaving is a POST from a page of ours. Coming back is a GET from another site: what it says counts only together with the journey
//! that is sealed in a cookie of this browser, and once. What follows is the ticket that the journey began for, never an address. Errors
//! are told in words of our own; which ones are on the record (attacks OC-02, OC-03, OC-06, UI-05).

use super::{Problem, browser, posted};
use crate::Gateway;
use crate::idp::{NotSignedIn, Provider, Trouble};
use crate::listen::OfficeRequest;
use crate::listen::body::Body;
use crate::listen::page::{not_allowed, see_other};
use crate::ui::departure::DeparturePage;
use crate::ui::headers::Class;
use crate::ui::problem::Side;
use crate::ui::text::Target;
use doorward_core::audit::outcome::Notice;
use doorward_core::id::{ProviderName, UserId};
use doorward_core::oauth::form::Form;
use doorward_core::oidc::admission::{NotAdmitted, admit};
use doorward_core::oidc::answer::BadAnswer;
use doorward_core::oidc::journey::{Journey, NotArrived};
use doorward_core::oidc::token::{Unvouched, Vouched};
use doorward_core::time::Timestamp;
use doorward_store::CameFrom;
use http::{Method, Response};
use std::sync::Arc;
use std::time::Duration;

impl Gateway {
    /// `/login/<idp>`: begins a sign-in there.
    pub(crate) async fn depart(&self, mut request: OfficeRequest, name: &ProviderName) -> Response<Body> {
        let Some(provider) = self.providers.find(name).cloned() else { return self.nothing_here(request.id) };
        if request.method == Method::GET || request.method == Method::HEAD {
            return see_other("/login");
        }
        if request.method != Method::POST {
            return not_allowed("GET, HEAD, POST");
        }
        let form = match posted(&mut request, &[]).await {
            Ok(form) => form,
            Err(bad) => return self.bad_post(bad, request.id),
        };
        let now = self.env.now();
        let waiting = form.get("txn").filter(|sealed| self.reception.keys.open(sealed, now).is_ok());
        if self.shown(&form, "login", None).is_none() {
            return self.sign_in_page(&request, waiting, Some("The page was open for too long. Choose again."));
        }
        let metadata = match provider.metadata(now).await {
            Ok(metadata) => metadata,
            Err(trouble) => return self.provider_in_trouble(&request, &provider, &trouble).await,
        };
        let random = (self.env.bytes(), self.env.bytes(), self.env.bytes(), self.env.bytes());
        let (Ok(state), Ok(nonce), Ok(verifier), Ok(once)) = random else { return self.away(request.id) };
        let journey = Journey::begin(name.clone(), provider.config.issuer.clone(), &[state, nonce, verifier], waiting, now);
        let Ok(sealed) = self.providers.key.seal(&journey, once) else { return self.away(request.id) };
        let address = provider.authorization(&metadata, &journey, &self.callback_of(name));
        let Some(target) = Target::new(&address) else { return self.away(request.id) };
        let page = DeparturePage { frame: self.frame(None), target, provider: name.to_string() };
        // 200 and a refresh: a redirect after a form would be stopped by `form-action` (product 5.3).
        let mut response = self.html(200, Class::Page, page.render());
        browser::depart(&mut response, &request.headers, journey.state(), &sealed);
        if let Some(sealed) = waiting {
            browser::keep_waiting(&mut response, sealed);
        }
        response
    }

    /// `/login/<idp>/callback`: where the provider sends the browser back to.
    pub(crate) async fn arrive(&self, request: OfficeRequest, name: &ProviderName) -> Response<Body> {
        let Some(provider) = self.providers.find(name).cloned() else { return self.nothing_here(request.id) };
        if request.method != Method::GET {
            return not_allowed("GET");
        }
        let Ok(answer) = Form::parse(request.query.as_deref().unwrap_or_default()) else {
            tracing::info!(id = %request.id, "an answer of an identity provider is malformed");
            return self.not_this_sign_in(&request);
        };
        let state = answer.get("state").unwrap_or_default().to_owned();
        let sealed = browser::departed(&request.headers, &state);
        let journey = sealed.and_then(|sealed| self.providers.key.open(sealed, self.env.now()).ok());
        let Some(journey) = journey else {
            // No word on the record: it may be anybody's, and as many as they like.
            tracing::info!(id = %request.id, "an answer of an identity provider belongs to no sign-in of this browser");
            return self.not_this_sign_in(&request);
        };
        let mut response = self.returned(&request, &provider, journey, &answer).await;
        browser::arrived(&mut response, &state);
        response
    }

    async fn returned(&self, request: &OfficeRequest, provider: &Arc<Provider>, journey: Journey, answer: &Form) -> Response<Body> {
        let name = provider.config.name.clone();
        let ends = journey.ends().after(Duration::from_secs(1));
        let metadata = match provider.metadata(self.env.now()).await {
            Ok(metadata) => metadata,
            Err(trouble) => return self.provider_in_trouble(request, provider, &trouble).await,
        };
        let arrived = match journey.arrive(&name, &provider.config.issuer, answer, metadata.naming) {
            Ok(arrived) => arrived,
            Err(why) => return self.not_arrived(request, provider, &why).await,
        };
        // What cannot be recorded has no effect, and nothing happens twice (I2, I3): asked before the code is given away.
        if !self.audit.is_healthy() {
            return self.away(request.id);
        }
        match self.store.decide_once((&arrived.once(), ends), self.env.now()).await {
            Ok(true) => {}
            Ok(false) => {
                self.sign_in_refused(request, provider, None, "replayed").await;
                return self.not_this_sign_in(request);
            }
            Err(_) => return self.away(request.id),
        }
        let vouched = match provider.redeem(&metadata, &arrived, &self.callback_of(&name), || self.env.now()).await {
            Ok(vouched) => vouched,
            Err(NotSignedIn::Trouble(trouble)) => return self.provider_in_trouble(request, provider, &trouble).await,
            Err(why) => {
                tracing::warn!(id = %request.id, provider = %name, %why, "an identity provider's answer was refused");
                self.sign_in_refused(request, provider, None, &why.reason()).await;
                return match why {
                    NotSignedIn::Claims(Unvouched::Early | Unvouched::Expired | Unvouched::Old) => self.not_of_now(request, provider),
                    _ => self.not_believed(request, provider),
                };
            }
        };
        let waiting = browser::cookie(&request.headers, browser::WAITING).filter(|sealed| arrived.leads_to(sealed)).map(str::to_owned);
        self.vouched_for(request, provider, (&vouched, arrived.journey().begun()), waiting.as_deref()).await
    }

    async fn vouched_for(
        &self,
        request: &OfficeRequest,
        provider: &Provider,
        (vouched, begun): (&Vouched, Timestamp),
        waiting: Option<&str>,
    ) -> Response<Body> {
        let (user, now) = (vouched.user(), self.env.now());
        let admitted = match admit(vouched, &provider.config.domains, &self.login.admission) {
            Ok(admitted) => admitted,
            Err(why) => {
                // A group that somebody lost is lost at once, also where it was the one that let them in (RS-08).
                let known = match self.store.knows_user(user).await {
                    Ok(true) => self.store.put_user(user, vouched.groups(), now).await,
                    Ok(false) => Ok(()),
                    Err(error) => Err(error),
                };
                if known.is_err() {
                    return self.away(request.id);
                }
                self.sign_in_refused(request, provider, Some(user), &why.to_string()).await;
                self.note_not_admitted(request, waiting, &why.to_string());
                return self.not_admitted(request, why);
            }
        };
        match self.store.admit_user(admitted.user(), admitted.groups(), admitted.email(), now).await {
            Ok(doorward_store::Standing::Good) => {}
            Ok(doorward_store::Standing::Disabled) => {
                self.sign_in_refused(request, provider, Some(user), "user_disabled").await;
                self.note_not_admitted(request, waiting, "user_disabled");
                return self.may_not_act(request);
            }
            Err(_) => return self.away(request.id),
        }
        let came = CameFrom { session: admitted.session(), begun };
        self.signed_in((admitted.user(), Some(came)), request, waiting).await
    }

    /// Where a provider sends the browser back to: registered there, and of this provider alone (OC-03).
    fn callback_of(&self, name: &ProviderName) -> String {
        format!("{}/login/{name}/callback", self.root())
    }

    async fn sign_in_refused(&self, request: &OfficeRequest, provider: &Provider, user: Option<&UserId>, why: &str) {
        let cause = format!("{} at {}", why, provider.config.name);
        self.note(&Notice { reason: "sign_in_refused", id: Some(request.id), user, cause: Some(&cause), ..Notice::default() }).await;
    }

    async fn provider_in_trouble(&self, request: &OfficeRequest, provider: &Provider, trouble: &Trouble) -> Response<Body> {
        tracing::warn!(id = %request.id, provider = %provider.config.name, %trouble, "an identity provider could not be used");
        self.sign_in_refused(request, provider, None, &trouble.reason()).await;
        let is_refusal = matches!(trouble, Trouble::Answer(BadAnswer::Refused(_)));
        let (status, title, text) = if is_refusal {
            let text = "The identity provider did not accept what this gateway sent for you. Nobody was signed in.";
            (502, "The provider refused the sign-in", text)
        } else {
            let text = "The identity provider cannot be used at the moment: it does not answer, or not as it should. Nobody was signed in. Whoever is signed in already stays so.";
            (503, "The provider cannot be reached", text)
        };
        let next = "Try again in a minute. If this stays so, give the number below to the administrator of this gateway.";
        let problem = Problem { side: Side::Provider, title, text, about: None, next, link: Some(("/login", "Sign in")) };
        self.problem(status, problem, request.id)
    }

    async fn not_arrived(&self, request: &OfficeRequest, provider: &Provider, why: &NotArrived) -> Response<Body> {
        let code = if let NotArrived::Refused(code) = why { code.as_str() } else { "" };
        self.sign_in_refused(request, provider, None, format!("{why} {code}").trim_end()).await;
        if !matches!(why, NotArrived::Refused(_)) {
            return self.not_believed(request, provider);
        }
        let (title, text) = match code {
            "access_denied" => (
                "You were not signed in",
                "The provider says that the sign-in was cancelled, or that your account may not use this gateway.",
            ),
            "temporarily_unavailable" | "server_error" => {
                ("The provider cannot sign you in now", "The provider says that it cannot at the moment.")
            }
            _ => ("You were not signed in", "The provider did not sign you in. What it said is on the record of this gateway."),
        };
        let next = "Try again, or ask the administrator with the number below.";
        let problem = Problem { side: Side::Provider, title, text, about: None, next, link: Some(("/login", "Sign in")) };
        self.problem(403, problem, request.id)
    }

    pub(super) fn not_this_sign_in(&self, request: &OfficeRequest) -> Response<Body> {
        let problem = Problem {
            side: Side::You,
            title: "This sign-in does not go on here",
            text: "It began in another browser, it is over, or it is older than ten minutes. If somebody sent you this address, they may have tried to sign you in as somebody else. Nobody was signed in.",
            about: None,
            next: "Begin again on this page.",
            link: Some(("/login", "Sign in")),
        };
        self.problem(400, problem, request.id)
    }

    fn not_believed(&self, request: &OfficeRequest, provider: &Provider) -> Response<Body> {
        let problem = Problem {
            side: Side::Provider,
            title: "The provider's answer cannot be believed",
            text: "What came back is not a proof that you signed in there just now. Nobody was signed in. Why is on the record of this gateway.",
            about: Some(provider.config.name.as_str()),
            next: "Try again. If this stays so, give the number below to the administrator.",
            link: Some(("/login", "Sign in")),
        };
        self.problem(502, problem, request.id)
    }

    /// A proof of another time. Whoever sends old answers is told the same: it says nothing that they could not read off their own clock.
    fn not_of_now(&self, request: &OfficeRequest, provider: &Provider) -> Response<Body> {
        let problem = Problem {
            side: Side::Provider,
            title: "The provider's answer cannot be believed",
            text: "By the clock of this gateway, what came back was not made just now: the provider's clock is too far from it, or the answer is an old one. Nobody was signed in.",
            about: Some(provider.config.name.as_str()),
            next: "Try again. If this stays so, give the number below to the administrator: one of the two clocks has to be set right.",
            link: Some(("/login", "Sign in")),
        };
        self.problem(502, problem, request.id)
    }

    fn not_admitted(&self, request: &OfficeRequest, why: NotAdmitted) -> Response<Body> {
        let text = match why {
            NotAdmitted::Domain | NotAdmitted::Email => {
                "Your account is not one of those that may come in here: it belongs to another organisation, or its e-mail address is not verified."
            }
            NotAdmitted::Group => "Your account is in none of the groups that may come in here.",
        };
        let next = "Sign in with another account, or ask the administrator of this gateway.";
        let (title, link) = ("You may not come in", Some(("/login", "Sign in")));
        self.problem(403, Problem { side: Side::You, title, text, about: None, next, link }, request.id)
    }

    fn may_not_act(&self, request: &OfficeRequest) -> Response<Body> {
        let text = "The administrator of this gateway has disabled your account here.";
        let (title, next) = ("You may not come in", "Ask the administrator of this gateway.");
        self.problem(403, Problem { side: Side::You, title, text, about: None, next, link: None }, request.id)
    }
}
