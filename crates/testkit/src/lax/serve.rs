//! How the lax server travels over HTTP/1.1: reading, recording, answering, and its control endpoint. Meaning is in `mcp`.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, mpsc};

use super::mcp::{self, Event, Luggage};
use super::quirk::Quirk;
use super::{Heard, State, held, hostile};
use crate::wire::{Reader, Walk};

/// Whether the connection can carry another request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    Keep,
    Close,
}

/// Accepts connections until the task is dropped; their tasks end with it.
///
/// # Errors
/// When the listener breaks.
pub async fn accept(listener: TcpListener, state: Arc<State>) -> io::Result<()> {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        let state = Arc::clone(&state);
        connections.spawn(async move {
            // A client that leaves is no error of the server.
            let _ended = connection(stream, &state).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, state: &State) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (read, mut write) = stream.into_split();
    let mut requests = Reader::new(read);
    while let Some(head) = requests.head().await? {
        let mut walk = Walk::new(head.framing());
        let mut wire = head.raw.clone();
        if head.field("expect").is_some() {
            write.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        while let Some(piece) = requests.piece(&mut walk).await? {
            wire.extend(piece);
        }
        let heard = Heard { method: head.method, target: head.target, fields: head.fields, body: walk.payload(), wire };
        let after = tokio::select! {
            after = respond(state, heard, &mut write) => after?,
            () = requests.closed() => return Ok(()),
        };
        if after == After::Close {
            return write.shutdown().await;
        }
    }
    Ok(())
}

async fn respond(state: &State, heard: Heard, out: &mut (impl AsyncWrite + Unpin)) -> io::Result<After> {
    if heard.target.starts_with("/control/") {
        return control(state, &heard, out).await;
    }
    state.record(heard.clone());
    match heard.method.as_str() {
        "POST" => post(state, &heard, out).await,
        "GET" => get(state, out).await,
        "DELETE" => plain(out, "200 OK", &[], b"").await,
        _ => plain(out, "405 Method Not Allowed", &[], b"").await,
    }
}

async fn control(state: &State, heard: &Heard, out: &mut (impl AsyncWrite + Unpin)) -> io::Result<After> {
    match (heard.method.as_str(), heard.target.as_str()) {
        ("GET", "/control/seen") => {
            let seen: Vec<Value> = held(&state.seen).iter().map(Heard::shown).collect();
            plain(out, "200 OK", &[("Content-Type", "application/json")], Value::from(seen).to_string().as_bytes()).await
        }
        ("POST", "/control/forget") => {
            state.forget();
            plain(out, "204 No Content", &[], b"").await
        }
        ("POST", "/control/push") => {
            let streams = state.streams.send(heard.json()).unwrap_or(0);
            plain(out, "200 OK", &[], streams.to_string().as_bytes()).await
        }
        _ => plain(out, "404 Not Found", &[], b"").await,
    }
}

async fn plain(out: &mut (impl AsyncWrite + Unpin), status: &str, fields: &[(&str, &str)], body: &[u8]) -> io::Result<After> {
    let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = if status.starts_with("204") { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    out.write_all(format!("HTTP/1.1 {status}\r\n{fields}{length}\r\n").as_bytes()).await?;
    out.write_all(body).await?;
    out.flush().await?;
    Ok(After::Keep)
}

async fn post(state: &State, heard: &Heard, out: &mut (impl AsyncWrite + Unpin)) -> io::Result<After> {
    let version = heard.field("mcp-protocol-version");
    let known = matches!(version, None | Some("2024-11-05" | "2025-03-26" | "2025-06-18" | "2025-11-25"));
    if !known && state.behaviour.has(&Quirk::RefusesVersions) {
        return plain(out, "400 Bad Request", &[("Content-Type", "text/plain")], b"Bad Request: Unsupported protocol version").await;
    }
    let Ok(message) = serde_json::from_slice::<Value>(&heard.body) else {
        let error = json!({ "jsonrpc": "2.0", "id": null, "error": { "code": -32700, "message": "Parse error" } }).to_string();
        return plain(out, "400 Bad Request", &[("Content-Type", "application/json")], error.as_bytes()).await;
    };
    if message.get("method").is_none() {
        state.answered(&message);
        return plain(out, "202 Accepted", &[], b"").await;
    }
    let Some(id) = message.get("id") else { return plain(out, "202 Accepted", &[], b"").await };
    if mcp::called(&message).is_some() {
        let redirect =
            state.behaviour.find(|quirk| if let Quirk::Redirect(status, to) = quirk { Some((*status, to.clone())) } else { None });
        if let Some((status, location)) = redirect {
            return plain(out, &format!("{status} Elsewhere"), &[("Location", &location)], b"").await;
        }
        if let Some(answer) = state.behaviour.find(|quirk| if let Quirk::Answer(answer) = quirk { Some(*answer) } else { None }) {
            hostile::write(answer, id, out).await?;
            out.flush().await?;
            return Ok(After::Close);
        }
    }
    let luggage = Luggage { fields: heard.fields.clone() };
    let (sender, receiver) = mpsc::unbounded_channel();
    if mcp::streams(state, &message) {
        let answering = async {
            mcp::answer(state, &message, &luggage, &sender).await;
            drop(sender);
        };
        let (_answered, written) = tokio::join!(answering, stream(receiver, out));
        return written;
    }
    mcp::answer(state, &message, &luggage, &sender).await;
    drop(sender);
    whole(state, &message, &luggage, receiver, out).await
}

async fn whole(
    state: &State,
    message: &Value,
    luggage: &Luggage,
    mut answers: mpsc::UnboundedReceiver<Event>,
    out: &mut (impl AsyncWrite + Unpin),
) -> io::Result<After> {
    let Some(Event::Message(answer) | Event::Split(answer, _)) = answers.recv().await else {
        return plain(out, "500 Internal Server Error", &[], b"").await;
    };
    let mut fields = mcp::reflected_fields(message, luggage);
    if message.get("method").and_then(Value::as_str) == Some("initialize") {
        // Predictable on purpose.
        fields.push(("Mcp-Session-Id".to_owned(), format!("lax-{}", state.sessions.fetch_add(1, Ordering::SeqCst) + 1)));
    }
    fields.push(("Content-Type".to_owned(), "application/json".to_owned()));
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    plain(out, "200 OK", &fields, answer.to_string().as_bytes()).await
}

const STREAM: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n";

async fn stream(mut events: mpsc::UnboundedReceiver<Event>, out: &mut (impl AsyncWrite + Unpin)) -> io::Result<After> {
    out.write_all(STREAM).await?;
    while let Some(event) = events.recv().await {
        match event {
            Event::Message(message) => chunk(out, format!("data: {message}\n\n").as_bytes()).await?,
            Event::Split(message, inside) => {
                let wire = format!("data: {message}\n\n").into_bytes();
                let at = crate::wire::find(&wire, inside.as_bytes()).map_or(wire.len() / 2, |at| at + inside.len() / 2);
                let (one, two) = wire.split_at_checked(at).unwrap_or((&wire, &[]));
                chunk(out, one).await?;
                tokio::task::yield_now().await;
                chunk(out, two).await?;
            }
        }
    }
    out.write_all(b"0\r\n\r\n").await?;
    out.flush().await?;
    Ok(After::Keep)
}

async fn chunk(out: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    out.write_all(format!("{:x}\r\n", bytes.len()).as_bytes()).await?;
    out.write_all(bytes).await?;
    out.write_all(b"\r\n").await?;
    out.flush().await
}

async fn get(state: &State, out: &mut (impl AsyncWrite + Unpin)) -> io::Result<After> {
    let mut pushed = state.streams.subscribe();
    out.write_all(STREAM).await?;
    out.flush().await?;
    if state.behaviour.has(&Quirk::AsksUnasked) {
        for question in mcp::unasked() {
            chunk(out, format!("data: {question}\n\n").as_bytes()).await?;
        }
    }
    let storm = state.behaviour.find(|quirk| if let Quirk::Storm(count) = quirk { Some(*count) } else { None }).unwrap_or(0);
    let changed = json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" });
    for _ in 0..storm {
        chunk(out, format!("data: {changed}\n\n").as_bytes()).await?;
    }
    loop {
        match pushed.recv().await {
            Ok(message) => chunk(out, format!("data: {message}\n\n").as_bytes()).await?,
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return Ok(After::Close),
        }
    }
}
