//! Answers of the front office as responses: pages, documents, texts, ways back. Knows no view.

use super::body::Body;
use super::http::plain;
use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use http::{Response, StatusCode};
use serde_json::Value;

/// A text of one media type, with the headers of its class.
#[must_use]
pub fn text(status: u16, media: &'static str, content: impl Into<Bytes>, headers: &[(&'static str, &'static str)]) -> Response<Body> {
    let mut response = Response::new(Body::whole(content.into()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media));
    for (name, value) in headers {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}

/// A JSON document.
#[must_use]
pub fn document(status: u16, content: &Value, headers: &[(&'static str, &'static str)]) -> Response<Body> {
    text(status, "application/json", content.to_string(), headers)
}

/// 303 to an address: a path of ours, or one that the caller has checked. 500 for what is no header value.
#[must_use]
pub fn see_other(address: &str) -> Response<Body> {
    let Ok(address) = HeaderValue::try_from(address) else {
        return plain(StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong here.");
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert(LOCATION, address);
    response
}

/// 405, with every method that is served there (RFC 9110 section 10.2.1).
#[must_use]
pub fn not_allowed(allow: &'static str) -> Response<Body> {
    let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "This method is not served here.");
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    response
}
