//! What happens next with an authorization request, and the one way to a code.
//!
//! ```text
//!                    ┌──────────── every step comes back here; no step links to another ────────────┐
//! /oauth/authorize ─▶ next ─▶ SignIn ──┘        Consent ──▶ approve ─▶ Issue ─▶ client        Refuse ─▶ page or client
//! ```
//!
//! [`next`] is total and knows nothing but the facts it is given. [`approve`] is the only maker of [`Approved`], and
//! [`Approved`] the only thing that a code can be minted from: without a person's tick in the browser that began there is
//! none (security I6; AZ-01, AZ-02). House 11.2.

use super::request::{Answer, AuthRequest, ErrorCode, Prompt};
use super::scope::Scope;
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

/// A person's yes. Only [`approve`] makes one.
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
/// | otherwise | consent | `consent_required` |
#[must_use]
pub fn next(request: &AuthRequest, facts: &Facts, begun: Timestamp) -> Next {
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
        (Some(_), Prompt::None) => client(ErrorCode::ConsentRequired),
        (Some(_), _) => Next::Consent,
    }
}

/// Turns a decision into a yes, if the facts would still lead to the page that was decided on. `offered` is what that page showed.
///
/// # Errors
/// [`NotApproved`].
pub fn approve(
    request: AuthRequest,
    facts: &Facts,
    decision: Decision,
    offered: &BTreeSet<Scope>,
    begun: Timestamp,
    now: Timestamp,
) -> Result<Approved, NotApproved> {
    let user = match (next(&request, facts, begun), &facts.signed_in) {
        (Next::Consent, Some(person)) => person.user.clone(),
        (other, _) => return Err(NotApproved::Stale(other)),
    };
    if !decision.ticked.iter().all(|scope| offered.contains(scope) && scope.server() == request.server()) {
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
