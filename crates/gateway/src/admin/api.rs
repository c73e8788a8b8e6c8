//! `/api/v1`: the views and changes of administrators for programs that a person of the same origin runs. JSON; errors are problem details
//! (RFC 9457) with a stable `reason`. Described in `docs/admin-api.json`.

use super::attempts;
use super::changes::{Change, Done, Malformed};
use super::views::{Asked, ENTRIES, Hidden, Launch, Overview, PersonView, Reached, ServerView};
use super::{Away, Overseer, Visitor};
use crate::Gateway;
use crate::audit::reading::{Entry, Unread, Whole};
use crate::listen::body::Body;
use crate::listen::page::{document, not_allowed};
use crate::listen::route::Api;
use crate::listen::{BadBody, OfficeRequest};
use crate::signin::{is_from_here, is_to_be_shown};
use crate::ui::headers::{Class, Transport, headers};
use doorward_core::audit::wanted::{Decision, Wanted};
use doorward_core::id::UserId;
use doorward_core::json::RawJson;
use doorward_core::oauth::form::Form;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use http::{HeaderMap, Method, Response};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The page that the token of changes belongs to.
const API: &str = "api";
/// Carries that token.
const TOKEN: HeaderName = HeaderName::from_static("doorward-form");
/// Entries of one answer at most.
const LIMIT: usize = 200;

/// Why something is refused.
#[derive(Clone, Copy)]
struct Refused {
    status: u16,
    reason: &'static str,
    detail: &'static str,
}

const fn refused(status: u16, reason: &'static str, detail: &'static str) -> Refused {
    Refused { status, reason, detail }
}

const AWAY: Refused = refused(503, "unavailable", "The gateway cannot reach its store, or cannot write its record. Nothing was changed.");
const NOT_FOUND: Refused = refused(404, "not_found", "There is nothing of that name.");

impl From<Away> for Refused {
    fn from(_: Away) -> Self {
        AWAY
    }
}

impl From<Hidden> for Refused {
    fn from(hidden: Hidden) -> Self {
        match hidden {
            Hidden::Unrecorded => AWAY,
            Hidden::Unread(Unread::Busy) => refused(503, "busy", "Too many read the record at the moment."),
            Hidden::Unread(Unread::Io(error)) => {
                tracing::warn!(%error, "the record could not be read");
                refused(503, "unreadable", "The record cannot be read.")
            }
        }
    }
}

impl Gateway {
    /// One request to the API.
    pub(crate) async fn api(&self, mut request: OfficeRequest, api: Api) -> Response<Body> {
        let is_read = request.method == Method::GET || request.method == Method::HEAD;
        match (&api, is_read, request.method == Method::POST) {
            (Api::Changes, _, true) | (_, true, _) if !matches!(api, Api::Changes) || !is_read => {}
            (Api::Changes, ..) => return not_allowed("POST"),
            _ => return not_allowed("GET, HEAD"),
        }
        let answer = match self.visitor(&request.headers).await {
            Err(Away) => Err(AWAY),
            Ok(Visitor::Nobody) => Err(refused(401, "not_signed_in", "Sign in at /login; no credential of a program counts here.")),
            Ok(Visitor::Member) => {
                self.not_theirs(&request.headers, request.id, "the API").await;
                Err(refused(403, "not_permitted", "You have no role here: see login.admins and login.auditors."))
            }
            Ok(Visitor::Overseer(overseer)) if is_read => self.read_api(&request, &overseer, &api).await,
            Ok(Visitor::Overseer(overseer)) => self.changed_by_api(&mut request, &overseer).await,
        };
        self.api_answer(&request, answer)
    }

