//! TK-13: what is bound to a key, and proofs that count once, whichever replica they come to.

use crate::bench::{Bench, NOW, later, user};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward_core::id::{ClientId, CredentialId, ServerName};
use doorward_core::oauth::dpop::{self, Header, Nonces, Proven, Request, Thumbprint};
use doorward_core::secret::{AccessToken, AuthorizationCode, PlainToken, RefreshToken, Secret, TokenHash};
use doorward_core::session::Lifetimes;
use doorward_core::time::Timestamp;
use doorward_store::{Gives, Keys, NewGrant, NotRedeemed, PresentedCode, PresentedRefresh, Redeemed, Store, Successors};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
const URL: &str = "https://mcp.acme.example/oauth/token";

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn key() -> EcdsaKeyPair {
    EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key")
}

/// A proof of this key with this id, checked.
fn proof(key: &EcdsaKeyPair, id: &str, now: Timestamp) -> Proven {
    let nonces = Nonces::derive(&Secret::new([1; 32])).expect("keys");
    let point = key.public_key().as_ref();
    let jwk = format!(r#"{{"kty":"EC","crv":"P-256","x":"{}","y":"{}"}}"#, b64(&point[1..33]), b64(&point[33..]));
    let head = format!(r#"{{"typ":"dpop+jwt","alg":"ES256","jwk":{jwk}}}"#);
    let (nonce, iat) = (nonces.current(now), now.as_millis() / 1_000);
    let body = format!(r#"{{"jti":"{id}","htm":"POST","htu":"{URL}","iat":{iat},"nonce":"{nonce}"}}"#);
    let message = format!("{}.{}", b64(head), b64(body));
    let signature = key.sign(&SystemRandom::new(), message.as_bytes()).expect("signed");
    let header = Header::One(format!("{message}.{}", b64(signature)));
    dpop::check(&header, &Request { method: "POST", urls: &[URL], token: None }, &nonces, now).expect("good")
}

fn client() -> ClientId {
    ClientId::new("c").expect("client")
}

fn code(of: u8) -> TokenHash<AuthorizationCode> {
    PlainToken::<AuthorizationCode>::mint(&[of; 32]).hashed()
}

fn refresh(of: u8) -> TokenHash<RefreshToken> {
    PlainToken::<RefreshToken>::mint(&[of; 32]).hashed()
}

fn access(of: u8) -> TokenHash<AccessToken> {
    PlainToken::<AccessToken>::mint(&[of; 32]).hashed()
}

/// A consent of alice with the code of this number, for this key.
async fn allow(store: &Store, of: u8, key: Option<Thumbprint>) {
    let (id, code, alpha) = (CredentialId::new(&format!("grant-{of}")).expect("id"), code(of), ServerName::new("alpha").expect("name"));
    let new = NewGrant {
        id: &id,
        user: &user("alice"),
        client: &client(),
        fingerprint: &[1; 32],
        name: "Client",
        identity: "self-claimed",
        target: "http://127.0.0.1:1",
        server: &alpha,
        granted: &BTreeSet::from(["alpha:read".to_owned()]),
        offered: None,
        expires: None,
        gives: Gives::Code {
            code: &code,
            redirect_uri: "http://127.0.0.1:1/cb",
            named: true,
            challenge: "challenge",
            expires: later(600),
            key,
        },
        once: (&[of; 32], later(600)),
    };
    assert!(store.record_grant(&new, NOW).await.expect("recorded"));
}

async fn redeem(store: &Store, (of, gives): (u8, u8), proof: Option<&Proven>) -> Result<Redeemed, NotRedeemed> {
    let (hash, next) = (code(of), (access(gives), refresh(gives)));
    let uri = Some("http://127.0.0.1:1/cb");
    let presented = PresentedCode { hash: &hash, client: &client(), redirect_uri: uri, challenge: "challenge", server: None, proof };
    let next = Successors { access: &next.0, access_life: HOUR, refresh: &next.1, refresh_life: 24 * HOUR };
    store.redeem_code(&presented, &next, NOW, NOW).await.expect("an answer")
}

async fn renew(store: &Store, which: (u8, u8), proof: Option<&Proven>, keys: Keys) -> Result<Redeemed, NotRedeemed> {
    renew_at(store, which, proof, (keys, NOW)).await
}

async fn renew_at(
    store: &Store,
    (of, gives): (u8, u8),
    proof: Option<&Proven>,
    (keys, now): (Keys, Timestamp),
) -> Result<Redeemed, NotRedeemed> {
    let (hash, next) = (refresh(of), (access(gives), refresh(gives)));
    let presented = PresentedRefresh { hash: &hash, client: &client(), server: None, narrowed: None, proof, keys };
    let next = Successors { access: &next.0, access_life: HOUR, refresh: &next.1, refresh_life: 24 * HOUR };
    store.refresh(&presented, &next, Duration::from_secs(30), now).await.expect("an answer")
}

/// What an access token is bound to, if it counts.
async fn bound(store: &Store, of: u8) -> Option<Option<Thumbprint>> {
    store.access_token(&access(of)).await.expect("an answer").filter(|record| record.revoked.is_none()).map(|record| record.bound)
}

pub(crate) async fn tk_13_a_code_that_was_asked_for_with_a_key_is_redeemed_with_it_alone(bench: &Bench) {
    let (own, other) = (key(), key());
    let thumb = proof(&own, "0", NOW).key();
    allow(&bench.a, 1, Some(thumb)).await;
    assert_eq!(redeem(&bench.a, (1, 1), None).await, Err(NotRedeemed::OtherKey));
    assert_eq!(redeem(&bench.b, (1, 1), Some(&proof(&other, "1", NOW))).await, Err(NotRedeemed::OtherKey));
    let redeemed = redeem(&bench.a, (1, 1), Some(&proof(&own, "2", NOW))).await.expect("neither used it up");
    assert_eq!((redeemed.bound, bound(&bench.b, 1).await), (Some(thumb), Some(Some(thumb))));
    assert_eq!(bench.a.grant(&redeemed.id).await.expect("an answer").expect("a grant").bound, Some(thumb));
    // Without one it is for whoever redeems it, and bound to their key from then on.
    allow(&bench.a, 2, None).await;
    assert_eq!(
        redeem(&bench.a, (2, 2), Some(&proof(&other, "3", NOW))).await.expect("redeemed").bound,
        Some(proof(&other, "x", NOW).key())
    );
    allow(&bench.a, 3, None).await;
    assert_eq!(redeem(&bench.a, (3, 3), None).await.expect("redeemed").bound, None);
}

pub(crate) async fn tk_13_a_bound_consent_goes_on_with_its_key_and_others_end_nothing(bench: &Bench) {
    let (own, other) = (key(), key());
    allow(&bench.a, 1, None).await;
    let thumb = redeem(&bench.a, (1, 1), Some(&proof(&own, "0", NOW))).await.expect("redeemed").bound;
    assert_eq!(renew(&bench.b, (1, 2), None, Keys::Same).await, Err(NotRedeemed::Unproven));
    assert_eq!(renew(&bench.b, (1, 2), None, Keys::Any).await, Err(NotRedeemed::Unproven), "bound stays bound");
    assert_eq!(renew(&bench.b, (1, 2), Some(&proof(&other, "1", NOW)), Keys::Same).await, Err(NotRedeemed::OtherKey));
    let used = proof(&own, "2", NOW);
    assert_eq!(renew(&bench.a, (1, 2), Some(&used), Keys::Same).await.expect("refreshed").bound, thumb);
    // The same once more is the same pair, for the same key and a proof of its own.
    assert_eq!(renew(&bench.a, (1, 2), Some(&used), Keys::Same).await, Err(NotRedeemed::ReplayedProof));
    assert!(renew(&bench.a, (1, 2), Some(&proof(&own, "3", NOW)), Keys::Same).await.expect("again").again);
    assert_eq!(renew(&bench.a, (1, 2), Some(&proof(&other, "4", NOW)), Keys::Any).await, Err(NotRedeemed::OtherKey));
    assert!(bound(&bench.a, 1).await.is_some() && bound(&bench.a, 2).await.is_some(), "nobody ended anything");
    // A client that has proved itself may have another key.
    let renewed = renew(&bench.a, (2, 3), Some(&proof(&other, "5", NOW)), Keys::Any).await.expect("refreshed");
    assert!(renewed.bound.is_some() && renewed.bound != thumb);
}

pub(crate) async fn tk_13_what_becomes_bound_leaves_nothing_unbound_behind(bench: &Bench) {
    allow(&bench.a, 1, None).await;
    redeem(&bench.a, (1, 1), None).await.expect("redeemed");
    let epoch = bench.a.epoch().await.expect("epoch");
    let own = key();
    // Whoever has the token of a public client alone binds nothing to a key of their own.
    assert_eq!(renew(&bench.b, (1, 9), Some(&proof(&own, "thief", NOW)), Keys::Same).await, Err(NotRedeemed::OtherKey));
    assert_eq!(bound(&bench.a, 1).await, Some(None), "and takes nothing away");
    let renewed = renew(&bench.b, (1, 2), Some(&proof(&own, "0", NOW)), Keys::Any).await.expect("refreshed");
    assert!(renewed.bound.is_some());
    assert_eq!((bound(&bench.a, 1).await, bound(&bench.a, 2).await), (None, Some(renewed.bound)));
    assert!(bench.a.epoch().await.expect("epoch") > epoch, "everybody hears of it");
    assert_eq!(renew(&bench.a, (2, 3), None, Keys::Same).await, Err(NotRedeemed::Unproven));
}

pub(crate) async fn tk_13_a_proof_hides_no_theft_of_a_refresh_token(bench: &Bench) {
    allow(&bench.a, 1, None).await;
    redeem(&bench.a, (1, 1), None).await.expect("redeemed");
    renew(&bench.a, (1, 2), None, Keys::Same).await.expect("refreshed");
    // A used one comes again, with a proof: the line ends, as without.
    let own = key();
    let late = later(120);
    let again = renew_at(&bench.b, (1, 3), Some(&proof(&own, "0", late)), (Keys::Same, late)).await;
    assert!(matches!(again, Err(NotRedeemed::Replayed(_))), "{again:?}");
    assert_eq!(bound(&bench.a, 2).await, None);
}

pub(crate) async fn tk_13_a_proof_is_used_up_by_one_of_fifty(bench: &Bench) {
    let own = Arc::new(key());
    for round in 0..10_u8 {
        let shared = Arc::new(proof(&own, &format!("round {round}"), NOW));
        let won = bench
            .race(|store, _| {
                let proof = Arc::clone(&shared);
                async move {
                    let (name, until) = proof.once();
                    store.consume_once(dpop::ONCE, name, until, NOW).await.expect("an answer")
                }
            })
            .await;
        assert_eq!(won.into_iter().filter(|won| *won).count(), 1, "round {round}");
        // And what was shown at a server gives nothing at the token endpoint, whose code it leaves as it was.
        allow(&bench.a, round, None).await;
        assert_eq!(redeem(&bench.b, (round, 100 + round), Some(&shared)).await, Err(NotRedeemed::ReplayedProof));
        let fresh = proof(&own, &format!("fresh {round}"), NOW);
        assert!(redeem(&bench.a, (round, 100 + round), Some(&fresh)).await.is_ok(), "round {round}");
    }
}

pub(crate) async fn tk_13_used_proofs_are_swept_when_no_clock_takes_them_any_more(bench: &Bench) {
    let own = key();
    let shown = proof(&own, "0", NOW);
    let (name, until) = shown.once();
    assert!(bench.a.consume_once(dpop::ONCE, name, until, NOW).await.expect("an answer"));
    assert!(bench.a.consume_once("another", name, until, NOW).await.expect("an answer"), "kinds have nothing in common");
    let lives = Lifetimes { idle: HOUR, absolute: HOUR };
    assert_eq!(bench.a.sweep(later(1_800), lives).await.expect("swept").consumed, 0);
    assert!(!bench.b.consume_once(dpop::ONCE, name, until, NOW).await.expect("an answer"), "for a clock that is behind");
    assert_eq!(bench.a.sweep(later(1_900), lives).await.expect("swept").consumed, 1, "the other kind stays");
}
