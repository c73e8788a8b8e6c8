//! One client, once through: refused without a key, then served as far as it was granted. Checks everything that it shows.

use super::show::Show;
use super::stage::{CLOCK, NOTES, Stage, WANTED};
use crate::client::{Ask, Broken, MODERN, Reply};
use crate::console::inert;
use doorward_core::secret::sha256;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Instant;

/// A step did not end as it must.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// No answer.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// Another answer.
    #[error("{0}")]
    Unexpected(String),
}

/// Fails with what was expected and what came.
pub(super) fn expect(what: &str, holds: bool, reply: &Reply) -> Result<(), Trouble> {
    if holds {
        return Ok(());
    }
    let body: String = String::from_utf8_lossy(&reply.body).chars().take(200).collect();
    Err(Trouble::Unexpected(format!("{what}: status {} {body}", reply.status.as_u16())))
}

/// Opens a session of the older era and says so.
pub(super) async fn session(stage: &Stage, key: &str) -> Result<String, Trouble> {
    let opened = Ask::initialize(NOTES).with_key(key).send(stage.address).await?;
    expect("initialize gives a session", opened.status == StatusCode::OK, &opened)?;
    let session = opened.field("mcp-session-id").map(str::to_owned);
    let session = session.ok_or_else(|| Trouble::Unexpected("initialize gave no session id".to_owned()))?;
    let told = Ask::notification(NOTES, "notifications/initialized", &json!({})).with_key(key).in_session(&session);
    let told = told.send(stage.address).await?;
    expect("initialized is accepted", told.status == StatusCode::ACCEPTED, &told)?;
    Ok(session)
}

/// A call of a tool in 2026-07-28.
pub(super) fn call(path: &str, tool: &str, arguments: &Value) -> Ask {
    Ask::modern(path, "tools/call", json!({"name": tool, "arguments": arguments}))
}

