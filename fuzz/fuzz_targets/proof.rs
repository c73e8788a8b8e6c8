//! A proof of possession whose header and claims somebody else wrote, rightly signed by a key that they hold. What is taken says what was
//! asked, as serde_json reads it; with one character changed, and as it came, it is nothing.
#![no_main]

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward_core::oauth::dpop::{Header, Nonces, Request, check};
use doorward_core::secret::Secret;
use doorward_core::time::Timestamp;
use doorward_fuzz::sections;
use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::sync::LazyLock;

const URL: &str = "https://mcp.acme.example/s/alpha/mcp";
const SECOND: u64 = 1_795_496_611;
const NOW: Timestamp = Timestamp::from_millis(SECOND * 1_000);
const TOKEN: [u8; 32] = [7; 32];

static KEY: LazyLock<Ed25519KeyPair> = LazyLock::new(|| Ed25519KeyPair::from_seed_unchecked(&[3; 32]).expect("a key"));
static NONCES: LazyLock<Nonces> = LazyLock::new(|| Nonces::derive(&Secret::new([1; 32])).expect("keys"));

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What an input cannot know by itself stands for itself: the key, the digest of the token, the nonce.
fn filled(text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?;
    let x = b64(KEY.public_key().as_ref());
    Some(text.replace("@x@", &x).replace("@ath@", &b64(TOKEN)).replace("@nonce@", &NONCES.current(NOW)))
}

fn text(members: &HashMap<String, Box<RawValue>>, name: &str) -> String {
    serde_json::from_str(members[name].get()).expect("a text")
}

fuzz_target!(|data: &[u8]| {
    let request = Request { method: "POST", urls: &[URL], token: Some(&TOKEN) };
    let judged = |text: String| check(&Header::One(text), &request, &NONCES, NOW);
    let parts = sections(data);
    let (Some(head), Some(body)) = (parts.first().and_then(|part| filled(part)), parts.get(1).and_then(|part| filled(part))) else {
        return;
    };
    // As it came: nobody signed it.
    assert!(judged(String::from_utf8_lossy(data).into_owned()).is_err());
    let message = format!("{}.{}", b64(&head), b64(&body));
    let proof = format!("{message}.{}", b64(KEY.sign(message.as_bytes())));
    let Ok(proven) = judged(proof.clone()) else { return };
    let (head, body): (HashMap<String, Box<RawValue>>, HashMap<String, Box<RawValue>>) =
        (serde_json::from_str(&head).expect("JSON"), serde_json::from_str(&body).expect("JSON"));
    assert_eq!((text(&head, "typ").as_str(), text(&head, "alg").as_str()), ("dpop+jwt", "EdDSA"));
    assert!(!head.contains_key("crit"));
    let jwk: HashMap<String, Box<RawValue>> = serde_json::from_str(head["jwk"].get()).expect("a key");
    assert!(["d", "p", "q", "k"].iter().all(|member| !jwk.contains_key(*member)));
    assert_eq!((text(&jwk, "kty").as_str(), text(&jwk, "crv").as_str()), ("OKP", "Ed25519"));
    assert_eq!(text(&body, "htm"), "POST");
    let htu = text(&body, "htu");
    assert!(htu.is_ascii() && !htu.contains(['?', '#', '@', '\\', ' ', '\t', '\n']), "{htu}");
    assert!(htu.to_ascii_lowercase().starts_with("https://mcp.acme.example") && htu.ends_with("mcp"), "{htu}");
    let made: f64 = body["iat"].get().parse().expect("a number");
    assert!((made - SECOND as f64).abs() < 61.0, "{made}");
    assert!((1..=255).contains(&text(&body, "jti").len()));
    assert_eq!((text(&body, "ath"), text(&body, "nonce")), (b64(TOKEN), NONCES.current(NOW)));
    assert!(proven.once().1 > NOW);
    let at = data.len() % proof.len();
    let mut edited = proof.into_bytes();
    edited[at] = if edited[at] == b'A' { b'B' } else { b'A' };
    assert!(judged(String::from_utf8(edited).expect("ASCII")).is_err());
});
