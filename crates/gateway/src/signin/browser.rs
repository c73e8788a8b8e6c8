//! Cookies: `__Host-`, Secure, `HttpOnly`, `SameSite=Lax`, each 256 random bits, stored as digests (product 5.8; protocol B8).

use crate::listen::body::Body;
use doorward_core::connection::trip::{TRIP_LIFE, Trip};
use doorward_core::oauth::keys::Ticket;
use doorward_core::oidc::journey::{JOURNEY_LIFE, Journey};
use doorward_core::secret::{BrowserSecret, PlainToken, TokenHash};
use http::Response;
use http::header::{COOKIE, HeaderMap, HeaderValue, SET_COOKIE};
use std::time::Duration;

/// Who is signed in.
pub(crate) const SESSION: &str = "__Host-dw_session";
/// The request that waits for a sign-in: its sealed ticket, which opens nothing by itself.
pub(crate) const WAITING: &str = "__Host-dw_waiting";
/// The browser that began a request; one for each, by the short name of its ticket.
const FLOW: &str = "__Host-dw_flow_";
/// A sign-in that left for a provider, sealed; one for each, by the first characters of its `state`.
const JOURNEY: &str = "__Host-dw_login_";
/// A trip to the provider of an account, sealed; named likewise.
const TRIP: &str = "__Host-dw_connect_";
/// Trips that one browser has under way: each is larger than a sign-in, and all of them go with every request.
const TRIPS: usize = 2;
/// Sign-ins that one browser has under way.
const JOURNEYS: usize = 4;
/// Requests that one browser has under way; the oldest give way.
const FLOWS: usize = 8;
/// Longest ticket that is kept in a cookie, in bytes: browsers drop larger ones.
const LONGEST: usize = 3_800;

/// The value of a cookie. None if it comes twice: nobody can tell which one is ours.
pub(crate) fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut found = pairs(headers).filter(|(known, _)| *known == name).map(|(_, value)| value);
    match (found.next(), found.next()) {
        (Some(value), None) => Some(value),
        _ => None,
    }
}

/// Whether this browser is the one that began the request of a ticket.
pub(crate) fn began(headers: &HeaderMap, ticket: &Ticket) -> bool {
    let name = format!("{FLOW}{}", ticket.short());
    // A digest of 256 random bits: how long the comparison takes tells nothing.
    cookie(headers, &name)
        .and_then(|value| TokenHash::<BrowserSecret>::of(value).ok())
        .is_some_and(|hash| *hash.as_bytes() == ticket.browser)
}

/// Binds a new request to this browser.
pub(crate) fn begin(response: &mut Response<Body>, asked: &HeaderMap, ticket: &Ticket, secret: &PlainToken<BrowserSecret>) {
    let others: Vec<&str> = pairs(asked).map(|(name, _)| name).filter(|name| name.starts_with(FLOW)).collect();
    for old in others.iter().take((others.len() + 1).saturating_sub(FLOWS)) {
        set(response, old, "", Duration::ZERO);
    }
    set(response, &format!("{FLOW}{}", ticket.short()), secret.reveal(), doorward_core::oauth::keys::TICKET_LIFE);
}

/// Ends what [`begin`] began, after the decision.
pub(crate) fn end(response: &mut Response<Body>, ticket: &Ticket) {
    set(response, &format!("{FLOW}{}", ticket.short()), "", Duration::ZERO);
    set(response, WAITING, "", Duration::ZERO);
}

/// Keeps the ticket of a request that waits for a sign-in, where it fits.
pub(crate) fn keep_waiting(response: &mut Response<Body>, sealed: &str) {
    if sealed.len() <= LONGEST {
        set(response, WAITING, sealed, doorward_core::oauth::keys::TICKET_LIFE);
    }
}

/// Signs in here: always a new value (AZ-13).
pub(crate) fn sign_in(response: &mut Response<Body>, secret: &PlainToken<BrowserSecret>, life: Duration) {
    set(response, SESSION, secret.reveal(), life);
}

