//! What happens next with an authorization request, and the one way to a code.
//!
//! ```text
//!                    ┌──────────── every step comes back here; no step links to another ────────────┐
//! /oauth/authorize ─▶ next ─▶ SignIn ──┘        Consent ──▶ approve ─▶ Issue ─▶ client        Refuse ─▶ page or client
//!                                               Remembered ▶ remembered ─┘
//! ```
//!
//! [`next`] is total and knows nothing but the facts it is given. [`approve`] and [`remembered`] are the only makers of
//! [`Approved`], and [`Approved`] the only thing that a code can be minted from: without a person's tick in the browser that
//! began there is none (security I6; AZ-01, AZ-02), but for the clients of which the administrator said that one tick is enough
//! as long as nothing changes (C14; AZ-10). House 11.2.

use super::client::Identity;
use super::redirect::Scheme;
use super::request::{Answer, AuthRequest, ErrorCode, Prompt};
use super::scope::Scope;
use super::standing::{Offer, Standing, wanted};
use crate::id::UserId;
use crate::secret::{AuthorizationCode, PlainToken};
use crate::time::Timestamp;
use std::collections::BTreeSet;
use std::time::Duration;

/// What is known at one step.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Whether the browser is the one that began the request.
    pub browser: Browser,
    /// Who is signed in.
    pub signed_in: Option<SignedIn>,
    /// Whether this person may know of the server that is asked for.
    pub visible: bool,
    /// What can be granted of it.
    pub offer: Offer,
    /// What they allowed this client there before.
    pub standing: Option<Standing>,
    /// Whether the administrator named this client as one that need not ask again (`clients.skip_consent`).
    pub need_not_ask: bool,
    /// Whether no other site sent the browser here, when the request began and now.
    pub unled: bool,
}

/// Whose browser it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Browser {
    /// The one that began.
    Same,
    /// Another one.
    Other,
}

/// A person who is signed in, in this browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// Who.
    pub user: UserId,
    /// Since when.
    pub since: Timestamp,
    /// Whether they may not act.
    pub disabled: bool,
}

/// What happens next.
#[derive(Debug)]
pub enum Next {
    /// Somebody signs in first.
    SignIn,
    /// The person is asked.
    Consent,
    /// Their earlier answer counts.
    Remembered,
    /// It ends.
    Refuse(Refusal),
}

/// How it ends.
#[derive(Debug)]
pub enum Refusal {
    /// On our page: it is another browser than the one that began.
    OtherBrowser,
    /// At the client.
    Client(Box<Answer>),
}

/// What the person decided.
#[derive(Debug, Clone)]
pub struct Decision {
    /// What they ticked.
    pub ticked: BTreeSet<Scope>,
    /// For how long.
    pub lasting: Lasting,
}

/// How long a consent counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lasting {
    /// For a time.
    For(Duration),
    /// Until somebody removes it.
    UntilRemoved,
}

/// A person's yes. Only [`approve`] and [`remembered`] make one.
#[derive(Debug)]
pub struct Approved {
    request: AuthRequest,
    user: UserId,
    granted: BTreeSet<Scope>,
    ends: Option<Timestamp>,
}

/// Why a decision is no yes.
#[derive(Debug)]
pub enum NotApproved {
    /// The page must be asked for again: the facts are others than when it was shown.
    Stale(Next),
    /// Something was ticked that was not offered.
    NotOffered,
    /// Nothing was ticked: that is a no.
    Nothing(Box<Answer>),
}

