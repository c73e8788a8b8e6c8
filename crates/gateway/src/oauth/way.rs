//! What is noted of a client's way through these endpoints, for people (ADR 26). Decides nothing, and nothing waits for it.

use super::clients::Unresolved;
use crate::Gateway;
use crate::listen::OfficeRequest;
use crate::signin::{Person, browser::began};
use doorward_core::id::{ClientId, CredentialId, ServerName, UserId};
use doorward_core::oauth::attempt::{AttemptId, Mark, Step};
use doorward_core::oauth::client::{Client, ClientAuth, Identity};
use doorward_core::oauth::flow::Browser;
use doorward_core::oauth::form::Form;
use doorward_core::oauth::keys::Ticket;
use doorward_core::oauth::request::{Answer, AuthRequest};
use doorward_core::oauth::token::{Shown, TokenError};
use doorward_core::secret::{AuthorizationCode, TokenHash};
use doorward_core::time::Timestamp;
use doorward_store::{HeardOf, Named, NewAttempt};
use std::net::IpAddr;

/// A request that is under way, in the browser that began it: which, and whose by now.
#[derive(Clone, Copy)]
pub(super) struct On<'a> {
    ticket: &'a Ticket,
    user: Option<&'a UserId>,
    /// Since when that user is known to this request.
    since: Timestamp,
    peer: IpAddr,
}

/// What a checked request is noted with.
pub(super) type What<'a> = (&'a Client, &'a ServerName);

/// A redirect URI that is missing, or not the client's.
pub(super) const BAD_REDIRECT: &str = "bad_redirect_uri";
/// A client that may not ask without a browser.
pub(super) const NO_DEVICES: &str = "no_device_grant";

impl<'a> On<'a> {
    /// `None` in another browser than that which began it: whoever was given the address of somebody's request has no part in it (AZ-02).
    pub(super) fn of(request: &OfficeRequest, ticket: &'a Ticket, person: Option<&'a Person>, whose: Browser) -> Option<Self> {
        let since = person.map_or(ticket.begun, |person| person.since.max(ticket.begun));
        (whose == Browser::Same).then_some(Self { ticket, user: person.map(|person| &person.user), since, peer: request.peer })
    }

    /// Of somebody who decided.
    pub(super) const fn decided(request: &OfficeRequest, ticket: &'a Ticket, user: &'a UserId) -> Self {
        Self { ticket, user: Some(user), since: ticket.begun, peer: request.peer }
    }
}

impl Gateway {
    /// A client came with a request that could be read, or with one that it may not make.
    /// `heard` is the server that the person may know of: others at their address are no news about one that they may not.
    pub(super) fn note_request(
        &self,
        on: Option<On<'_>>,
        client: &Client,
        (outcome, heard): (Result<&AuthRequest, &str>, Option<&ServerName>),
    ) {
        let Some(on) = on else { return };
        let (now, begun) = (self.env.now(), on.ticket.begun);
        let server = outcome.ok().map(AuthRequest::server);
        let mut marks = heard.map_or_else(Vec::new, |server| self.trace.lately_at(on.peer, server, begun));
        marks.push(match client.identity() {
            Identity::Published { .. } => Mark::done(Step::Document, now),
            Identity::Approved | Identity::SelfClaimed => Mark::done(Step::Known, begun),
        });
        marks.push(match outcome {
            Ok(_) => Mark::done(Step::Request, begun),
            Err(reason) => Mark::refused(Step::Request, begun, reason),
        });
        if on.user.is_some() && outcome.is_ok() {
            marks.push(Mark::done(Step::SignIn, on.since));
        }
        let client = match outcome {
            Ok(_) => named(client, on.ticket),
            // Nothing shows that it was this client: anybody can name its id.
            Err(_) => Named { name: None, identity: None, ..named(client, on.ticket) },
        };
        self.tell_of_request(on, Some(client), server, marks);
    }

    /// A client could not be found out, or not yet.
    pub(super) fn note_unresolved(&self, on: Option<On<'_>>, why: &Unresolved) {
        let (Some(on), begun) = (on, on.map_or_else(|| self.env.now(), |on| on.ticket.begun)) else { return };
        let mark = match why {
            Unresolved::NeedsFetch => Mark::done(Step::Request, begun),
            Unresolved::Unknown => Mark::refused(Step::Request, begun, "unknown_client"),
            Unresolved::Blocked => Mark::refused(Step::Request, begun, "client_blocked"),
            Unresolved::NotAllowed => Mark::refused(Step::Request, begun, "client_not_allowed"),
            Unresolved::Unchecked(_) => Mark::refused(Step::Request, begun, "client_unchecked"),
            Unresolved::Store(_) => return,
        };
        let claimed = ClientId::new(&on.ticket.front.client_id).ok().map(|id| Named { id, name: None, identity: None });
        self.tell_of_request(on, claimed, None, vec![mark]);
    }

    /// The client is told that it gets nothing, before the person was asked.
    pub(super) fn note_refused(&self, on: Option<On<'_>>, client: &Client, answer: &Answer) {
        let (Some(on), Some(code)) = (on, answer.code()) else { return };
        self.tell_of_request(on, Some(named(client, on.ticket)), None, vec![Mark::refused(Step::Request, self.env.now(), code.as_str())]);
    }

