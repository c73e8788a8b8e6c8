//! `/admin`: the views of administrators as pages, and their changes as forms.

use super::changes::{Change, Done, Malformed};
use super::overseer::{Overseer, Visitor};
use super::views::{self, Asked, BadQuery, LISTED, NotShown, Overview, PersonDetail};
use super::{Away, rows};
use crate::Gateway;
use crate::audit::reading::{Part, Rest, Unread, Whole};
use crate::listen::OfficeRequest;
use crate::listen::body::Body;
use crate::listen::page::not_allowed;
use crate::listen::route::AdminPage;
use crate::signin::{BadPost, Person, Problem, is_to_be_shown, posted};
use crate::ui::Frame;
use crate::ui::admin::{
    Around, AttemptsPage, ClientsPage, Fact, Field, OverviewPage, PeoplePage, PersonPage, Picked, RecordAtPage, RecordPage, Said,
    ServersPage, SettingsPage, Sign, Tab, Tile,
};
use crate::ui::headers::Class;
use crate::ui::problem::Side;
use crate::ui::text::{Claimed, Hidden, Place};
use crate::when::{ago, until};
use doorward_core::audit::wanted::Decision;
use doorward_core::oauth::form::{Form, encoded};
use doorward_core::time::Timestamp;
use http::{Method, Response};

/// The page that all forms of these pages belong to.
const ADMIN: &str = "admin";
/// The page that signing out belongs to.
const ACCOUNT: &str = "account";

/// Why there is no page.
enum NoPage {
    /// The store does not answer.
    Away,
    /// The query is not one of this page.
    Query,
    /// There is nothing of that name.
    Nothing,
    /// It is not for this person.
    NotTheirs,
    /// The record was not read.
    Record(NotShown),
}

impl From<Away> for NoPage {
    fn from(_: Away) -> Self {
        Self::Away
    }
}

impl From<BadQuery> for NoPage {
    fn from(_: BadQuery) -> Self {
        Self::Query
    }
}

impl From<NotShown> for NoPage {
    fn from(not_shown: NotShown) -> Self {
        Self::Record(not_shown)
    }
}

impl Gateway {
    /// One request to a page.
    pub(crate) async fn admin(&self, mut request: OfficeRequest, page: AdminPage) -> Response<Body> {
        let takes_forms = matches!(page, AdminPage::Clients | AdminPage::Person);
        let is_post = request.method == Method::POST && takes_forms;
        if !is_post && request.method != Method::GET && request.method != Method::HEAD {
            return not_allowed(if takes_forms { "GET, HEAD, POST" } else { "GET, HEAD" });
        }
        // Reading is recorded, and so is who may not: nobody is led to either by a page of another site.
        if !is_post && !is_to_be_shown(&request.headers) {
            return self.led_here(&request, page);
        }
        let overseer = match self.visitor(&request.headers).await {
            Ok(Visitor::Overseer(overseer)) => overseer,
            Ok(Visitor::Nobody) => return self.sign_in_page(&request, None, None),
            Ok(Visitor::Member(person)) => return self.not_theirs(&request, &person).await,
            Err(Away) => return self.away(request.id),
        };
        let said = if is_post {
            // Whose page it is has to be there before anything is changed from it.
            if let Err(why) = self.shown_page(&request, &overseer, page, None).await {
                return self.no_page(&request, &overseer, why).await;
            }
            match self.posted_change(&mut request, &overseer).await {
                Ok(said) => Some(said),
                Err(response) => return response,
            }
        } else {
            None
        };
        match (self.shown_page(&request, &overseer, page, said.as_ref()).await, said) {
            (Ok(html), _) => self.html(200, Class::Page, html),
            (Err(why), None) => self.no_page(&request, &overseer, why).await,
            // What was done is said, whatever became of the page.
            (Err(_), Some(said)) => self.only_said(&request, &said),
        }
    }