/// The next step. First match wins.
///
/// | fact | next | under `prompt=none` |
/// |---|---|---|
/// | another browser | page | page |
/// | nobody signed in, or not since the request began under `prompt=login` | sign in | `login_required` |
/// | the person may not act, or may not know of the server | `access_denied` | `access_denied` |
/// | everything is as when they said yes, and this client need not ask again | their answer counts | the same |
/// | otherwise | consent | `consent_required` |
///
/// The fifth row holds under no other `prompt`.
#[must_use]
pub fn next(request: &AuthRequest, facts: &Facts, begun: Timestamp, now: Timestamp) -> Next {
    let client = |code: ErrorCode| Next::Refuse(Refusal::Client(Box::new(request.refuse(code))));
    if facts.browser == Browser::Other {
        return Next::Refuse(Refusal::OtherBrowser);
    }
    let person = facts.signed_in.as_ref().filter(|person| request.prompt() != Prompt::Login || person.since >= begun);
    match (person, request.prompt()) {
        (None, Prompt::None) => client(ErrorCode::LoginRequired),
        (None, _) => Next::SignIn,
        (Some(person), _) if person.disabled => client(ErrorCode::AccessDenied),
        // A server that is not theirs is answered like one that is not there (RS-05).
        (Some(_), _) if !facts.visible => client(ErrorCode::InvalidTarget),
        (Some(_), Prompt::Default | Prompt::None) if stands(request, facts, now).is_some() => Next::Remembered,
        (Some(_), Prompt::None) => client(ErrorCode::ConsentRequired),
        (Some(_), _) => Next::Consent,
    }
}

/// The consent that may stand for a new one (C14): of an assured client, whose answer goes to the same https address, asking for no
/// more, with nothing changed; and the browser was not led here by another site, which could make it fetch codes all day.
fn stands<'a>(request: &AuthRequest, facts: &'a Facts, now: Timestamp) -> Option<&'a Standing> {
    let assured = !matches!(request.client().identity(), Identity::SelfClaimed);
    let target = request.target()?;
    let kept = assured && facts.need_not_ask && facts.unled && *target.scheme() == Scheme::Https && !target.is_loopback();
    let asks_something = !wanted(request, &facts.offer).is_empty();
    facts.standing.as_ref().filter(|standing| {
        kept && asks_something && standing.redirect_uri == target.as_str() && standing.differences(request, &facts.offer, now).is_empty()
    })
}

/// Takes an earlier yes for this one, where [`next`] says so. It gives what is asked for now and lasts no longer.
///
/// # Errors
/// What happens instead.
pub fn remembered(request: AuthRequest, facts: &Facts, begun: Timestamp, now: Timestamp) -> Result<Approved, Next> {
    match (next(&request, facts, begun, now), &facts.signed_in, stands(&request, facts, now)) {
        (Next::Remembered, Some(person), Some(standing)) => {
            let (user, ends, granted) = (person.user.clone(), standing.ends, wanted(&request, &facts.offer));
            Ok(Approved { request, user, granted, ends })
        }
        (other, ..) => Err(other),
    }
}

/// Turns a decision into a yes, if the facts would still lead to the page that was decided on, or past it.
///
/// # Errors
/// [`NotApproved`].
pub fn approve(request: AuthRequest, facts: &Facts, decision: Decision, begun: Timestamp, now: Timestamp) -> Result<Approved, NotApproved> {
    let user = match (next(&request, facts, begun, now), &facts.signed_in) {
        (Next::Consent | Next::Remembered, Some(person)) => person.user.clone(),
        (other, _) => return Err(NotApproved::Stale(other)),
    };
    if !decision.ticked.iter().all(|scope| facts.offer.contains_key(&scope.class()) && scope.server() == request.server()) {
        return Err(NotApproved::NotOffered);
    }
    if decision.ticked.is_empty() {
        return Err(NotApproved::Nothing(Box::new(request.refuse(ErrorCode::AccessDenied))));
    }
    let ends = match decision.lasting {
        Lasting::For(span) => Some(now.after(span)),
        Lasting::UntilRemoved => None,
    };
    Ok(Approved { request, user, granted: decision.ticked, ends })
}

// === impl Approved ===

impl Approved {
    /// What was asked.
    #[must_use]
    pub const fn request(&self) -> &AuthRequest {
        &self.request
    }

    /// Who said yes.
    #[must_use]
    pub const fn user(&self) -> &UserId {
        &self.user
    }

    /// To what.
    #[must_use]
    pub const fn granted(&self) -> &BTreeSet<Scope> {
        &self.granted
    }

    /// Until when; `None` until somebody removes it.
    #[must_use]
    pub const fn ends(&self) -> Option<Timestamp> {
        self.ends
    }

    /// The answer that carries the code, once that is stored.
    #[must_use]
    pub fn answer(&self, code: &PlainToken<AuthorizationCode>) -> Answer {
        self.request.grant(code.reveal().to_owned())
    }
}
