//! The pages of administrators and auditors (product 5.6). Forms post to the page that they stand on: `csrf`, `action`, and what the action
//! takes. Where nothing may be changed there is no form.

use super::text::{Claimed, Hidden, Place};
use super::{Frame, print};
use askama::Template;

/// What stands around each of them.
#[derive(Debug, Clone)]
pub struct Around {
    /// Token of all forms.
    pub csrf: Hidden,
    /// Token of the form that signs out.
    pub out: Hidden,
    /// Where this page stands in the navigation.
    pub tab: Tab,
    /// Whether it is that place itself, or a page below it.
    pub is_tab: Picked,
    /// `administrator`, `auditor`.
    pub role: String,
    /// Whether this person may change something, and see the settings.
    pub may_change: bool,
    /// What was just done, or why not.
    pub said: Option<Said>,
}

/// What became of a form.
#[derive(Debug, Clone)]
pub enum Said {
    /// It was done.
    Done(String),
    /// It was not.
    NotDone(String),
}

/// The pages that have a place in the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tab {
    /// `/admin`.
    Overview,
    /// `/admin/servers`.
    Servers,
    /// `/admin/clients`.
    Clients,
    /// `/admin/people`.
    People,
    /// `/admin/attempts`.
    Attempts,
    /// `/admin/record`.
    Record,
    /// `/admin/settings`.
    Settings,
}

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// As it should be.
    Good,
    /// Somebody should look.
    Look,
    /// Refused, blocked, broken.
    Bad,
    /// Neither.
    Plain,
}

/// `/admin`.
#[derive(Debug, Clone, Template)]
#[template(path = "admin-overview.html")]
pub struct OverviewPage {
    /// Around every page.
    pub frame: Frame,
    /// Around these.
    pub around: Around,
    /// Numbers.
    pub tiles: Vec<Tile>,
    /// Why nothing of the record is shown.
    pub not_shown: Option<String>,
    /// What was refused last.
    pub refused: Vec<Row>,
    /// The latest calls.
    pub calls: Vec<Row>,
}

/// A number with what it counts.
#[derive(Debug, Clone)]
pub struct Tile {
    /// `People`.
    pub label: String,
    /// `14`.
    pub value: String,
    /// `2 disabled`.
    pub detail: Option<String>,
    /// How that is.
    pub sign: Sign,
}

/// An entry of the record.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its page.
    pub place: Option<Place>,
    /// Its position.
    pub position: String,
    /// When.
    pub when: String,
    /// Who.
    pub who: Option<Claimed>,
    /// Through which client.
    pub client: Option<Claimed>,
    /// About what.
    pub about: Claimed,
    /// As whom it arrived.
    pub acts_as: Option<Claimed>,
    /// How it ended.
    pub sign: Sign,
    /// The same in a word: `answered`, `refused`.
    pub word: String,
    /// Why.
    pub why: Option<Claimed>,
}

/// `/admin/servers`.
#[derive(Debug, Clone, Template)]
#[template(path = "admin-servers.html")]
pub struct ServersPage {
    /// Around every page.
    pub frame: Frame,
    /// Around these.
    pub around: Around,
    /// All of them.
    pub servers: Vec<ServerRow>,
}

/// A server.
#[derive(Debug, Clone)]
pub struct ServerRow {
    /// As people call it.
    pub title: String,
    /// Its name.
    pub name: String,
    /// How it is.
    pub sign: Sign,
    /// The same in words.
    pub word: String,
    /// `https://api.example`, `a process`.
    pub reached: Claimed,
    /// `18 read, 9 write`.
    pub tools: String,
    /// `everybody`, `group:eng`.
    pub visible_to: Claimed,
    /// What somebody with a terminal can do.
    pub command: Option<String>,
}

/// `/admin/clients`.
#[derive(Debug, Clone, Template)]
#[template(path = "admin-clients.html")]
pub struct ClientsPage {
    /// Around every page.
    pub frame: Frame,
    /// Around these.
    pub around: Around,
    /// What was searched for.
    pub search: String,
    /// Those that are blocked first, then those that somebody allowed something.
    pub clients: Vec<ClientRow>,
    /// `and 20 more`.
    pub more: Option<String>,
}

/// A client.
#[derive(Debug, Clone)]
pub struct ClientRow {
    /// Sent back: the digest of its id.
    pub digest: String,
    /// As it was called last.
    pub name: Claimed,
    /// Its id.
    pub id: Claimed,
    /// `registration`, `catalogue`.
    pub kind: String,
    /// Who says who it is.
    pub identified: Claimed,
    /// `2 hours ago`, `never`.
    pub last_used: String,
    /// `3 consents`.
    pub consents: String,
    /// Why it is refused: by an administrator, by the configuration.
    pub blocked: Vec<Claimed>,
    /// What a form may offer.
    pub offer: Offer,
}

/// What can be done about a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// It can be refused.
    Block,
    /// It can be let go on.
    Unblock,
    /// Nothing here.
    Nothing,
}

/// `/admin/people`.
#[derive(Debug, Clone, Template)]
#[template(path = "admin-people.html")]
pub struct PeoplePage {
    /// Around every page.
    pub frame: Frame,
    /// Around these.
    pub around: Around,
    /// What was searched for.
    pub search: String,
    /// Who fits.
    pub people: Vec<PersonRow>,
    /// `and 20 more`.
    pub more: Option<String>,
}

