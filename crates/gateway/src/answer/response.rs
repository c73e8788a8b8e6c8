//! Answers of the MCP endpoints as HTTP responses: never stored, never sniffed.

use crate::listen::body::Body;
use bytes::Bytes;
use doorward_core::json::RawJson;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS};
use http::{Response, StatusCode};

pub(super) fn json(status: u16, body: &RawJson) -> Response<Body> {
    answer(status, Body::whole(body.bytes().clone()), "application/json")
}

pub(super) fn events(body: Body) -> Response<Body> {
    let mut response = answer(200, body, "text/event-stream");
    response.headers_mut().insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

pub(super) fn text(status: u16, text: &str) -> Response<Body> {
    answer(status, Body::whole(Bytes::from(format!("{text}\n"))), "text/plain; charset=utf-8")
}

pub(super) fn challenged(public: &str, challenge: &str) -> Response<Body> {
    let mut response = text(401, public);
    if let Ok(value) = HeaderValue::from_str(challenge) {
        response.headers_mut().insert(WWW_AUTHENTICATE, value);
    }
    response
}

pub(super) fn bare(status: u16) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

pub(super) fn answer(status: u16, body: Body, media: &'static str) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