    async fn shown_page(
        &self,
        request: &OfficeRequest,
        overseer: &Overseer,
        page: AdminPage,
        said: Option<&Said>,
    ) -> Result<String, NoPage> {
        let query = Form::parse(request.query.as_deref().unwrap_or_default()).map_err(|_| NoPage::Query)?;
        let frame = self.frame(Some(overseer.person()));
        let around = |tab, is_tab| self.around(overseer, (tab, is_tab), said.cloned());
        let now = self.env.now();
        Ok(match page {
            AdminPage::Overview => {
                views::only(&query, &[])?;
                overview_page(&self.overview(overseer, request.id).await?, frame, around(Tab::Overview, Picked::Yes)).render()
            }
            AdminPage::Servers => {
                views::only(&query, &[])?;
                let servers = self.servers_view(overseer).await?.iter().map(rows::server).collect();
                ServersPage { frame, around: around(Tab::Servers, Picked::Yes), servers }.render()
            }
            AdminPage::Clients => {
                let search = views::only(&query, &["search"])?.get("search");
                let clients = self.clients_view(overseer, search).await?;
                let more = and_more(clients.len().saturating_sub(LISTED) as u64);
                let clients = clients.iter().take(LISTED).map(|known| rows::client(known, now)).collect();
                let search = search.unwrap_or_default().to_owned();
                ClientsPage { frame, around: around(Tab::Clients, Picked::Yes), search, clients, more }.render()
            }
            AdminPage::People => {
                let search = views::only(&query, &["search"])?.get("search");
                let people = self.people_view(overseer, search).await?;
                let more = and_more(people.more);
                let (search, people) = (search.unwrap_or_default().to_owned(), people.people.iter());
                let people = people.map(|person| rows::person(person, now)).collect();
                PeoplePage { frame, around: around(Tab::People, Picked::Yes), search, people, more }.render()
            }
            AdminPage::Person => {
                let user = views::user(&query)?;
                let detail = self.person_view(overseer, &user).await?.ok_or(NoPage::Nothing)?;
                let is_yourself = user == overseer.person().user;
                let page = person_page(&detail, now, frame, around(Tab::People, Picked::No));
                PersonPage { is_yourself, ..page }.render()
            }
            AdminPage::Attempts => {
                views::only(&query, &[])?;
                let attempts = self.attempts_view(overseer).await?;
                let more = and_more(attempts.len().saturating_sub(LISTED) as u64);
                let attempts = attempts.iter().take(LISTED).map(|attempt| rows::attempt(attempt, now)).collect();
                AttemptsPage { frame, around: around(Tab::Attempts, Picked::Yes), attempts, more }.render()
            }
            AdminPage::Record => {
                let asked = Asked::of(&query)?;
                let part = self.records(overseer, asked.clone(), request.id).await?;
                record_page(&part, &asked, frame, around(Tab::Record, Picked::Yes)).render()
            }
            AdminPage::RecordAt(seq) => {
                views::only(&query, &[])?;
                let whole = self.record_at(overseer, seq, request.id).await?.ok_or(NoPage::Nothing)?;
                record_at_page(&whole, frame, around(Tab::Record, Picked::No)).render()
            }
            AdminPage::Settings => {
                views::only(&query, &[])?;
                let administrator = overseer.administrator().ok_or(NoPage::NotTheirs)?;
                let values = self.settings_view(&administrator).map(|(key, value)| (key, value.to_owned())).collect();
                SettingsPage { frame, around: around(Tab::Settings, Picked::Yes), values }.render()
            }
        })
    }