    fn api_answer(&self, request: &OfficeRequest, answer: Result<Value, Refused>) -> Response<Body> {
        let transport = if self.root().starts_with("https://") { Transport::Https } else { Transport::Http };
        let headers = headers(Class::Credential, transport);
        let Refused { status, reason, detail } = match answer {
            Ok(value) => return document(200, &value, &headers),
            Err(refused) => refused,
        };
        let title = http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or_default();
        let problem = json!({"type": "about:blank", "title": title, "status": status, "reason": reason, "detail": detail,
            "request": request.id.to_string()});
        let mut response = document(status, &problem, &headers);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == 401 {
            // RFC 9110 section 11.6.1 asks for one. There is no scheme for a sign-in at a page, and none that a program could answer.
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Doorward-Sign-In"));
        }
        response
    }

    async fn read_api(&self, request: &OfficeRequest, overseer: &Overseer, api: &Api) -> Result<Value, Refused> {
        if !is_to_be_shown(&request.headers) {
            return Err(refused(403, "forged", "Another site asked for this."));
        }
        let query = Query::of(request)?;
        match api {
            Api::Session => {
                query.only(&[])?;
                let person = &overseer.person;
                let form = self.form_token(API, Some(person));
                Ok(json!({"user": user(&person.user), "shown": person.shown, "roles": overseer.roles.names(), "form": form}))
            }
            Api::Overview => {
                query.only(&[])?;
                Ok(overview(&self.overview(overseer, request.id).await??))
            }
            Api::Servers => {
                query.only(&[])?;
                let servers: Vec<Value> = self.servers_view(overseer).await?.iter().map(server).collect();
                Ok(json!({"servers": servers}))
            }
            Api::Clients => {
                query.only(&[])?;
                let clients: Vec<Value> = self.clients_view(overseer).await?.iter().map(super::known::Known::as_json).collect();
                Ok(json!({"clients": clients}))
            }
            Api::People => {
                query.only(&["search"])?;
                let people = self.people_view(overseer, query.get("search")).await?;
                let shown: Vec<Value> = people.people.iter().map(|one| Value::Object(person(one))).collect();
                Ok(json!({"people": shown, "more": people.more}))
            }
            Api::Person => {
                query.only(&["issuer", "subject"])?;
                self.person_by_api(overseer, &query).await
            }
            Api::Attempts => {
                query.only(&[])?;
                let now = self.env.now();
                let attempts: Vec<Value> =
                    self.attempts_view(overseer).await?.iter().map(|attempt| attempts::as_json(attempt, now)).collect();
                Ok(json!({"attempts": attempts}))
            }
            Api::Records => {
                query.only(&["user", "client", "server", "tool", "decision", "before", "limit"])?;
                let part = self.records(overseer, query.asked()?, request.id).await?;
                let entries: Vec<Value> = part.entries.iter().map(entry).collect();
                Ok(json!({"entries": entries, "before": part.before, "left_out": part.bad}))
            }
            Api::Record(seq) => {
                query.only(&[])?;
                let whole = self.record_at(overseer, *seq, request.id).await?.ok_or(NOT_FOUND)?;
                Ok(of_record(&whole))
            }
            Api::Settings => {
                query.only(&[])?;
                let Some(administrator) = overseer.administrator() else { return Err(NOT_YOURS) };
                let values: Vec<Value> =
                    self.settings_view(administrator).map(|(key, value)| json!({"key": key, "value": value})).collect();
                Ok(json!({"values": values}))
            }
            Api::Changes => Err(NOT_FOUND),
        }
    }

