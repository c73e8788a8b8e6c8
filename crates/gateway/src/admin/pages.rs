//! `/admin`: the views of administrators as pages, and their changes as forms.

use super::api::{number, wanted};
use super::changes::{Change, Done, Malformed};
use super::views::{Asked, ENTRIES, Hidden, Launch, PersonView, Reached, ServerView};
use super::{Away, Overseer, Visitor, known};
use crate::Gateway;
use crate::admin::known::Known;
use crate::audit::reading::{Entry, Part, Unread};
use crate::listen::OfficeRequest;
use crate::listen::body::Body;
use crate::listen::page::not_allowed;
use crate::listen::route::AdminPage;
use crate::signin::{BadPost, Problem, is_to_be_shown, posted};
use crate::ui::admin::{
    Around, AttemptRow, AttemptsPage, ClientRow, ClientsPage, Fact, Field, Offer, OverviewPage, PeoplePage, PersonPage, PersonRow, Picked,
    RecordAtPage, RecordPage, Row, Said, ServerRow, ServersPage, SettingsPage, Sign, Tab, Tile,
};
use crate::ui::headers::Class;
use crate::ui::problem::Side;
use crate::ui::text::{Claimed, Hidden as Value, Place};
use crate::when::{ago, until};
use doorward_core::audit::event::{Kind, Record};
use doorward_core::audit::wanted::{Decision, Wanted};
use doorward_core::id::{GroupName, UserId};
use doorward_core::identity::role::Roles;
use doorward_core::oauth::admission::Blocked;
use doorward_core::oauth::attempt::Standing;
use doorward_core::oauth::attempt::advice::advice;
use doorward_core::oauth::form::{Form, encoded};
use doorward_core::time::Timestamp;
use doorward_store::Attempt;
use http::{Method, Response};

/// The page that all forms of these pages belong to.
const ADMIN: &str = "admin";
/// The page that signing out belongs to.
const ACCOUNT: &str = "account";

impl Gateway {
    /// One request to a page.
    pub(crate) async fn admin(&self, mut request: OfficeRequest, page: AdminPage) -> Response<Body> {
        let takes_forms = matches!(page, AdminPage::Clients | AdminPage::Person);
        let is_post = request.method == Method::POST && takes_forms;
        if !is_post && request.method != Method::GET && request.method != Method::HEAD {
            return not_allowed(if takes_forms { "GET, HEAD, POST" } else { "GET, HEAD" });
        }
        let overseer = match self.visitor(&request.headers).await {
            Ok(Visitor::Overseer(overseer)) => overseer,
            Ok(Visitor::Nobody) => return self.sign_in_page(&request, None, None),
            Ok(Visitor::Member) => {
                self.not_theirs(&request.headers, request.id, "a page").await;
                return self.not_for_members(&request);
            }
            Err(Away) => return self.away(request.id),
        };
        let said = match is_post {
            true => match self.posted_change(&mut request).await {
                Ok(said) => Some(said),
                Err(response) => return response,
            },
            // A page that another site puts somewhere is not a page that somebody looks at, and reading is recorded.
            false if !is_to_be_shown(&request.headers) && page_reads_record(page) => return self.led_here(&request),
            false => None,
        };
        self.admin_page(&request, &overseer, page, said).await.unwrap_or_else(|Away| self.away(request.id))
    }