    /// A form of these pages: from here, of this page, by somebody who may.
    async fn posted_change(&self, request: &mut OfficeRequest, overseer: &Overseer) -> Result<Said, Response<Body>> {
        let form = match posted(request, &[]).await {
            Ok(form) => form,
            Err(bad) => return Err(self.not_posted_here(bad, request).await),
        };
        if self.shown(&form, ADMIN, Some(overseer.person())).is_none() {
            return Err(self.not_posted_here(BadPost::Elsewhere, request).await);
        }
        let still = self.still(&request.headers).await.map_err(|Away| self.away(request.id))?;
        let Some(administrator) = still.as_deref().and_then(Overseer::administrator) else {
            return Err(self.not_theirs(request, overseer.person()).await);
        };
        let members: Vec<(&str, &str)> = form.pairs().filter(|(name, _)| *name != "csrf").collect();
        let change = match Change::parse(&members) {
            Ok(change) => change,
            Err(Malformed::Member("reason")) => {
                return Ok(Said::NotDone("The reason is too long: 180 bytes at most. Nothing was changed.".to_owned()));
            }
            Err(Malformed::Action | Malformed::Member(_) | Malformed::Unknown) => {
                return Err(self.bad_post(BadPost::Unreadable, request.id));
            }
        };
        let done = self.change(&administrator, &change, request.id).await.map_err(|Away| self.away(request.id))?;
        Ok(match done {
            Done::Changed => Said::Done(in_words(&change).to_owned()),
            Done::StillBlocked => {
                Said::NotDone("Its block here is lifted. It stays blocked by clients.block of the configuration.".to_owned())
            }
            Done::WasSo => Said::NotDone("It was so before: nothing was changed.".to_owned()),
            Done::NotFound => Said::NotDone("It is not there any more: nothing was changed.".to_owned()),
            Done::Yourself => Said::NotDone("You would lock out yourself: nothing was changed.".to_owned()),
            Done::ByConfiguration => Said::NotDone("The configuration says so, and only there it can be changed.".to_owned()),
        })
    }

    fn around(&self, overseer: &Overseer, (tab, is_tab): (Tab, Picked), said: Option<Said>) -> Around {
        let person = Some(overseer.person());
        Around {
            csrf: Hidden::new(self.form_token(ADMIN, person)),
            out: Hidden::new(self.form_token(ACCOUNT, person)),
            tab,
            is_tab,
            role: rows::role(overseer.roles()).unwrap_or_default(),
            may_change: overseer.administrator().is_some(),
            said,
        }
    }

    async fn no_page(&self, request: &OfficeRequest, overseer: &Overseer, why: NoPage) -> Response<Body> {
        let ours = |title, text, next| Problem { side: Side::Us, title, text, about: None, next, link: None };
        let yours = |title, text, next| Problem { side: Side::You, link: Some(("/admin", "Administration")), ..ours(title, text, next) };
        let again = "Try again in a moment.";
        match why {
            NoPage::Away | NoPage::Record(NotShown::Unrecorded) => self.away(request.id),
            NoPage::NotTheirs => self.not_theirs(request, overseer.person()).await,
            NoPage::Query => {
                let text = "The address asks for something that this page does not know, or in a form that it does not know.";
                self.problem(400, yours("This address is not understood", text, "Start from the page and search there."), request.id)
            }
            NoPage::Nothing => {
                let problem = yours("There is nothing of that name", "It is gone, or it never was.", "Look for it in the list.");
                self.problem(404, problem, request.id)
            }
            NoPage::Record(NotShown::Unread(Unread::Busy)) => {
                self.problem(503, ours("The record cannot be shown", "Too many read it at the moment.", again), request.id)
            }
            NoPage::Record(NotShown::Unread(Unread::Io(error))) => {
                tracing::warn!(%error, "the record could not be read");
                self.problem(503, ours("The record cannot be shown", "Its file cannot be read.", again), request.id)
            }
        }
    }

    async fn not_theirs(&self, request: &OfficeRequest, person: &Person) -> Response<Body> {
        self.note_not_theirs(person, request.id, "a page").await;
        let problem = Problem {
            side: Side::You,
            title: "This is not yours to see",
            text: "This page is for other people of this installation than you.",
            about: None,
            next: "If it should be yours, ask for login.admins or login.auditors of the configuration.",
            link: Some(("/me", "Your account")),
        };
        self.problem(403, problem, request.id)
    }

