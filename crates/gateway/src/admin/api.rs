//! `/api/v1`: the views and changes of administrators, for programs that have their browser's sign-in. JSON; errors are problem details
//! (RFC 9457) with a stable `reason`. Described in `docs/admin-api.json`.

use super::Away;
use super::attempts;
use super::changes::{Change, Done, Malformed};
use super::overseer::{Overseer, Visitor};
use super::views::{self, Asked, BadQuery, NotShown, Overview, PersonView, ServerView};
use crate::Gateway;
use crate::audit::reading::{Entry, Part, Rest, Unread, Whole};
use crate::listen::body::Body;
use crate::listen::page::{document, not_allowed};
use crate::listen::route::{Api, View};
use crate::listen::{BadBody, OfficeRequest};
use crate::signin::{Person, is_from_here, is_to_be_shown};
use crate::ui::headers::{Class, Transport, headers};
use doorward_core::audit::outcome::Notice;
use doorward_core::id::UserId;
use doorward_core::identity::role::Role;
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

/// Why something is refused.
struct Refused {
    status: u16,
    reason: &'static str,
    detail: String,
}

fn refused(status: u16, reason: &'static str, detail: impl Into<String>) -> Refused {
    Refused { status, reason, detail: detail.into() }
}

fn not_found() -> Refused {
    refused(404, "not_found", "There is nothing of that name.")
}

fn not_yours() -> Refused {
    refused(403, "not_permitted", "An auditor changes nothing and sees no settings.")
}

impl From<Away> for Refused {
    fn from(_: Away) -> Self {
        refused(503, "unavailable", "The gateway cannot reach its store, or cannot write its record. Nothing was changed.")
    }
}

impl From<BadQuery> for Refused {
    fn from(_: BadQuery) -> Self {
        refused(400, "bad_query", "The query has a parameter that is not one of this address, or is not what it must be.")
    }
}

impl From<NotShown> for Refused {
    fn from(not_shown: NotShown) -> Self {
        match not_shown {
            NotShown::Unrecorded => Away.into(),
            NotShown::Unread(Unread::Busy) => refused(503, "busy", "Too many read the record at the moment."),
            NotShown::Unread(Unread::Io(error)) => {
                tracing::warn!(%error, "the record could not be read");
                refused(503, "unreadable", "The record cannot be read.")
            }
        }
    }
}