    /// The person was asked, or decided.
    pub(super) fn note_step(&self, on: On<'_>, (client, server): What<'_>, mark: Mark) {
        self.tell_of_request(on, Some(named(client, on.ticket)), Some(server), vec![mark]);
    }

    /// A yes was kept, and its answer is on its way.
    pub(super) fn note_answer(&self, on: On<'_>, (client, server): What<'_>, grant: &CredentialId, is_remembered: Recall) {
        let now = self.env.now();
        let yes = match is_remembered {
            Recall::Now => Step::Decision,
            Recall::Earlier => Step::Remembered,
        };
        let new = NewAttempt {
            grant: Some(grant.clone()),
            ..self.of_request(on, Some(named(client, on.ticket)), Some(server), vec![Mark::done(yes, now), Mark::done(Step::Answer, now)])
        };
        self.trace.tell(new);
    }

    /// Somebody signed in for a waiting request and may not come in: of nobody, since they are nobody here.
    pub(crate) fn note_not_admitted(&self, request: &OfficeRequest, waiting: Option<&str>, why: &str) {
        let ticket = waiting.and_then(|sealed| self.reception.keys.open(sealed, self.env.now()).ok());
        // In another browser it may be another person's, who would read it.
        let fits =
            |ticket: &Ticket| ticket.front.entered().is_none() && ticket.front.connects().is_none() && began(&request.headers, ticket);
        let Some(ticket) = ticket.filter(fits) else { return };
        let on = On { ticket: &ticket, user: None, since: ticket.begun, peer: request.peer };
        self.tell_of_request(on, None, None, vec![Mark::refused(Step::SignIn, self.env.now(), why)]);
    }

    /// A client registered itself, or could not.
    pub(super) fn note_registration(&self, peer: IpAddr, outcome: Result<&Client, &str>) {
        let now = self.env.now();
        let (id, client, mark) = match outcome {
            Ok(client) => (AttemptId::of_registration(client.id()), Some(registered(client)), Mark::done(Step::Registration, now)),
            Err(code) => (self.trace.place_id(peer), None, Mark::refused(Step::Registration, now, code)),
        };
        let new = NewAttempt { id, user: None, client, server: None, peer: None, grant: None, marks: vec![mark], takes: Vec::new() };
        self.trace.tell_of_stranger(peer, new);
    }

    /// Tokens were not given. It belongs to the attempt of the code, for whoever has that has it from its client or its person; else to
    /// nobody's of the client that was named. Refreshing is no connecting.
    pub(super) fn note_no_tokens(&self, request: &OfficeRequest, form: &Form, shown: &Shown, error: &TokenError) {
        if form.get("grant_type") != Some("authorization_code") {
            return;
        }
        let Ok(client) = ClientId::new(shown.id()) else { return };
        let mark = Mark::refused(Step::Token, self.env.now(), error.reason);
        let of = form.get("code").and_then(|code| TokenHash::<AuthorizationCode>::of(code).ok()).map(HeardOf::Code);
        let else_of = NewAttempt {
            id: AttemptId::of_claim(&client),
            user: None,
            client: Some(Named { id: client, name: None, identity: None }),
            server: None,
            peer: None,
            grant: None,
            marks: vec![mark.clone()],
            takes: Vec::new(),
        };
        self.trace.tell_tried(request.peer, of, mark, else_of);
    }

    fn tell_of_request(&self, on: On<'_>, client: Option<Named>, server: Option<&ServerName>, marks: Vec<Mark>) {
        let new = self.of_request(on, client, server, marks);
        match on.user {
            Some(_) => self.trace.tell(new),
            None => self.trace.tell_of_stranger(on.peer, new),
        }
    }

    /// What nobody did before on the same request, in the same browser, and the registration of the very client go with it.
    fn of_request(&self, on: On<'_>, client: Option<Named>, server: Option<&ServerName>, marks: Vec<Mark>) -> NewAttempt {
        let ticket = &on.ticket.id;
        let mut takes: Vec<AttemptId> = on.user.map(|_| AttemptId::of_request(ticket, None)).into_iter().collect();
        takes.extend(client.as_ref().map(|client| AttemptId::of_registration(&client.id)));
        NewAttempt {
            id: AttemptId::of_request(ticket, on.user),
            user: on.user.cloned(),
            client,
            server: server.cloned(),
            peer: None,
            grant: None,
            marks,
            takes,
        }
    }
}

/// Whether a yes was given now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recall {
    /// On the page.
    Now,
    /// An earlier one counts.
    Earlier,
}

/// As the question says it: whoever asks from a device need not be at the addresses that were checked or written down.
fn named(client: &Client, ticket: &Ticket) -> Named {
    let is_unproven = ticket.front.user_code().is_some() && matches!(client.auth(), ClientAuth::None | ClientAuth::EitherWay(_));
    Named { identity: registered(client).identity.filter(|_| !is_unproven), ..registered(client) }
}

fn registered(client: &Client) -> Named {
    let identity = match client.identity() {
        Identity::Published { .. } => "published",
        Identity::Approved => "approved",
        Identity::SelfClaimed => "self-claimed",
    };
    Named { id: client.id().clone(), name: Some(client.name().to_owned()), identity: Some(identity) }
}