    async fn person_by_api(&self, overseer: &Overseer, query: &Query) -> Result<Value, Refused> {
        let bad = refused(400, "bad_query", "Name issuer and subject.");
        let (Some(issuer), Some(subject)) = (query.get("issuer"), query.get("subject")) else { return Err(bad) };
        let Ok(asked) = UserId::new(issuer, subject) else { return Err(bad) };
        let detail = self.person_view(overseer, &asked).await?.ok_or(NOT_FOUND)?;
        let browsers: Vec<Value> = detail
            .browsers
            .iter()
            .map(|browser| {
                json!({"id": browser.id, "label": browser.label, "created": browser.created.to_string(),
                "last_used": browser.used.to_string()})
            })
            .collect();
        let sessions: Vec<Value> = detail
            .sessions
            .iter()
            .map(|session| {
                json!({"client": session.client.as_str(), "server": session.server.as_str(), "created": session.created.to_string(),
                "last_used": session.used.to_string()})
            })
            .collect();
        let consents: Vec<Value> = detail
            .consents
            .iter()
            .map(|grant| {
                json!({"id": grant.id.as_str(), "client": grant.client.as_str(), "name": grant.name, "server": grant.server.as_str(),
                "granted": grant.granted, "answers_to": grant.target, "created": grant.created.to_string(),
                "expires": grant.expires.map(|at| at.to_string()), "last_used": grant.used.map(|at| at.to_string())})
            })
            .collect();
        let keys: Vec<Value> = detail
            .keys
            .iter()
            .map(|key| {
                json!({"id": key.id.as_str(), "label": key.label, "granted": key.granted, "created": key.created.to_string(),
                "expires": key.expires.to_string(), "last_used": key.last_used.map(|at| at.to_string())})
            })
            .collect();
        let mut whole = person(&detail.person);
        for (name, list) in [("browsers", browsers), ("sessions", sessions), ("consents", consents), ("keys", keys)] {
            whole.insert(name.to_owned(), Value::Array(list));
        }
        Ok(Value::Object(whole))
    }

    async fn not_their_change(&self, request: &OfficeRequest) -> Refused {
        self.not_theirs(&request.headers, request.id, "a change").await;
        NOT_YOURS
    }

    async fn changed_by_api(&self, request: &mut OfficeRequest, overseer: &Overseer) -> Result<Value, Refused> {
        if overseer.administrator().is_none() {
            return Err(self.not_their_change(request).await);
        }
        if !is_json(&request.headers) {
            return Err(refused(415, "media_type", "Send application/json."));
        }
        let token = request.headers.get(TOKEN).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let person = Some(&overseer.person);
        if !is_from_here(&request.headers) || self.token_age(token, API, person).is_none() {
            return Err(refused(403, "forged", "Send from a page of this gateway, with Doorward-Form from /api/v1/session."));
        }
        let body = request.read().await.map_err(|bad| match bad {
            BadBody::TooLarge => refused(413, "too_large", "A change is small."),
            _ => refused(400, "bad_change", "The change did not arrive whole."),
        })?;
        let overseer = self.still(&request.headers).await?;
        let Some(administrator) = overseer.as_ref().and_then(Overseer::administrator) else {
            return Err(self.not_their_change(request).await);
        };
        let bad = refused(400, "bad_change", "Send one JSON object of texts.");
        // Strictly first: no name twice, nothing nested.
        RawJson::parse(&body, 1).map_err(|_| bad)?;
        let members: BTreeMap<String, String> = serde_json::from_slice(&body).map_err(|_| bad)?;
        let change = Change::parse(&members.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect::<Vec<_>>()).map_err(
            |malformed| match malformed {
                Malformed::Action => refused(400, "bad_change", "There is no such action."),
                Malformed::Member(_) => refused(400, "bad_change", "A member is missing, or is not what it must be."),
                Malformed::Unknown => refused(400, "bad_change", "A member is not one of this action."),
            },
        )?;
        match self.change(administrator, &change, request.id).await? {
            Done::Changed => Ok(json!({"changed": true})),
            Done::WasSo => Ok(json!({"changed": false})),
            Done::NotFound => Err(NOT_FOUND),
            Done::Yourself => Err(refused(409, "yourself", "Nobody locks out themselves.")),
            Done::ByConfiguration => Err(refused(409, "by_configuration", "The configuration says so: change it there.")),
        }
    }
}

const NOT_YOURS: Refused = refused(403, "not_permitted", "An auditor changes nothing and sees no settings.");

/// The query of a read. What it does not take is refused: a condition that nobody reads would show too much.
struct Query(Form);