    /// One more click, on a page of ours: then it is somebody who looks.
    fn led_here(&self, request: &OfficeRequest, page: AdminPage) -> Response<Body> {
        let query = request.query.as_deref().map(|query| format!("?{query}")).unwrap_or_default();
        let place = format!("{}{query}", page.path());
        let problem = Problem {
            side: Side::You,
            title: "Another site led here",
            text: "Who looks at these pages is recorded, so nobody is led to them unasked.",
            about: None,
            next: "If you meant to, go on.",
            link: Some((&place, "Go on")),
        };
        self.problem(403, problem, request.id)
    }

    fn only_said(&self, request: &OfficeRequest, said: &Said) -> Response<Body> {
        let (Said::Done(text) | Said::NotDone(text)) = said;
        let problem = Problem {
            side: Side::Us,
            title: "The page cannot be shown",
            text,
            about: None,
            next: "Open the page again in a moment: it shows how it is now.",
            link: Some(("/admin", "Administration")),
        };
        self.problem(503, problem, request.id)
    }
}

const fn in_words(change: &Change) -> &'static str {
    match change {
        Change::BlockClient { .. } => "The client is blocked: its calls end within 5 seconds, its streams within 30.",
        Change::UnblockClient(_) => "The client may go on with what it has, within 5 seconds.",
        Change::DisableUser(_) => "They may not act any more. What they allowed stays, for when they may again.",
        Change::EnableUser(_) => "They may act again.",
        Change::SignOutUser(_) => "Their browsers are signed out, and the sessions of their apps ended.",
        Change::RevokeConsent(_) => "The consent is taken back. The next call of that app is refused.",
        Change::RevokeKey(_) => "The key is revoked. Its next call is refused.",
    }
}

fn and_more(number: u64) -> Option<String> {
    (number > 0).then(|| format!("and {number} more: search for one"))
}

fn overview_page(overview: &Overview, frame: Frame, around: Around) -> OverviewPage {
    let tile = |label: &str, value: String, detail: Option<String>, sign| Tile { label: label.to_owned(), value, detail, sign };
    let some = |number: u64, word: &str| (number > 0).then(|| format!("{number} {word}"));
    let (record, sign) = match overview.fault {
        None => ("writes".to_owned(), Sign::Good),
        Some(fault) => (fault.to_string(), Sign::Bad),
    };
    let last = overview.head.map_or_else(|| "?".to_owned(), |head| format!("#{head}"));
    let (refused, calls, not_shown) = match &overview.latest {
        Ok(latest) => (latest.refused.as_slice(), latest.calls.as_slice(), None),
        Err(NotShown::Unrecorded) => (&[][..], &[][..], Some("that you read it could not be recorded")),
        Err(NotShown::Unread(Unread::Busy)) => (&[][..], &[][..], Some("too many read it at the moment")),
        Err(NotShown::Unread(Unread::Io(error))) => {
            tracing::warn!(%error, "the record could not be read");
            (&[][..], &[][..], Some("its file cannot be read"))
        }
    };
    OverviewPage {
        frame,
        around,
        tiles: vec![
            tile("People", overview.people.to_string(), some(overview.disabled, "disabled"), Sign::Plain),
            tile("Clients in use", overview.clients.to_string(), None, Sign::Plain),
            tile("Clients blocked", overview.blocked.to_string(), None, Sign::Plain),
            tile("Servers", overview.servers.to_string(), some(overview.unapproved as u64, "to approve"), Sign::Look),
            tile("Record", last, Some(record), sign),
        ],
        not_shown: not_shown.map(str::to_owned),
        refused: refused.iter().map(rows::entry).collect(),
        calls: calls.iter().map(rows::entry).collect(),
    }
}

