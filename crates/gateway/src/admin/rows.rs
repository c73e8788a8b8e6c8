//! Views as lines of pages. Everything that others chose becomes [`Claimed`].

use super::known::{By, Known};
use super::views::{PersonView, ServerState, ServerView};
use crate::audit::reading::{Ended, Entry};
use crate::ui::admin::{AttemptRow, ClientRow, Offer, PersonRow, Row, ServerRow, Sign};
use crate::ui::text::{Claimed, Place};
use crate::when::ago;
use doorward_core::audit::event::{Kind, Record, User};
use doorward_core::id::GroupName;
use doorward_core::identity::role::{Role, Roles};
use doorward_core::oauth::attempt::Standing;
use doorward_core::oauth::attempt::advice::advice;
use doorward_core::oauth::form::encoded;
use doorward_core::time::Timestamp;
use doorward_store::Attempt;
use serde_json::Value;

/// `administrator, auditor`; nothing for a member.
pub(super) fn role(roles: Roles) -> Option<String> {
    let words: Vec<&str> = roles
        .iter()
        .map(|role| match role {
            Role::Admin => "administrator",
            Role::Auditor => "auditor",
        })
        .collect();
    (!words.is_empty()).then(|| words.join(", "))
}

pub(super) fn server(server: &ServerView) -> ServerRow {
    let tools: Vec<String> = server.tools.iter().map(|(class, number)| format!("{number} {}", class.as_str())).collect();
    let name = &server.name;
    let (sign, word, command) = match server.state {
        ServerState::Off => (Sign::Plain, "off", None),
        ServerState::CommandNotApproved => (Sign::Look, "command not approved", Some(format!("doorward server approve {name} --command"))),
        ServerState::NothingApproved => (Sign::Look, "nothing approved", Some(format!("doorward server approve {name}"))),
        ServerState::Approved => (Sign::Good, "approved", None),
    };
    let visible_to = if server.visible_to.is_empty() { "everybody who may come in".to_owned() } else { server.visible_to.join(", ") };
    ServerRow {
        title: server.title.clone(),
        name: name.clone(),
        sign,
        word: word.to_owned(),
        reached: Claimed::technical(server.origin.as_deref().unwrap_or("a process of the gateway")),
        tools: if tools.is_empty() { "none".to_owned() } else { tools.join(", ") },
        visible_to: Claimed::new(&visible_to),
        command,
    }
}

pub(super) fn client(known: &Known, now: Timestamp) -> ClientRow {
    let digest = known.digest_text();
    let blocked: Vec<String> = known
        .blocked
        .iter()
        .map(|by| match by {
            By::Administrator { since, reason: Some(reason) } => format!("blocked {}: {reason}", ago(now, *since)),
            By::Administrator { since, reason: None } => format!("blocked {}", ago(now, *since)),
            By::Configuration => "blocked by clients.block of the configuration".to_owned(),
        })
        .collect();
    let offer = match (known.is_blocked_by_somebody(), blocked.is_empty()) {
        (true, _) => Offer::Unblock,
        (false, true) => Offer::Block,
        (false, false) => Offer::Nothing,
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
        blocked: blocked.iter().map(|text| Claimed::new(text)).collect(),
        offer,
        digest,
    }
}

pub(super) fn person(person: &PersonView, now: Timestamp) -> PersonRow {
    let info = &person.info;
    let (issuer, subject) = (info.user.issuer(), info.user.subject());
    let groups: Vec<&str> = info.groups.iter().map(GroupName::as_str).collect();
    PersonRow {
        place: Place::new(&person_place(issuer, subject)),
        name: Claimed::new(info.email.as_deref().unwrap_or(subject)),
        issuer: Claimed::technical(issuer),
        subject: Claimed::technical(subject),
        groups: Claimed::new(&if groups.is_empty() { "none".to_owned() } else { groups.join(", ") }),
        role: role(person.roles),
        disabled: info.disabled.map(|at| format!("disabled {}", ago(now, at))),
    }
}

/// The page of a person.
pub(super) fn person_place(issuer: &str, subject: &str) -> String {
    format!("/admin/people/person?issuer={}&subject={}", encoded(issuer), encoded(subject))
}

pub(super) fn attempt(attempt: &Attempt, now: Timestamp) -> AttemptRow {
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
        name: Claimed::new(attempt.name.as_deref().unwrap_or_default()),
        client: attempt.client.as_ref().map(|client| Claimed::technical(client.as_str())),
        who: Claimed::new(&who),
        server: attempt.server.as_ref().map(|server| Claimed::technical(server.as_str())),
        sign,
        word: standing.word().to_owned(),
        words: standing.words().to_owned(),
        advice: advice.map(|known| (known.cause.to_owned(), known.cure.to_owned())),
        when: ago(now, attempt.last),
    }
}

/// An entry as a line of a table. Who did something comes before whom it concerns.
pub(super) fn entry(entry: &Entry) -> Row {
    let record = &entry.record;
    let last = entry.last();
    let (sign, word) = match entry.ended() {
        Ended::Answered => (Sign::Good, "answered"),
        Ended::Denied => (Sign::Bad, "denied"),
        Ended::Refused => (Sign::Bad, "refused"),
        Ended::GivenUp => (Sign::Look, "given up"),
        Ended::Failed => (Sign::Look, "failed"),
        Ended::UnderWay => (Sign::Plain, "under way"),
        Ended::Noted => (Sign::Plain, "noted"),
    };
    let why = match record.kind {
        Kind::Event => record.cause.as_deref(),
        _ => last.reason.as_deref().or_else(|| record.rules.first().map(|rule| &**rule)),
    };
    Row {
        place: Place::new(&format!("/admin/record/{}", record.seq)),
        position: record.seq.to_string(),
        when: entry.when(),
        who: record.by.as_ref().or(record.user.as_ref()).map(named),
        client: record.client.as_deref().map(Claimed::new),
        about: Claimed::technical(&about(record)),
        acts_as: last.principal.as_deref().or(record.principal.as_deref()).map(Claimed::new),
        sign,
        word: word.to_owned(),
        why: why.map(Claimed::new),
    }
}

/// Two people of one name at two issuers are two people.
fn named(user: &User<'_>) -> Claimed {
    let issuer = user.iss.strip_prefix("https://").unwrap_or(&user.iss);
    Claimed::new(&format!("{} ({issuer})", user.sub))
}

fn about(record: &Record<'_>) -> String {
    if record.kind == Kind::Event {
        let concerned = record.by.as_ref().and(record.user.as_ref()).map(|user| format!("of {}", user.sub));
        return [record.reason.as_deref(), record.server.as_deref(), concerned.as_deref()]
            .into_iter()
            .flatten()
            .collect::<Vec<&str>>()
            .join(" ");
    }
    match (record.server.as_deref(), record.name.as_deref(), record.method.as_deref()) {
        (Some(server), Some(name), Some("tools/call")) => format!("{server}__{name}"),
        (server, name, method) => [server, method, name].into_iter().flatten().collect::<Vec<&str>>().join(" "),
    }
}

/// A record as it stands there: its members and their values.
pub(super) fn members(record: &Record<'_>) -> Vec<(Claimed, Claimed)> {
    let Value::Object(members) = serde_json::to_value(record).unwrap_or_default() else { return Vec::new() };
    let text = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    members.into_iter().map(|(name, value)| (Claimed::technical(&name), Claimed::technical(&text(value)))).collect()
}