impl Query {
    fn of(request: &OfficeRequest) -> Result<Self, Refused> {
        let text = request.query.as_deref().unwrap_or_default();
        Form::parse(text).map(Self).map_err(|_| refused(400, "bad_query", "The query cannot be read."))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name)
    }

    fn only(&self, takes: &[&str]) -> Result<(), Refused> {
        let fits = self.0.pairs().all(|(name, _)| takes.contains(&name));
        fits.then_some(()).ok_or(refused(400, "bad_query", "The query has a parameter that is not one of this address."))
    }

    /// Which part of the record is meant.
    fn asked(&self) -> Result<Asked, Refused> {
        let bad = || refused(400, "bad_query", "decision, before or limit is not what it must be.");
        let wanted = wanted(&self.0).ok_or_else(bad)?;
        let number = |name: &str| self.get(name).map(|text| number(text).ok_or_else(bad)).transpose();
        let limit = match number("limit")? {
            None => ENTRIES,
            Some(limit) => usize::try_from(limit).ok().filter(|limit| (1..=LIMIT).contains(limit)).ok_or_else(bad)?,
        };
        Ok(Asked { wanted, before: number("before")?, limit })
    }
}

/// The conditions of a query; `None` for a decision that is none.
pub(super) fn wanted(form: &Form) -> Option<Wanted> {
    let text = |name: &str| form.get(name).map(str::to_owned);
    let decision = match form.get("decision") {
        None => None,
        Some(name) => Some(Decision::ALL.into_iter().find(|decision| decision.as_str() == name)?),
    };
    Some(Wanted {
        user: text("user"),
        client: text("client"),
        server: text("server"),
        tool: text("tool"),
        decision,
        since: None,
        until: None,
    })
}

/// Digits alone.
pub(super) fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// `application/json`, once.
fn is_json(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    match (types.next().and_then(|value| value.to_str().ok()), types.next()) {
        (Some(one), None) => one.split(';').next().is_some_and(|media| media.trim().eq_ignore_ascii_case("application/json")),
        _ => false,
    }
}

fn user(user: &UserId) -> Value {
    json!({"issuer": user.issuer(), "subject": user.subject()})
}

fn person(person: &PersonView) -> Map<String, Value> {
    let groups: Vec<&str> = person.info.groups.iter().map(doorward_core::id::GroupName::as_str).collect();
    Map::from_iter([
        ("user".to_owned(), user(&person.info.user)),
        ("email".to_owned(), json!(person.info.email)),
        ("groups".to_owned(), json!(groups)),
        ("roles".to_owned(), json!(person.roles.names())),
        ("disabled".to_owned(), json!(person.info.disabled.map(|at| at.to_string()))),
    ])
}

fn server(server: &ServerView) -> Value {
    let tools: Map<String, Value> = server.tools.iter().map(|(class, number)| (class.as_str().to_owned(), json!(number))).collect();
    let (origin, command) = match &server.reached {
        Reached::Http(origin) => (Some(origin.as_str()), None),
        Reached::Stdio(Launch::Approved) => (None, Some("approved")),
        Reached::Stdio(Launch::NotApproved) => (None, Some("not approved")),
    };
    json!({"name": server.name, "title": server.title, "enabled": server.is_enabled, "origin": origin, "command": command,
        "approved_tools": tools, "visible_to": server.visible_to})
}

fn entry(entry: &Entry) -> Value {
    json!({"record": entry.record, "outcome": entry.outcome})
}

fn of_record(whole: &Whole) -> Value {
    json!({"records": whole.records, "head": whole.place.to_string(), "sealed_by": whole.sealed_by})
}

fn overview(overview: &Overview) -> Value {
    let counts = &overview.counts;
    let of = |entries: &[Entry]| entries.iter().map(entry).collect::<Vec<Value>>();
    json!({"people": counts.people, "disabled_people": counts.disabled, "clients": counts.clients, "blocked_clients": counts.blocked,
        "servers": counts.servers, "unapproved_servers": counts.unapproved,
        "record": {"writes": overview.fault.is_none(), "fault": overview.fault.map(|fault| fault.to_string()), "last": overview.head},
        "latest_refused": of(&overview.refused), "latest_calls": of(&overview.calls)})
}
