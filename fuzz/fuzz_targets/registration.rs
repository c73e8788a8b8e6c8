//! What clients say of themselves: registrations and client id metadata documents, of the same bytes. Neither panics; what one takes
//! redirects only where serde_json saw the same URI; an id opens to what was registered, and edited to nothing.
#![no_main]

use bytes::Bytes;
use doorward_core::oauth::client::{Client, DocumentSource};
use doorward_core::oauth::document::{self, DocumentUrl, MAX_DOCUMENT};
use doorward_core::oauth::redirect::{Registered, Schemes, check};
use doorward_core::oauth::registration::{RANDOM, RegistrationKeys, Request};
use doorward_core::secret::Secret;
use doorward_core::time::Timestamp;
use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::sync::LazyLock;

const URL: &str = "https://app.test/c.json";
const NOW: Timestamp = Timestamp::from_millis(1_795_496_611_007);

static KEYS: LazyLock<RegistrationKeys> = LazyLock::new(|| RegistrationKeys::derive(&Secret::new([1; 32])).expect("keys"));
static SCHEMES: LazyLock<Schemes> = LazyLock::new(|| Schemes::new(vec!["cursor".to_owned()]).expect("schemes"));

/// Each redirect URI is one that the document lists, reads as harmless, and matches itself alone.
fn holds(client: &Client, body: &[u8]) {
    // As it stands: a number beyond those of serde_json is JSON all the same.
    let members: HashMap<String, Box<RawValue>> = serde_json::from_slice(body).expect("what is read strictly is JSON");
    let listed: Vec<String> = serde_json::from_str(members["redirect_uris"].get()).expect("a list of texts");
    assert!(!client.redirects().is_empty());
    for redirect in client.redirects() {
        let uri = redirect.as_str();
        assert!(listed.iter().any(|one| one == uri), "{uri}");
        harmless(redirect);
        let target = check(client, Some(uri)).expect("its own");
        assert_eq!(target.as_str(), uri);
        for other in [format!("{uri}#"), format!("{uri} "), format!("{uri}@evil.test"), uri.replacen("://", "://evil.test/", 1)] {
            let is_listed = listed.iter().any(|one| any_port(one) == any_port(&other));
            assert!(check(client, Some(&other)).is_err() || is_listed, "{other}");
        }
    }
}

/// On this computer the port is free (RFC 8252 section 7.3).
fn any_port(uri: &str) -> String {
    for here in ["http://127.0.0.1", "http://localhost", "http://[::1]"] {
        if let Some(rest) = uri.strip_prefix(here).and_then(|rest| rest.strip_prefix(':')) {
            return format!("{here}{}", rest.trim_start_matches(|c: char| c.is_ascii_digit()));
        }
    }
    uri.to_owned()
}

fn harmless(redirect: &Registered) {
    let uri = redirect.as_str();
    assert!(uri.is_ascii() && !uri.contains(['#', '\\', '*', '"', '<', '>', ' ', '\r', '\n']), "{uri}");
    let is_here = ["http://127.0.0.1", "http://localhost", "http://[::1]"].iter().any(|here| uri.starts_with(here));
    assert!(uri.starts_with("https://") || uri.starts_with("cursor:/") || is_here, "{uri}");
    assert!(!is_here || redirect.is_loopback(), "{uri}");
}

fuzz_target!(|data: &[u8]| {
    let body = Bytes::copy_from_slice(data);
    let url = DocumentUrl::new(URL).expect("a URL");
    if let Ok(client) = document::parse(&url, &body, DocumentSource::Live, NOW, &SCHEMES) {
        assert!(data.len() <= MAX_DOCUMENT);
        assert_eq!(client.id().as_str(), URL);
        holds(&client, data);
    }
    let mut random = [0; RANDOM];
    random.iter_mut().zip(data).for_each(|(random, byte)| *random = *byte);
    if let Ok(made) = Request::parse(&body, &SCHEMES).and_then(|request| KEYS.register(request, random)) {
        holds(made.client(), data);
        let id = made.client().id().as_str();
        let again = KEYS.open(id, &SCHEMES).expect("made here");
        assert_eq!((again.name(), again.redirects()), (made.client().name(), made.client().redirects()));
        assert_eq!(again.fingerprint(), made.client().fingerprint());
        let at = data.len() % id.len();
        let mut edited = id.as_bytes().to_vec();
        edited[at] = if edited[at] == b'A' { b'B' } else { b'A' };
        let edited = String::from_utf8(edited).expect("ASCII");
        assert!(KEYS.open(&edited, &SCHEMES).is_err(), "{edited}");
    }
    let text = String::from_utf8_lossy(data);
    let _id = KEYS.open(&text, &SCHEMES);
    if let Ok(redirect) = Registered::new(&text, &SCHEMES) {
        harmless(&redirect);
    }
    if let Ok(url) = DocumentUrl::new(&text) {
        assert!(text.starts_with("https://") && !url.host().is_empty() && url.host() == url.host().to_lowercase());
    }
});
