//! The consent page (product 5.2): who asks, where the answer goes, what it may use, for how long; and the page of an application that
//! could not be checked, which has nothing to allow.
//!
//! Forms post to `/oauth/consent` as `application/x-www-form-urlencoded`:
//!
//! | Field | Value |
//! |---|---|
//! | `txn` | the ticket of the request |
//! | `csrf` | the token of this rendering |
//! | `decision` | `cancel`, `allow`, `remote`, `report`, or `other-user` |
//! | `grant` | `<server>:<class>`, once for each tick |
//! | `account` | `<server>:<account id>`, once for each server with a choice of accounts |
//! | `site` | `understood`: the second tick of a different site |
//! | `device` | `mine`: the second tick of a device |
//! | `duration` | [`Duration::value`] |
//!
//! `other-user` carries no ticks. Everything is checked again when it comes back: a tick that was not offered, an account that is not the
//! person's, a missing second tick. A decision without a `grant` is a cancellation (product C7).

use super::text::{Claimed, Hidden};
use super::{Frame, print};
use askama::Template;

/// Above this number of servers each is folded (product C19).
const UNFOLDED: usize = 8;

/// The question. Its identity is one of three that may be allowed; the fourth has [`UncheckedPage`].
#[derive(Debug, Clone, Template)]
#[template(path = "consent.html")]
pub struct ConsentPage {
    /// Around the page; `person` is who decides.
    pub frame: Frame,
    /// The ticket of the request.
    pub txn: Hidden,
    /// The token of this rendering (product C3).
    pub csrf: Hidden,
    /// True where somebody else could sign in instead (product C17).
    pub offers_other_user: bool,
    /// Why the page is shown again.
    pub notice: Option<Notice>,
    /// What is new since the earlier consent (product C15); shown on top.
    pub changes: Option<Changes>,
    /// When this was allowed before, if only the choices are remembered (product C14): `3 November 2026`.
    pub earlier: Option<String>,
    /// Who asks.
    pub application: Application,
    /// What it may use: the servers that this person may use, with what was asked for. Never empty.
    pub servers: Vec<Server>,
    /// Scopes that were asked for and cannot be given; shown, not dropped in silence (AZ-11).
    pub refused_scopes: Vec<Claimed>,
    /// What is known of the device that asks, if one does.
    pub device: Option<Device>,
    /// For how long.
    pub durations: Vec<Duration>,
    /// Technical details.
    pub details: Details,
}

/// Why the page is shown again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// The decision came faster than anybody reads (product C11).
    TooQuick,
    /// The answer goes to a different site and the second tick is missing.
    SiteNotConfirmed,
    /// A device asks and the second tick is missing.
    DeviceNotConfirmed,
    /// What was ticked is offered no longer, or in another form.
    OfferChanged,
}

/// Who asks.
#[derive(Debug, Clone)]
pub struct Application {
    /// Its name, as it says.
    pub name: Claimed,
    /// How it is known.
    pub identity: Identity,
    /// Where the answer goes.
    pub answer: Answer,
    /// Applications that may use what this one is given, as the administrator wrote down (RFC 8693).
    pub passes_on_to: Vec<Claimed>,
    /// What this person did with it: `Never before by you`, `You allowed it first on 3 November 2026`.
    pub first_seen: String,
    /// What others did, only as a number: `used by 14 people here`, `fewer than 5 people here use it` (product C18).
    pub others: Option<String>,
}

/// How the application is known. The three forms in which it may be allowed.
#[derive(Debug, Clone)]
pub enum Identity {
    /// It has a document on a domain.
    Published {
        /// Host of the document.
        host: Claimed,
        /// `3 minutes ago`.
        checked: String,
        /// True if the document could not be fetched now and this is the last good copy.
        is_copy: bool,
    },
    /// The administrator named it.
    Approved,
    /// It registered itself; nobody checked its name.
    SelfClaimed {
        /// `just now`, `2 days ago`.
        registered: String,
    },
    /// It asks from a device and proves nothing there: anybody can ask in this name.
    Unproven,
}

/// A device that asks (RFC 8628). The address that it asked from stands where the answer goes.
#[derive(Debug, Clone)]
pub struct Device {
    /// The code that it shows.
    pub code: Claimed,
    /// When it asked: `2 minutes ago`.
    pub asked: String,
}

/// Where the answer goes.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Scheme, host and port of the redirect URI, or the address of a device (made with [`Claimed::technical`]).
    pub origin: Claimed,
    /// Where that is (product R3).
    pub destination: Destination,
}

/// Where that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// `http` on loopback: any program on this computer may listen there. The only one with *runs on another computer*.
    ThisComputer,
    /// A scheme of its own: any program on this computer may have taken it.
    Program,
    /// The site of the document, or the one that the administrator wrote down.
    SameSite,
    /// A device that asked from another place: needs a second tick of its own.
    Device,
    /// Any other site: needs the second tick. Also every site of an application that claims itself, which has no publisher.
    DifferentSite,
}

/// One server of the offer.
#[derive(Debug, Clone)]
pub struct Server {
    /// Its name in the configuration; part of the ticks.
    pub id: String,
    /// How people call it, as the operator wrote it.
    pub title: String,
    /// As whom calls arrive there (product C8).
    pub acts_as: ActsAs,
    /// What may be ticked, reading first.
    pub classes: Vec<ClassRow>,
}

/// As whom calls arrive at a server.
#[derive(Debug, Clone)]
pub enum ActsAs {
    /// The person's account there, by its name.
    Account(Claimed),
    /// One of several accounts of the person.
    Choice(Vec<Account>),
    /// A service account or role.
    Service(Claimed),
    /// One key that all share.
    SharedKey,
    /// The person signs in there after this page; the name of the provider as the operator wrote it.
    NotConnected(String),
    /// The server asks for no credential.
    Nobody,
}