    async fn admin_page(
        &self,
        request: &OfficeRequest,
        overseer: &Overseer,
        page: AdminPage,
        said: Option<Said>,
    ) -> Result<Response<Body>, Away> {
        let Ok(query) = Form::parse(request.query.as_deref().unwrap_or_default()) else {
            return Ok(self.bad_post(BadPost::Unreadable, request.id));
        };
        let frame = self.frame(Some(&overseer.person));
        let around = |tab| self.around(overseer, tab, said.clone());
        let now = self.env.now();
        let html = match page {
            AdminPage::Overview => match self.overview(overseer, request.id).await? {
                Ok(overview) => overview_page(&overview, frame, around(Tab::Overview)).render(),
                Err(hidden) => return Ok(self.unread(hidden, request)),
            },
            AdminPage::Servers => {
                let servers = self.servers_view(overseer).await?.into_iter().map(server_row).collect();
                ServersPage { frame, around: around(Tab::Servers), servers }.render()
            }
            AdminPage::Clients => {
                let clients = self.clients_view(overseer).await?.iter().map(|known| client_row(known, now)).collect();
                ClientsPage { frame, around: around(Tab::Clients), clients }.render()
            }
            AdminPage::People => {
                let people = self.people_view(overseer, query.get("search")).await?;
                let more = (people.more > 0).then(|| format!("and {} more: search for one", people.more));
                let search = query.get("search").unwrap_or_default().to_owned();
                let people = people.people.iter().filter_map(|person| person_row(person, now)).collect();
                PeoplePage { frame, around: around(Tab::People), search, people, more }.render()
            }
            AdminPage::Person => match self.person_page(overseer, &query, around(Tab::People)).await? {
                Some(page) => page.render(),
                None => return Ok(self.no_such(request)),
            },
            AdminPage::Attempts => {
                let attempts = self.attempts_view(overseer).await?.iter().map(|attempt| attempt_row(attempt, now)).collect();
                AttemptsPage { frame, around: around(Tab::Attempts), attempts }.render()
            }
            AdminPage::Record => {
                let (Some(wanted), Ok(before)) = (wanted(&query), before(&query)) else {
                    return Ok(self.bad_post(BadPost::Unreadable, request.id));
                };
                let asked = Asked { wanted: wanted.clone(), before, limit: ENTRIES };
                match self.records(overseer, asked, request.id).await {
                    Ok(part) => record_page(&part, &wanted, frame, around(Tab::Record)).render(),
                    Err(hidden) => return Ok(self.unread(hidden, request)),
                }
            }
            AdminPage::RecordAt(seq) => match self.record_at(overseer, seq, request.id).await {
                Ok(Some(whole)) => {
                    let records = whole.records.iter().map(members).collect();
                    let sealed = whole.sealed_by.map_or_else(|| "not yet".to_owned(), |seal| format!("by record {seal}"));
                    let (position, head) = (seq.to_string(), whole.place.to_string());
                    RecordAtPage { frame, around: around(Tab::Record), position, head, sealed, records }.render()
                }
                Ok(None) => return Ok(self.no_such(request)),
                Err(hidden) => return Ok(self.unread(hidden, request)),
            },
            AdminPage::Settings => {
                let Some(administrator) = overseer.administrator() else { return Ok(self.not_for_members(request)) };
                let values = self.settings_view(administrator).map(|(key, value)| (key, value.to_owned())).collect();
                SettingsPage { frame, around: around(Tab::Settings), values }.render()
            }
        };
        Ok(self.html(200, Class::Page, html))
    }

