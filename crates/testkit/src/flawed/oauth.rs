//! The authorization server beside it: metadata, registration, and the first step of an authorization, which ends at a page where
//! somebody would sign in. Right, but for the flaw.

use super::{Flaw, Shop, field, is, json, plain, with};
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::Response;
use http::request::Parts;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const LARGEST: usize = 64 * 1024;

pub(super) async fn answer(shop: &Shop, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    if is(&parts, &Method::GET, "/.well-known/oauth-protected-resource/mcp") && !shop.is(Flaw::NoMetadata) {
        return json(StatusCode::OK, &resource(shop));
    }
    if is(&parts, &Method::GET, "/.well-known/oauth-authorization-server") {
        return json(StatusCode::OK, &server(shop));
    }
    if is(&parts, &Method::GET, "/authorize") {
        return authorize(shop, &parts);
    }
    if is(&parts, &Method::POST, "/register") {
        let body = to_bytes(body, LARGEST).await.unwrap_or_default();
        return register(shop, &serde_json::from_slice(&body).unwrap_or_default());
    }
    if let Some(client) = parts.uri.path().strip_prefix("/register/").filter(|_| parts.method == Method::DELETE) {
        return unregister(shop, &parts, client);
    }
    plain(StatusCode::NOT_FOUND)
}

fn resource(shop: &Shop) -> Value {
    let base = &shop.base;
    let scopes = match shop.flaw {
        Some(Flaw::WildcardScope) => json!(["*"]),
        Some(Flaw::ManyScopes) => (0..40).map(|number| format!("tool-{number}:write")).collect(),
        _ => json!(["notes:read"]),
    };
    let resource = if shop.is(Flaw::WrongResource) { "https://another-server.example/mcp".to_owned() } else { format!("{base}/mcp") };
    json!({"resource": resource, "authorization_servers": [base], "scopes_supported": scopes})
}

fn server(shop: &Shop) -> Value {
    let base = &shop.base;
    let mut metadata = json!({
        "issuer": if shop.is(Flaw::WrongIssuer) { "https://another-issuer.example" } else { base },
        "authorization_endpoint": format!("{base}/authorize"),
        "token_endpoint": format!("{base}/token"),
        "registration_endpoint": format!("{base}/register"),
        "response_types_supported": ["code"],
        "code_challenge_methods_supported": if shop.is(Flaw::PlainPkce) { json!(["S256", "plain"]) } else { json!(["S256"]) },
        "authorization_response_iss_parameter_supported": !shop.is(Flaw::NoIss),
    });
    if let Some(members) = metadata.as_object_mut().filter(|_| shop.is(Flaw::NoPkce)) {
        members.remove("code_challenge_methods_supported");
    }
    metadata
}

fn register(shop: &Shop, wish: &Value) -> Response {
    let wanted: Vec<String> = wish
        .get("redirect_uris")
        .and_then(Value::as_array)
        .map(|uris| uris.iter().filter_map(Value::as_str).map(str::to_owned).collect())
        .unwrap_or_default();
    let loopback = |uri: &String| uri.starts_with("http://127.0.0.1:") && !uri.contains('@');
    let pattern = |uri: &String| uri.contains("://*.") && shop.is(Flaw::WildcardRedirect);
    if wanted.is_empty() || !(wanted.iter().all(|uri| loopback(uri) || pattern(uri)) || shop.is(Flaw::OpenRegistration)) {
        return json(StatusCode::BAD_REQUEST, &json!({"error": "invalid_redirect_uri"}));
    }
    let mut memory = shop.memory();
    let (id, key) = (memory.word(), memory.word());
    memory.clients.insert(id.clone(), wanted.clone());
    json(
        StatusCode::CREATED,
        &json!({
            "client_id": id,
            "redirect_uris": wanted,
            "registration_client_uri": format!("{}/register/{id}", shop.base),
            "registration_access_token": key,
        }),
    )
}

fn unregister(shop: &Shop, parts: &Parts, client: &str) -> Response {
    if field(parts, "authorization").is_none() {
        return plain(StatusCode::UNAUTHORIZED);
    }
    let known = shop.memory().clients.remove(client).is_some();
    plain(if known { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND })
}

fn authorize(shop: &Shop, parts: &Parts) -> Response {
    let query = parameters(parts.uri.query().unwrap_or_default());
    let text = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
    let (client, redirect) = (text("client_id"), text("redirect_uri"));
    let registered = shop.memory().clients.get(client).cloned().unwrap_or_default();
    let loose = shop.is(Flaw::LooseRedirect) && redirect.contains("127.0.0.1:33418");
    let means = |known: &String| {
        let rest = known.split_once("://*.").filter(|_| shop.is(Flaw::WildcardRedirect)).map(|(_, rest)| rest);
        rest.is_some_and(|rest| redirect.ends_with(rest))
    };
    if !registered.iter().any(|known| known == redirect || means(known)) && !loose {
        return json(StatusCode::BAD_REQUEST, &json!({"error": "invalid_request"}));
    }
    let to =
        |rest: &str| with(plain(StatusCode::FOUND), "location", &format!("{redirect}{}{rest}&state={}", joint(redirect), text("state")));
    if text("code_challenge_method") != "S256" || text("code_challenge").is_empty() {
        return to(if shop.is(Flaw::UncheckedPkce) { "code=worthless" } else { "error=invalid_request" });
    }
    if loose && !registered.iter().any(|known| known == redirect) {
        return to("error=login_required");
    }
    if shop.is(Flaw::NoConsent) {
        return with(plain(StatusCode::FOUND), "location", "https://third-party.example/authorize?client_id=the-one-of-the-proxy");
    }
    with(plain(StatusCode::OK), "content-type", "text/html").map(|_| Body::from("<title>Sign in</title>"))
}

fn joint(redirect: &str) -> &'static str {
    if redirect.contains('?') { "&" } else { "?" }
}

fn parameters(query: &str) -> BTreeMap<String, String> {
    query.split('&').filter_map(|pair| pair.split_once('=')).map(|(name, value)| (name.to_owned(), decoded(value))).collect()
}

/// Of `application/x-www-form-urlencoded`.
fn decoded(text: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let pair = [bytes.next().unwrap_or(b'0'), bytes.next().unwrap_or(b'0')];
                out.push(u8::from_str_radix(&String::from_utf8_lossy(&pair), 16).unwrap_or(b'?'));
            }
            byte => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