/// An account of the person at a server.
#[derive(Debug, Clone)]
pub struct Account {
    /// Its id; part of the choice.
    pub id: String,
    /// Its name there.
    pub name: Claimed,
    /// Chosen at first.
    pub chosen: bool,
}

/// What a class of tools does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Changes nothing.
    Read,
    /// Can change things.
    Write,
    /// Can delete things.
    Destructive,
}

/// One class of tools of a server: one tick.
#[derive(Debug, Clone)]
pub struct ClassRow {
    /// What it does.
    pub class: Class,
    /// What the operator says it is for: `issues, pull requests and code`; empty if nothing was said.
    pub summary: String,
    /// Its tools, approved by the administrator.
    pub tools: Vec<Tool>,
    /// Ticked at first. Counts for reading only: what can change or delete things is never ticked beforehand (product C7).
    pub ticked: bool,
    /// The person allowed this before; said in words, whatever the tick.
    pub held: bool,
}

/// One tool.
#[derive(Debug, Clone)]
pub struct Tool {
    /// Its name at the server.
    pub name: Claimed,
    /// What the server calls it, if it has a title.
    pub title: Option<Claimed>,
}

/// A choice of how long.
#[derive(Debug, Clone)]
pub struct Duration {
    /// Sent back: `8h`, `30d`, `until-removed`.
    pub value: String,
    /// Shown: `8 hours`.
    pub label: String,
    /// Chosen at first.
    pub chosen: bool,
}

/// What stands behind the question, for those who know the words.
#[derive(Debug, Clone)]
pub struct Details {
    /// `client_id` ([`Claimed::technical`], as all addresses here).
    pub client_id: Claimed,
    /// `redirect_uri`.
    pub redirect_uri: Claimed,
    /// `resource`.
    pub resource: Claimed,
    /// Scopes that were asked for.
    pub scopes: Vec<Claimed>,
    /// Where what is known of the application comes from, and when.
    pub source: String,
    /// Short id of the request, as the record has it.
    pub request: String,
    /// Until when it can be decided: `in 9 minutes`.
    pub expires: String,
}

/// What is new since the earlier consent.
#[derive(Debug, Clone)]
pub struct Changes {
    /// When that was: `3 November 2026`.
    pub since: String,
    /// What differs. Never empty.
    pub differences: Vec<Difference>,
}

/// One thing that differs.
#[derive(Debug, Clone)]
pub enum Difference {
    /// It asks for a class, or for a server, that was not allowed.
    More {
        /// Title of the server.
        server: String,
        /// What it asks for.
        class: Class,
    },
    /// A class that was allowed has new tools.
    NewTools {
        /// Title of the server.
        server: String,
        /// Which class.
        class: Class,
        /// The new ones.
        tools: Vec<Claimed>,
    },
    /// Calls would arrive as somebody else.
    OtherAccount {
        /// Title of the server.
        server: String,
        /// Until now.
        from: Claimed,
        /// From now on.
        to: Claimed,
    },
    /// The application's document, keys or addresses changed.
    Application {
        /// What, in our words: `the addresses that its answers may go to`.
        what: String,
    },
    /// The time that was chosen is up.
    Ended,
}

impl Class {
    /// The word in a tick's value.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Destructive => "destructive",
        }
    }

    /// In plain words.
    const fn plain(self) -> &'static str {
        match self {
            Self::Read => "can read",
            Self::Write => "can change things",
            Self::Destructive => "can delete things",
        }
    }
}

impl ConsentPage {
    /// The page as HTML.
    #[must_use]
    pub fn render(&self) -> String {
        print(self)
    }

    fn is_folded(&self) -> bool {
        self.servers.len() > UNFOLDED
    }

    /// Only a program on this computer can get its answer from another one by hand (product C21).
    fn may_be_remote(&self) -> bool {
        self.application.answer.destination == Destination::ThisComputer
    }

    fn needs_second_tick(&self) -> bool {
        self.application.answer.destination == Destination::DifferentSite
    }
}

impl Application {
    fn is_self_claimed(&self) -> bool {
        matches!(self.identity, Identity::SelfClaimed { .. })
    }

    fn is_approved(&self) -> bool {
        matches!(self.identity, Identity::Approved)
    }

    fn is_local(&self) -> bool {
        matches!(self.answer.destination, Destination::ThisComputer | Destination::Program)
    }
}

impl Server {
    fn is_open(&self) -> bool {
        self.classes.iter().any(ClassRow::is_ticked)
    }
}

impl ClassRow {
    fn is_ticked(&self) -> bool {
        self.ticked && self.class == Class::Read
    }
}

/// An application that could not be checked (product 5.2, R6): the page says why and ends. There is nothing to allow, no form, and the
/// browser is sent nowhere.
#[derive(Debug, Clone, Template)]
#[template(path = "unchecked.html")]
pub struct UncheckedPage {
    /// Around the page.
    pub frame: Frame,
    /// Its client id ([`Claimed::technical`]).
    pub client_id: Claimed,
    /// Where it wants the answer ([`Claimed::technical`]).
    pub origin: Claimed,
    /// Why not, in our words: `its document did not arrive in time`.
    pub cause: String,
    /// What to do.
    pub next: String,
    /// Found in the log and the record.
    pub correlation: String,
}

impl UncheckedPage {
    /// The page as HTML.
    #[must_use]
    pub fn render(&self) -> String {
        print(self)
    }
}