fn person_page(detail: &PersonDetail, now: Timestamp, frame: Frame, around: Around) -> PersonPage {
    let (issuer, subject) = (detail.person.info.user.issuer(), detail.person.info.user.subject());
    let used = |at: Option<Timestamp>| at.map_or_else(|| "never used".to_owned(), |at| format!("used {}", ago(now, at)));
    let granted = |scopes: &std::collections::BTreeSet<String>| scopes.iter().map(String::as_str).collect::<Vec<&str>>().join(" ");
    let fact = |id: &str, name: &str, detail: &str, when: String| Fact {
        id: id.to_owned(),
        name: Claimed::new(name),
        detail: Claimed::new(detail),
        when,
    };
    PersonPage {
        frame,
        around,
        person: rows::person(&detail.person, now),
        issuer: Hidden::new(issuer.to_owned()),
        subject: Hidden::new(subject.to_owned()),
        is_yourself: false,
        browsers: detail
            .browsers
            .iter()
            .map(|browser| fact("", &browser.label, &format!("signed in {}", ago(now, browser.created)), used(Some(browser.used))))
            .collect(),
        sessions: detail
            .sessions
            .iter()
            .map(|session| fact("", session.client.as_str(), session.server.as_str(), used(Some(session.used))))
            .collect(),
        consents: detail
            .consents
            .iter()
            .map(|grant| {
                let ends = grant.expires.map_or_else(|| "no end".to_owned(), |at| format!("ends {}", until(now, at)));
                fact(grant.id.as_str(), &grant.name, &format!("{}, {ends}", granted(&grant.granted)), used(grant.used))
            })
            .collect(),
        keys: detail
            .keys
            .iter()
            .map(|key| {
                let text = format!("{}, ends {}", granted(&key.granted), until(now, key.expires));
                fact(key.id.as_str(), &key.label, &text, used(key.last_used))
            })
            .collect(),
        record: Place::new(&format!("/admin/record?user={}", encoded(&format!("{issuer}/{subject}")))),
    }
}

fn record_page(part: &Part, asked: &Asked, frame: Frame, around: Around) -> RecordPage {
    let field = |name: &'static str, label| {
        let value = asked.named().find(|(known, _)| *known == name).map(|(_, value)| value.to_owned()).unwrap_or_default();
        Field { name, label, value }
    };
    let query: Vec<String> = asked.named().map(|(name, value)| format!("&{name}={}", encoded(value))).collect();
    let older = match part.rest {
        Rest::Before(before) => Place::new(&format!("/admin/record?before={before}{}", query.concat())),
        Rest::Nothing | Rest::Damaged => None,
    };
    let picked = |decision: Decision| if asked.wanted.decision == Some(decision) { Picked::Yes } else { Picked::No };
    let lines = |number: u64| format!("{number} {} left out: not what was written", if number == 1 { "line" } else { "lines" });
    RecordPage {
        frame,
        around,
        asked: vec![
            field("user", "Who (subject, or issuer/subject)"),
            field("client", "Client"),
            field("server", "Server"),
            field("tool", "Tool"),
            field("since", "From (UTC)"),
            field("until", "Before (UTC)"),
        ],
        decisions: Decision::ALL.into_iter().map(|decision| (decision.as_str().to_owned(), picked(decision))).collect(),
        rows: part.entries.iter().map(rows::entry).collect(),
        older,
        bad: match (part.rest, part.bad) {
            (Rest::Damaged, number) => Some(format!("{}; what is older could not be reached", lines(number))),
            (_, 0) => None,
            (_, number) => Some(lines(number)),
        },
    }
}

fn record_at_page(whole: &Whole, frame: Frame, around: Around) -> RecordAtPage {
    RecordAtPage {
        frame,
        around,
        position: whole.place.seq.to_string(),
        head: whole.place.to_string(),
        sealed: whole.sealed_by.map_or_else(
            || "none in the part that was read".to_owned(),
            |seal| format!("record {seal} says that it seals it; not checked here"),
        ),
        records: whole.records.iter().map(rows::members).collect(),
    }
}