    async fn person_page(&self, overseer: &Overseer, query: &Form, around: Around) -> Result<Option<PersonPage>, Away> {
        let (Some(issuer), Some(subject)) = (query.get("issuer"), query.get("subject")) else { return Ok(None) };
        let Ok(user) = UserId::new(issuer, subject) else { return Ok(None) };
        let Some(detail) = self.person_view(overseer, &user).await? else { return Ok(None) };
        let now = self.env.now();
        let Some(person) = person_row(&detail.person, now) else { return Ok(None) };
        let used = |at: Option<Timestamp>| at.map_or_else(|| "never used".to_owned(), |at| format!("used {}", ago(now, at)));
        let fact = |id: &str, name: &str, detail: &str, when: String| Fact {
            id: id.to_owned(),
            name: Claimed::new(name),
            detail: Claimed::new(detail),
            when,
        };
        Ok(Some(PersonPage {
            frame: self.frame(Some(&overseer.person)),
            around,
            person,
            issuer: Value::new(issuer.to_owned()),
            subject: Value::new(subject.to_owned()),
            is_yourself: user == overseer.person.user,
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
                    let granted: Vec<&str> = grant.granted.iter().map(String::as_str).collect();
                    let ends = grant.expires.map_or_else(|| "no end".to_owned(), |at| format!("ends {}", until(now, at)));
                    fact(grant.id.as_str(), &grant.name, &format!("{}, {ends}", granted.join(" ")), used(grant.used))
                })
                .collect(),
            keys: detail
                .keys
                .iter()
                .map(|key| {
                    let granted: Vec<&str> = key.granted.iter().map(String::as_str).collect();
                    fact(
                        key.id.as_str(),
                        &key.label,
                        &format!("{}, ends {}", granted.join(" "), until(now, key.expires)),
                        used(key.last_used),
                    )
                })
                .collect(),
            record: Place::new(&format!("/admin/record?user={}", encoded(&format!("{issuer}/{subject}")))),
        }))
    }

    /// A form of these pages: from here, of this page, by somebody who may.
    async fn posted_change(&self, request: &mut OfficeRequest) -> Result<Said, Response<Body>> {
        let form = match posted(request, &[]).await {
            Ok(form) => form,
            Err(bad) => return Err(self.not_posted_here(bad, request).await),
        };
        let Some(overseer) = self.still(&request.headers).await.map_err(|Away| self.away(request.id))? else {
            return Err(self.not_for_members(request));
        };
        if self.shown(&form, ADMIN, Some(&overseer.person)).is_none() {
            return Err(self.bad_post(BadPost::Elsewhere, request.id));
        }
        let Some(administrator) = overseer.administrator() else {
            self.not_theirs(&request.headers, request.id, "a change").await;
            return Err(self.not_for_members(request));
        };
        let change = match Change::parse(&form.pairs().filter(|(name, _)| *name != "csrf").collect::<Vec<_>>()) {
            Ok(change) => change,
            Err(Malformed::Action | Malformed::Member(_) | Malformed::Unknown) => {
                return Err(self.bad_post(BadPost::Unreadable, request.id));
            }
        };
        let done = self.change(administrator, &change, request.id).await.map_err(|Away| self.away(request.id))?;
        Ok(match done {
            Done::Changed => Said::Done(in_words(&change).to_owned()),
            Done::WasSo => Said::NotDone("It was so before: nothing was changed.".to_owned()),
            Done::NotFound => Said::NotDone("It is not there any more: nothing was changed.".to_owned()),
            Done::Yourself => Said::NotDone("You would lock out yourself: nothing was changed.".to_owned()),
            Done::ByConfiguration => Said::NotDone("The configuration says so, and only there it can be changed.".to_owned()),
        })
    }

    fn around(&self, overseer: &Overseer, tab: Tab, said: Option<Said>) -> Around {
        let person = Some(&overseer.person);
        Around {
            csrf: Value::new(self.form_token(ADMIN, person)),
            out: Value::new(self.form_token(ACCOUNT, person)),
            tab,
            role: role(overseer.roles).unwrap_or_default(),
            sees_settings: overseer.roles.admin,
            may_change: overseer.roles.admin,
            said,
        }
    }

    fn not_for_members(&self, request: &OfficeRequest) -> Response<Body> {
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

    fn led_here(&self, request: &OfficeRequest) -> Response<Body> {
        let problem = Problem {
            side: Side::You,
            title: "Another site led here",
            text: "What is read here is recorded, so it is opened from here or typed.",
            about: None,
            next: "Open it yourself, if you meant to.",
            link: Some(("/me", "Your account")),
        };
        self.problem(403, problem, request.id)
    }

    fn no_such(&self, request: &OfficeRequest) -> Response<Body> {
        let problem = Problem {
            side: Side::You,
            title: "There is nothing of that name",
            text: "It is gone, or it never was.",
            about: None,
            next: "Look for it in the list.",
            link: Some(("/admin", "Administration")),
        };
        self.problem(404, problem, request.id)
    }

    fn unread(&self, hidden: Hidden, request: &OfficeRequest) -> Response<Body> {
        let text = match hidden {
            Hidden::Unrecorded => return self.away(request.id),
            Hidden::Unread(Unread::Busy) => "Too many read the record at the moment.",
            Hidden::Unread(Unread::Io(error)) => {
                tracing::warn!(%error, "the record could not be read");
                "The file of the record cannot be read."
            }
        };
        let next = "Try again in a moment.";
        let problem = Problem { side: Side::Us, title: "The record cannot be shown", text, about: None, next, link: None };
        self.problem(503, problem, request.id)
    }
}