impl Gateway {
    /// One request to the API.
    pub(crate) async fn api(&self, mut request: OfficeRequest, api: Api) -> Response<Body> {
        let is_served = match api {
            Api::Read(_) => request.method == Method::GET || request.method == Method::HEAD,
            Api::Change => request.method == Method::POST,
        };
        if !is_served {
            return not_allowed(if api == Api::Change { "POST" } else { "GET, HEAD" });
        }
        let answer = match (self.visitor(&request.headers).await, api) {
            (Err(away), _) => Err(away.into()),
            (Ok(Visitor::Nobody), _) => Err(refused(401, "not_signed_in", "Sign in at /login; no credential of a program counts here.")),
            (Ok(Visitor::Member(person)), _) => {
                if is_to_be_shown(&request.headers) {
                    self.note_not_theirs(&person, request.id, "the API").await;
                }
                Err(refused(403, "not_permitted", "You have no role here: see login.admins and login.auditors."))
            }
            (Ok(Visitor::Overseer(overseer)), Api::Read(view)) => self.read_by_api(&request, &overseer, view).await,
            (Ok(Visitor::Overseer(overseer)), Api::Change) => self.changed_by_api(&mut request, &overseer).await,
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

    async fn read_by_api(&self, request: &OfficeRequest, overseer: &Overseer, view: View) -> Result<Value, Refused> {
        if !is_to_be_shown(&request.headers) {
            return Err(refused(403, "forged", "Another site asked for this."));
        }
        let query = Form::parse(request.query.as_deref().unwrap_or_default()).map_err(|_| BadQuery)?;
        Ok(match view {
            View::Session => {
                views::only(&query, &[])?;
                let person = overseer.person();
                let roles: Vec<&str> = overseer.roles().iter().map(Role::as_str).collect();
                json!({"user": user(&person.user), "shown": person.shown, "roles": roles, "form": self.form_token(API, Some(person))})
            }
            View::Overview => {
                views::only(&query, &[])?;
                overview(&self.overview(overseer, request.id).await?)
            }
            View::Servers => {
                views::only(&query, &[])?;
                json!({"servers": self.servers_view(overseer).await?.iter().map(server).collect::<Vec<Value>>()})
            }
            View::Clients => {
                let search = views::only(&query, &["search"])?.get("search");
                let clients = self.clients_view(overseer, search).await?;
                json!({"clients": clients.iter().map(super::known::Known::as_json).collect::<Vec<Value>>()})
            }
            View::People => {
                let people = self.people_view(overseer, views::only(&query, &["search"])?.get("search")).await?;
                let shown: Vec<Value> = people.people.iter().map(|one| Value::Object(person(one))).collect();
                json!({"people": shown, "more": people.more})
            }
            View::Person => self.person_by_api(overseer, &views::user(&query)?).await?,
            View::Attempts => {
                views::only(&query, &[])?;
                let now = self.env.now();
                let attempts = self.attempts_view(overseer).await?;
                json!({"attempts": attempts.iter().map(|attempt| attempts::as_json(attempt, now)).collect::<Vec<Value>>()})
            }
            View::Records => records(&self.records(overseer, Asked::of(&query)?, request.id).await?),
            View::Record(seq) => {
                views::only(&query, &[])?;
                let whole: Whole = self.record_at(overseer, seq, request.id).await?.ok_or_else(not_found)?;
                json!({"records": whole.records, "head": whole.place.to_string(), "sealed_by": whole.sealed_by})
            }
            View::Settings => {
                views::only(&query, &[])?;
                let Some(administrator) = overseer.administrator() else {
                    self.note_not_theirs(overseer.person(), request.id, "the settings").await;
                    return Err(not_yours());
                };
                let values = self.settings_view(&administrator).map(|(key, value)| json!({"key": key, "value": value}));
                json!({"values": values.collect::<Vec<Value>>()})
            }
        })
    }

    async fn person_by_api(&self, overseer: &Overseer, asked: &UserId) -> Result<Value, Refused> {
        let detail = self.person_view(overseer, asked).await?.ok_or_else(not_found)?;
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

    async fn not_their_change(&self, request: &OfficeRequest, person: &Person) -> Refused {
        self.note_not_theirs(person, request.id, "a change").await;
        not_yours()
    }

    async fn changed_by_api(&self, request: &mut OfficeRequest, overseer: &Overseer) -> Result<Value, Refused> {
        let person = overseer.person();
        if !is_json(&request.headers) {
            return Err(refused(415, "media_type", "Send application/json."));
        }
        let token = request.headers.get(TOKEN).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !is_from_here(&request.headers) || self.token_age(token, API, Some(person)).is_none() {
            let (user, cause) = (Some(&person.user), Some(person.id.as_str()));
            self.note(&Notice { reason: "forged_form", id: Some(request.id), user, cause, ..Notice::default() }).await;
            return Err(refused(403, "forged", "Send from a page of this gateway, with Doorward-Form from /api/v1/session."));
        }
        if overseer.administrator().is_none() {
            return Err(self.not_their_change(request, person).await);
        }
        let body = request.read().await.map_err(|bad| match bad {
            BadBody::TooLarge => refused(413, "too_large", "A change is small."),
            _ => refused(400, "bad_change", "The change did not arrive whole."),
        })?;
        let still = self.still(&request.headers).await?;
        let Some(administrator) = still.as_deref().and_then(Overseer::administrator) else {
            return Err(self.not_their_change(request, person).await);
        };
        let bad = || refused(400, "bad_change", "Send one JSON object of texts.");
        // Strictly first: no name twice, nothing nested.
        RawJson::parse(&body, 1).map_err(|_| bad())?;
        let members: BTreeMap<String, String> = serde_json::from_slice(&body).map_err(|_| bad())?;
        let members: Vec<(&str, &str)> = members.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let change = Change::parse(&members).map_err(|malformed| match malformed {
            Malformed::Action => refused(400, "bad_change", "There is no such action."),
            Malformed::Member(name) => refused(400, "bad_change", format!("The member {name} is missing, or is not what it must be.")),
            Malformed::Unknown => refused(400, "bad_change", "A member is not one of this action."),
        })?;
        match self.change(&administrator, &change, request.id).await? {
            Done::Changed => Ok(json!({"changed": true})),
            Done::WasSo => Ok(json!({"changed": false})),
            Done::StillBlocked => Err(refused(409, "by_configuration", "Its block here is lifted; that of the configuration stays.")),
            Done::NotFound => Err(not_found()),
            Done::Yourself => Err(refused(409, "yourself", "Nobody locks out themselves.")),
            Done::ByConfiguration => Err(refused(409, "by_configuration", "The configuration says so: change it there.")),
        }
    }
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
    let roles: Vec<&str> = person.roles.iter().map(Role::as_str).collect();
    Map::from_iter([
        ("user".to_owned(), user(&person.info.user)),
        ("email".to_owned(), json!(person.info.email)),
        ("groups".to_owned(), json!(groups)),
        ("roles".to_owned(), json!(roles)),
        ("disabled".to_owned(), json!(person.info.disabled.map(|at| at.to_string()))),
    ])
}

fn server(server: &ServerView) -> Value {
    let tools: Map<String, Value> = server.tools.iter().map(|(class, number)| (class.as_str().to_owned(), json!(number))).collect();
    json!({"name": server.name, "title": server.title, "state": server.state.as_str(), "origin": server.origin, "approved_tools": tools,
        "visible_to": server.visible_to})
}

fn entry(entry: &Entry) -> Value {
    json!({"record": entry.record, "outcome": entry.outcome})
}

fn records(part: &Part) -> Value {
    let (before, is_damaged) = match part.rest {
        Rest::Before(seq) => (Some(seq), false),
        Rest::Nothing => (None, false),
        Rest::Damaged => (None, true),
    };
    let entries: Vec<Value> = part.entries.iter().map(entry).collect();
    json!({"entries": entries, "before": before, "damaged_before": is_damaged, "left_out": part.bad})
}

fn overview(overview: &Overview) -> Value {
    let of = |entries: &[Entry]| entries.iter().map(entry).collect::<Vec<Value>>();
    let (refused, calls) = match &overview.latest {
        Ok(latest) => (json!(of(&latest.refused)), json!(of(&latest.calls))),
        Err(_) => (Value::Null, Value::Null),
    };
    json!({"people": overview.people, "disabled_people": overview.disabled, "clients": overview.clients,
        "blocked_clients": overview.blocked, "servers": overview.servers, "unapproved_servers": overview.unapproved,
        "record": {"fault": overview.fault.map(|fault| fault.to_string()), "last": overview.head},
        "latest_refused": refused, "latest_calls": calls})
}
