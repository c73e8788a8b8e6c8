//! What browsers of allowed origins may do. The origin itself was checked by the guard; nothing that a cookie or an MCP route
//! answers is ever allowed to `*`.
//!
//! Fetch standard, CORS protocol; attack HTTP-10. No credentials mode: cookies mean nothing here.

use super::body::Body;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS,
    ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderName, HeaderValue, VARY,
};
use http::{Method, Response, StatusCode};

const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, DELETE");
const HEADERS: &str =
    "accept, authorization, content-type, dpop, last-event-id, mcp-method, mcp-name, mcp-protocol-version, mcp-session-id";
const EXPOSED: HeaderValue = HeaderValue::from_static("dpop-nonce, mcp-protocol-version, mcp-session-id, www-authenticate, retry-after");
/// Mirrored parameters that one preflight may ask for.
const MAX_PARAMETERS: usize = 32;

/// True for a preflight: a question of a browser, not a request.
pub(super) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::OPTIONS && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD) && headers.contains_key(http::header::ORIGIN)
}

/// The answer to a preflight from an allowed origin.
pub(super) fn preflight(asked: &HeaderMap) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    if let Ok(list) = HeaderValue::try_from(allowed(asked)) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, list);
    }
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    response
}

/// Marks an answer for the allowed origin it goes to, and keeps caches from mixing origins.
pub(super) fn mark(answer: &mut HeaderMap, origin: Option<HeaderValue>) {
    answer.append(VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = origin {
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
}

/// The answer to a preflight at an endpoint that any page may call, without cookies: clients that run in a browser fetch
/// metadata, register and redeem codes from pages of their own.
pub(super) fn open_preflight() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST"));
    headers
        .insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("accept, authorization, content-type, dpop, mcp-protocol-version"));
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    response
}

/// Marks an answer that any page may read. Never with `Access-Control-Allow-Credentials`: no cookie counts there.
pub(super) fn mark_open(answer: &mut HeaderMap, is_document: bool) {
    answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("dpop-nonce, www-authenticate, retry-after"));
    if is_document {
        answer.insert(super::http::RESOURCE_POLICY, HeaderValue::from_static("cross-origin"));
    }
}

/// The fixed list, and the mirrored parameters asked for: their names are the tools' own.
fn allowed(asked: &HeaderMap) -> String {
    let mut list = HEADERS.to_owned();
    let asked = asked.get_all(ACCESS_CONTROL_REQUEST_HEADERS).iter().filter_map(|value| value.to_str().ok());
    let names = asked.flat_map(|value| value.split(',')).filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok());
    for name in names.filter(|name| name.as_str().starts_with("mcp-param-")).take(MAX_PARAMETERS) {
        list.push_str(", ");
        list.push_str(name.as_str());
    }
    list
}