/// Keeps a sealed sign-in in the browser that begins it.
pub(crate) fn depart(response: &mut Response<Body>, asked: &HeaderMap, state: &str, sealed: &str) {
    let Some(short) = Journey::short(state) else { return };
    let others: Vec<&str> = pairs(asked).map(|(name, _)| name).filter(|name| name.starts_with(JOURNEY)).collect();
    for old in others.iter().take((others.len() + 1).saturating_sub(JOURNEYS)) {
        set(response, old, "", Duration::ZERO);
    }
    set(response, &format!("{JOURNEY}{short}"), sealed, JOURNEY_LIFE);
}

/// The sealed sign-in of a `state`, if this browser began it.
pub(crate) fn departed<'h>(headers: &'h HeaderMap, state: &str) -> Option<&'h str> {
    cookie(headers, &format!("{JOURNEY}{}", Journey::short(state)?))
}

/// Ends what [`depart`] began.
pub(crate) fn arrived(response: &mut Response<Body>, state: &str) {
    if let Some(short) = Journey::short(state) {
        set(response, &format!("{JOURNEY}{short}"), "", Duration::ZERO);
    }
}

/// Keeps a sealed trip to the provider of an account in the browser that begins it.
pub(crate) fn travel(response: &mut Response<Body>, asked: &HeaderMap, state: &str, sealed: &str) {
    let Some(short) = Trip::short(state) else { return };
    let others: Vec<&str> = pairs(asked).map(|(name, _)| name).filter(|name| name.starts_with(TRIP)).collect();
    for old in others.iter().take((others.len() + 1).saturating_sub(TRIPS)) {
        set(response, old, "", Duration::ZERO);
    }
    set(response, &format!("{TRIP}{short}"), sealed, TRIP_LIFE);
}

/// The sealed trip of a `state`, if this browser began it.
pub(crate) fn travelled<'h>(headers: &'h HeaderMap, state: &str) -> Option<&'h str> {
    cookie(headers, &format!("{TRIP}{}", Trip::short(state)?))
}

/// Ends what [`travel`] began.
pub(crate) fn returned(response: &mut Response<Body>, state: &str) {
    if let Some(short) = Trip::short(state) {
        set(response, &format!("{TRIP}{short}"), "", Duration::ZERO);
    }
}

/// Signs out here.
pub(crate) fn sign_out(response: &mut Response<Body>) {
    set(response, SESSION, "", Duration::ZERO);
}

fn set(response: &mut Response<Body>, name: &str, value: &str, life: Duration) {
    let text = format!("{name}={value}; Path=/; Max-Age={}; Secure; HttpOnly; SameSite=Lax", life.as_secs());
    if let Ok(mut value) = HeaderValue::try_from(text) {
        value.set_sensitive(true);
        response.headers_mut().append(SET_COOKIE, value);
    }
}

fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let texts = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_that_comes_twice_is_none() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, "a=1; b=2; c=3".parse().expect("value"));
        assert_eq!((cookie(&headers, "b"), cookie(&headers, "d")), (Some("2"), None));
        headers.append(COOKIE, "b=4".parse().expect("value"));
        assert_eq!(cookie(&headers, "b"), None);
    }

    #[test]
    fn ui_01_cookies_have_every_attribute() {
        let mut response = Response::new(Body::empty());
        sign_in(&mut response, &PlainToken::mint(&[1; 32]), Duration::from_secs(43_200));
        depart(&mut response, &HeaderMap::new(), &"a".repeat(43), "sealed");
        let cookies: Vec<&str> = response.headers().get_all(SET_COOKIE).iter().map(|value| value.to_str().expect("text")).collect();
        let begins = [("__Host-dw_session=dww_", "; Max-Age=43200"), ("__Host-dw_login_aaaaaaaa=sealed;", "; Max-Age=600")];
        assert_eq!(cookies.len(), begins.len());
        for (text, (start, life)) in cookies.into_iter().zip(begins) {
            assert!(text.starts_with(start), "{text}");
            for part in ["; Path=/;", "; Secure", "; HttpOnly", "; SameSite=Lax", life] {
                assert!(text.contains(part), "{text} without {part}");
            }
            assert!(!text.contains("Domain"), "{text}");
        }
    }
}