pub(super) async fn once_through(stage: &Stage, show: &mut Show<'_>) -> Result<(), Trouble> {
    show.part("One client, once through");
    let key = stage.alice.key();
    let to = stage.address;

    let before = stage.notes.count();
    let knocked = Ask::initialize(NOTES).send(to).await?;
    let challenged = knocked.field("www-authenticate").is_some_and(|value| value.starts_with("Bearer"));
    expect("without a key there is a 401", knocked.status == StatusCode::UNAUTHORIZED && challenged, &knocked)?;
    expect("and the server hears nothing", stage.notes.count() == before, &knocked)?;
    show.step("knock", "without a key", "401", &json!({"status": 401}));

    let session = session(stage, key).await?;
    show.step("open", "alice's key: a session of 2025-11-25", "200", &json!({"status": 200, "protocol": "2025-11-25"}));

    let ask = |method: &str, params: &Value| Ask::legacy(NOTES, method, params).with_key(key).in_session(&session);
    let listed = ask("tools/list", &json!({})).send(to).await?;
    let names = names(&listed);
    expect("the list shows what was granted, and no more", names == ["list_notes", "read_note", "share_note"], &listed)?;
    show.step("list", &names.join(", "), "200", &json!({"status": 200, "tools": names}));
    show.step("", "delete_note exists too; this key was not granted it", "not shown", &json!({"hidden": ["delete_note"]}));

    let begun = Instant::now();
    let read = ask("tools/call", &json!({"name": "read_note", "arguments": {"id": "1"}})).send(to).await?;
    expect("a note can be read", read.text().as_deref() == Some("Buy milk"), &read)?;
    let took = begun.elapsed().as_millis();
    let took = u64::try_from(took).unwrap_or(u64::MAX);
    let text = "notes__read_note {\"id\":\"1\"} -> \"Buy milk\"";
    show.step("call", text, &format!("{took} ms"), &json!({"tool": "notes__read_note", "text": "Buy milk", "ms": took}));

    let told = call(CLOCK, "clock", &json!({})).with_key(key).send(to).await?;
    let time = told.text().unwrap_or_default();
    expect("the clock tells the time", !time.is_empty() && stage.clock.count() > 0, &told)?;
    show.step("", &format!("clock__clock {{}} -> \"{}\"", inert(&time)), "200", &json!({"tool": "clock__clock", "text": time}));

    let before = stage.notes.count();
    let refused = ask("tools/call", &json!({"name": "delete_note", "arguments": {"id": "1"}})).send(to).await?;
    let said = refused.error().or_else(|| refused.text()).unwrap_or_default();
    let is_refused =
        refused.error().is_some() || refused.message().is_some_and(|message| message.pointer("/result/isError") == Some(&true.into()));
    expect("deleting is refused and the server hears nothing", is_refused && stage.notes.count() == before, &refused)?;
    let said = said.split(" (audit").next().unwrap_or_default().to_owned();
    show.step(
        "",
        "notes__delete_note {\"id\":\"1\"} -> notes is not called",
        "refused",
        &json!({"tool": "notes__delete_note", "said": said}),
    );

    let question = call(NOTES, "share_note", &json!({"id": "1"})).with_key(key).send(to).await?;
    let asked = question
        .message()
        .and_then(|message| Some(message.pointer("/result/inputRequests/recipient/params/message")?.as_str()?.to_owned()));
    expect("share_note asks", asked.is_some(), &question)?;
    let asked = asked.unwrap_or_default();
    let shared = answered(&question, "bob").with_key(key).send(to).await?;
    let text = shared.text().unwrap_or_default();
    expect("the answer counts", text == "Note 1 is shared with bob.", &shared)?;
    show.step("question", &format!("{MODERN}: \"{asked}\" -> \"bob\""), "answered", &json!({"question": asked, "text": text}));

    proof(stage, show)?;
    let ended = Ask::new(Method::DELETE, NOTES).with_key(key).in_session(&session).send(to).await?;
    expect("the session ends", ended.status == StatusCode::NO_CONTENT, &ended)?;
    let chain = stage.verify().map_err(Trouble::Unexpected)?;
    let text = format!("{} records, {} seal: whole", chain.records, chain.seals);
    show.step("audit", &text, "verified", &json!({"records": chain.records, "seals": chain.seals, "whole": true}));
    Ok(())
}

/// The next round of `share_note`: its state comes back with an answer.
pub(super) fn answered(question: &Reply, name: &str) -> Ask {
    let state = question.message().and_then(|message| message.pointer("/result/requestState").cloned()).unwrap_or_default();
    let answer = json!({"recipient": {"action": "accept", "content": {"name": name}}});
    let params = json!({"name": "share_note", "arguments": {"id": "1"}, "requestState": state, "inputResponses": answer});
    Ask::modern(NOTES, "tools/call", params)
}

/// What went in and what came out are two different things.
fn proof(stage: &Stage, show: &mut Show<'_>) -> Result<(), Trouble> {
    let key = stage.alice.key();
    let visits = stage.notes.visits();
    let received = visits.last().and_then(|visit| visit.digest(WANTED));
    let presented = sha256(format!("Bearer {key}").as_bytes());
    let Some(received) = received.filter(|received| *received != presented && !visits.iter().any(|visit| visit.holds(key))) else {
        return Err(Trouble::Unexpected("the server received what the client presented".to_owned()));
    };
    let (presented, received) = (fingerprint(&presented), fingerprint(&received));
    show.step("proof", &format!("the client presented   sha256 {presented}"), "dwk_ key", &json!({"presented": presented}));
    show.step("", &format!("notes received         sha256 {received}"), "its own", &json!({"received": received}));
    Ok(())
}

/// The first digits of a digest.
fn fingerprint(digest: &[u8; 32]) -> String {
    digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

fn names(listed: &Reply) -> Vec<String> {
    let message = listed.message().unwrap_or_default();
    let tools = message.pointer("/result/tools").and_then(Value::as_array);
    tools.into_iter().flatten().filter_map(|tool| Some(tool.get("name")?.as_str()?.to_owned())).collect()
}