const fn page_reads_record(page: AdminPage) -> bool {
    matches!(page, AdminPage::Overview | AdminPage::Record | AdminPage::RecordAt(_))
}

const fn in_words(change: &Change) -> &'static str {
    match change {
        Change::BlockClient(..) => "It is blocked: calls end within 5 seconds, streams within 30.",
        Change::UnblockClient(_) => "It may go on with what it has, within 5 seconds.",
        Change::DisableUser(_) => "They may not act any more. What they allowed stays, for when they may again.",
        Change::EnableUser(_) => "They may act again.",
        Change::SignOutUser(_) => "Their browsers are signed out, and the sessions of their apps ended.",
        Change::RevokeConsent(_) => "It is taken back. The next call of that app is refused.",
        Change::RevokeKey(_) => "The key is revoked. Its next call is refused.",
    }
}

fn role(roles: Roles) -> Option<String> {
    let names: Vec<&str> =
        [(roles.admin, "administrator"), (roles.auditor, "auditor")].iter().filter_map(|(has, name)| has.then_some(*name)).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

fn before(query: &Form) -> Result<Option<u64>, ()> {
    query.get("before").map(|text| number(text).ok_or(())).transpose()
}

fn overview_page(overview: &super::views::Overview, frame: crate::ui::Frame, around: Around) -> OverviewPage {
    let counts = &overview.counts;
    let tile = |label: &str, value: String, detail: Option<String>, sign| Tile { label: label.to_owned(), value, detail, sign };
    let some = |number: usize, word: &str| (number > 0).then(|| format!("{number} {word}"));
    let (record, sign) = match overview.fault {
        None => ("writes".to_owned(), Sign::Good),
        Some(fault) => (fault.to_string(), Sign::Bad),
    };
    let last = overview.head.map_or_else(|| "?".to_owned(), |head| format!("#{head}"));
    OverviewPage {
        frame,
        around,
        tiles: vec![
            tile("People", counts.people.to_string(), some(counts.disabled, "disabled"), Sign::Plain),
            tile("Clients in use", counts.clients.to_string(), some(counts.blocked, "blocked"), Sign::Bad),
            tile("Servers", counts.servers.to_string(), some(counts.unapproved, "to approve"), Sign::Look),
            tile("Record", last, Some(record), sign),
        ],
        refused: overview.refused.iter().filter_map(row).collect(),
        calls: overview.calls.iter().filter_map(row).collect(),
    }
}

fn server_row(server: ServerView) -> ServerRow {
    let tools: Vec<String> = server.tools.iter().map(|(class, number)| format!("{number} {}", class.as_str())).collect();
    let ServerView { name, title, .. } = server;
    let (reached, launch) = match server.reached {
        Reached::Http(origin) => (Claimed::technical(&origin), None),
        Reached::Stdio(launch) => (Claimed::technical("a process of the gateway"), Some(launch)),
    };
    let (sign, word) = match (server.is_enabled, launch, tools.is_empty()) {
        (false, ..) => (Sign::Plain, "off"),
        (true, Some(Launch::NotApproved), _) => (Sign::Look, "command not approved"),
        (true, _, true) => (Sign::Look, "nothing approved"),
        (true, _, false) => (Sign::Good, "approved"),
    };
    let command = (sign == Sign::Look).then(|| format!("doorward server approve {name}"));
    let visible_to = if server.visible_to.is_empty() { "everybody who may come in".to_owned() } else { server.visible_to.join(", ") };
    let tools = if tools.is_empty() { "none".to_owned() } else { tools.join(", ") };
    ServerRow { title, name, sign, word: word.to_owned(), reached, tools, visible_to: Claimed::new(&visible_to), command }
}

fn client_row(known: &Known, now: Timestamp) -> ClientRow {
    let digest = Blocked::Digest(known.digest).to_string();
    let by_command = known.blocked.iter().find_map(|by| match by {
        known::By::Command { since, reason } => Some((since, reason)),
        known::By::Configuration => None,
    });
    let blocked = match (by_command, known.blocked.is_empty()) {
        (Some((since, reason)), _) => {
            let why = reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
            Some(format!("blocked {}{why}", ago(now, *since)))
        }
        (None, false) => Some("blocked by clients.block of the configuration".to_owned()),
        (None, true) => None,
    };
    let offer = match (by_command, known.blocked.is_empty()) {
        (Some(_), _) => Offer::Unblock,
        (None, true) => Offer::Block,
        (None, false) => Offer::Nothing,
    };
    ClientRow {
        name: Claimed::new(known.name.as_deref().unwrap_or_default()),
        id: Claimed::technical(known.id.as_ref().map_or(digest.as_str(), |id| id.as_str())),
        kind: known.kind.as_str().to_owned(),
        identified: Claimed::new(&known.identified),
        last_used: known.used.map_or_else(|| "never".to_owned(), |at| ago(now, at)),
        consents: match known.consents {
            0 => "nothing".to_owned(),
            1 => "1 consent".to_owned(),
            number => format!("{number} consents"),
        },
        blocked: blocked.map(|text| Claimed::new(&text)),
        offer,
        digest,
    }
}

fn person_row(person: &PersonView, now: Timestamp) -> Option<PersonRow> {
    let info = &person.info;
    let (issuer, subject) = (info.user.issuer(), info.user.subject());
    let place = format!("/admin/people/person?issuer={}&subject={}", encoded(issuer), encoded(subject));
    let groups: Vec<&str> = info.groups.iter().map(GroupName::as_str).collect();
    Some(PersonRow {
        place: Place::new(&place)?,
        name: Claimed::new(info.email.as_deref().unwrap_or(subject)),
        issuer: Claimed::technical(issuer),
        subject: Claimed::technical(subject),
        groups: Claimed::new(&if groups.is_empty() { "none".to_owned() } else { groups.join(", ") }),
        role: role(person.roles),
        disabled: info.disabled.map(|at| format!("disabled {}", ago(now, at))),
    })
}

fn attempt_row(attempt: &Attempt, now: Timestamp) -> AttemptRow {
    let who = match (&attempt.user, &attempt.peer) {
        (Some(user), _) => user.to_string(),
        (None, Some(peer)) => format!("nobody yet, at {peer}"),
        (None, None) => "nobody yet".to_owned(),
    };
    let standing = attempt.way.standing(now);
    let sign = match standing {
        Standing::Arrived => Sign::Good,
        Standing::Declined | Standing::Waiting(_) => Sign::Plain,
        Standing::Stopped(..) => Sign::Look,
    };
    let advice = match standing {
        Standing::Stopped(step, reason) => Some(advice(step, reason)),
        _ => None,
    };
    AttemptRow {
        name: Claimed::new(attempt.name.as_deref().unwrap_or("(no name)")),
        who: Claimed::new(&who),
        server: attempt.server.as_ref().map(|server| Claimed::technical(server.as_str())),
        sign,
        word: standing.word().to_owned(),
        words: standing.words().to_owned(),
        advice: advice.map(|known| (known.cause.to_owned(), known.cure.to_owned())),
        when: ago(now, attempt.last),
    }
}

fn record_page(part: &Part, wanted: &Wanted, frame: crate::ui::Frame, around: Around) -> RecordPage {
    let fields = [
        ("user", "Who", &wanted.user),
        ("client", "Client", &wanted.client),
        ("server", "Server", &wanted.server),
        ("tool", "Tool", &wanted.tool),
    ];
    let decision = wanted.decision.map(|decision| ("decision", decision.as_str()));
    let asked = fields.iter().filter_map(|(name, _, value)| Some((*name, value.as_deref()?))).chain(decision);
    let query: Vec<String> = asked.map(|(name, value)| format!("&{name}={}", encoded(value))).collect();
    let older = part.before.and_then(|before| Place::new(&format!("/admin/record?before={before}{}", query.concat())));
    RecordPage {
        frame,
        around,
        asked: fields
            .iter()
            .map(|(name, label, value)| Field { name, label, value: value.as_deref().unwrap_or_default().to_owned() })
            .collect(),
        decisions: Decision::ALL
            .into_iter()
            .map(|decision| (decision.as_str().to_owned(), if wanted.decision == Some(decision) { Picked::Yes } else { Picked::No }))
            .collect(),
        rows: part.entries.iter().filter_map(row).collect(),
        older,
        bad: (part.bad > 0).then(|| format!("{} {}", part.bad, if part.bad == 1 { "line" } else { "lines" })),
    }
}

/// An entry as a line of a table.
pub(crate) fn row(entry: &Entry) -> Option<Row> {
    let record = &entry.record;
    let said = |text: &str| Claimed::new(text);
    let last = entry.outcome.as_ref().unwrap_or(record);
    let (sign, word) = ended(record, entry.outcome.as_ref());
    let who = record.user.as_ref().or(record.by.as_ref()).map(|user| said(&user.sub));
    let about = match (record.server.as_deref(), record.name.as_deref(), record.method.as_deref()) {
        (Some(server), Some(name), Some("tools/call")) => format!("{server}__{name}"),
        (server, name, method) => {
            let reason = if record.kind == Kind::Event { record.reason.as_deref() } else { None };
            [reason, server, method, name].into_iter().flatten().collect::<Vec<&str>>().join(" ")
        }
    };
    let why = match record.kind {
        Kind::Event => record.cause.as_deref(),
        _ => last.reason.as_deref().or_else(|| record.rules.first().map(|rule| &**rule)),
    };
    Some(Row {
        place: Place::new(&format!("/admin/record/{}", record.seq))?,
        position: record.seq.to_string(),
        when: record.time.get(..19).unwrap_or(&record.time).replace('T', " "),
        who,
        client: record.client.as_deref().map(said),
        about: Claimed::technical(&about),
        acts_as: last.principal.as_deref().or(record.principal.as_deref()).map(said),
        sign,
        word: word.to_owned(),
        why: why.map(said),
    })
}

fn ended(record: &Record<'_>, outcome: Option<&Record<'_>>) -> (Sign, &'static str) {
    match (record.kind, record.decision.as_deref(), outcome) {
        (Kind::Intent, _, Some(outcome)) if outcome.kind == Kind::Opened => (Sign::Plain, "under way"),
        (Kind::Intent, _, Some(outcome)) => match outcome.class.as_deref() {
            Some("completed" | "tool_error" | "rpc_error") => (Sign::Good, "answered"),
            Some("refused" | "blocked") => (Sign::Bad, "refused"),
            Some("cancelled" | "not_delivered") => (Sign::Look, "given up"),
            _ => (Sign::Look, "failed"),
        },
        (Kind::Intent, _, None) => (Sign::Plain, "permitted"),
        (Kind::Refused, Some("deny"), _) => (Sign::Bad, "denied"),
        (Kind::Refused, ..) => (Sign::Bad, "refused"),
        _ => (Sign::Plain, "noted"),
    }
}

/// A record as it stands there: its members and their values.
fn members(record: &Record<'_>) -> Vec<(Claimed, Claimed)> {
    let serde_json::Value::Object(members) = serde_json::to_value(record).unwrap_or_default() else { return Vec::new() };
    let text = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    members.into_iter().map(|(name, value)| (Claimed::technical(&name), Claimed::technical(&text(value)))).collect()
}