/// A person.
#[derive(Debug, Clone)]
pub struct PersonRow {
    /// Their page.
    pub place: Option<Place>,
    /// Their address, else their subject.
    pub name: Claimed,
    /// Who vouches for them.
    pub issuer: Claimed,
    /// Their name there.
    pub subject: Claimed,
    /// `eng, ops`.
    pub groups: Claimed,
    /// `administrator`.
    pub role: Option<String>,
    /// Whether they may act.
    pub disabled: Option<String>,
}

/// `/admin/people/person`.
#[derive(Debug, Clone, Template)]
#[template(path = "admin-person.html")]
pub struct PersonPage {
    /// Around every page.
    pub frame: Frame,
    /// Around these.
    pub around: Around,
    /// Who.
    pub person: PersonRow,
    /// Sent back.
    pub issuer: Hidden,
    /// Sent back.
    pub subject: Hidden,
    /// Whether this is the person who looks.
    pub is_yourself: bool,
    /// Signed-in browsers.
    pub browsers: Vec<Fact>,
    /// Sessions of clients.
    pub sessions: Vec<Fact>,
    /// What they allowed.
    pub consents: Vec<Fact>,
    /// Personal keys.
    pub keys: Vec<Fact>,
    /// The record of them.
    pub record: Option<Place>,
}

/// One thing of a person.
#[derive(Debug, Clone)]
pub struct Fact {
    /// Sent back, where it can be taken back by itself.
    pub id: String,
    /// What it is called.
    pub name: Claimed,
    /// What there is to say.
    pub detail: Claimed,
    /// `2 minutes ago`.
    pub when: String,
}

/// `/admin/attempts`.
#[derive(Debug, Clone, Template)]
#[template(path = "admin-attempts.html")]
pub struct AttemptsPage {
    /// Around every page.
    pub frame: Frame,
    /// Around these.
    pub around: Around,
    /// The latest.
    pub attempts: Vec<AttemptRow>,
    /// `and 20 more`.
    pub more: Option<String>,
}

/// How far a client came.
#[derive(Debug, Clone)]
pub struct AttemptRow {
    /// As it calls itself.
    pub name: Claimed,
    /// The id that it gave.
    pub client: Option<Claimed>,
    /// Whose, or from where.
    pub who: Claimed,
    /// For which server.
    pub server: Option<Claimed>,
    /// How it is.
    pub sign: Sign,
    /// The same in a word.
    pub word: String,
    /// How it stands.
    pub words: String,
    /// Cause and cure.
    pub advice: Option<(String, String)>,
    /// `2 minutes ago`.
    pub when: String,
}

/// `/admin/record`.
#[derive(Debug, Clone, Template)]
#[template(path = "admin-record.html")]
pub struct RecordPage {
    /// Around every page.
    pub frame: Frame,
    /// Around these.
    pub around: Around,
    /// What is asked for.
    pub asked: Vec<Field>,
    /// `permit`, `deny`, `refuse`, and which is asked for.
    pub decisions: Vec<(String, Picked)>,
    /// What fits, newest first.
    pub rows: Vec<Row>,
    /// Where older ones are.
    pub older: Option<Place>,
    /// Lines that are no record.
    pub bad: Option<String>,
}

/// A field of the search.
#[derive(Debug, Clone)]
pub struct Field {
    /// Its name in the query.
    pub name: &'static str,
    /// What stands before it.
    pub label: &'static str,
    /// What stands in it.
    pub value: String,
}

/// Whether a choice is the one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Picked {
    /// It is.
    Yes,
    /// It is not.
    No,
}

/// `/admin/record/<position>`.
#[derive(Debug, Clone, Template)]
#[template(path = "admin-record-at.html")]
pub struct RecordAtPage {
    /// Around every page.
    pub frame: Frame,
    /// Around these.
    pub around: Around,
    /// Which.
    pub position: String,
    /// Its place in the chain: position and hash.
    pub head: String,
    /// The seal behind it.
    pub sealed: String,
    /// It, and what belongs to the same request: members and values.
    pub records: Vec<Vec<(Claimed, Claimed)>>,
}

/// `/admin/settings`.
#[derive(Debug, Clone, Template)]
#[template(path = "admin-settings.html")]
pub struct SettingsPage {
    /// Around every page.
    pub frame: Frame,
    /// Around these.
    pub around: Around,
    /// Key and value.
    pub values: Vec<(String, String)>,
}

impl Tab {
    /// In the order of the navigation.
    const ALL: [(Self, &'static str, &'static str); 7] = [
        (Self::Overview, "/admin", "Overview"),
        (Self::Servers, "/admin/servers", "Servers"),
        (Self::Clients, "/admin/clients", "Clients"),
        (Self::People, "/admin/people", "People"),
        (Self::Attempts, "/admin/attempts", "Attempts"),
        (Self::Record, "/admin/record", "Record"),
        (Self::Settings, "/admin/settings", "Settings"),
    ];
}

impl Around {
    /// The navigation of this person: address, name, and whether it is here.
    fn tabs(&self) -> impl Iterator<Item = (&'static str, &'static str, Picked)> {
        let shown = Tab::ALL.into_iter().filter(|(tab, ..)| self.may_change || *tab != Tab::Settings);
        shown.map(|(tab, place, name)| (place, name, if tab == self.tab { Picked::Yes } else { Picked::No }))
    }
}

macro_rules! rendered {
    ($($page:ty),*) => {
        $(impl $page {
            /// The page as HTML.
            #[must_use]
            pub fn render(&self) -> String {
                print(self)
            }
        })*
    };
}

rendered!(OverviewPage, ServersPage, ClientsPage, PeoplePage, PersonPage, AttemptsPage, RecordPage, RecordAtPage, SettingsPage);
