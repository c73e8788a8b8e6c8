//! TK-13: everything that can be wrong with a proof, each for its own reason; and what a good one shows.

use super::*;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair,
};
use serde_json::{Value, json};
use std::sync::LazyLock;

const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_500);
const AT: u64 = 1_795_000_000;
const URL: &str = "https://mcp.acme.example/s/alpha/mcp";
const TOKEN: [u8; 32] = [7; 32];

static EC: LazyLock<EcdsaKeyPair> = LazyLock::new(|| EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key"));
static RSA: LazyLock<RsaKeyPair> = LazyLock::new(|| RsaKeyPair::generate(KeySize::Rsa2048).expect("a key"));

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn nonces(of: u8) -> Nonces {
    Nonces::derive(&Secret::new([of; 32])).expect("keys")
}

fn ec_jwk(key: &EcdsaKeyPair) -> Value {
    let point = key.public_key().as_ref();
    json!({"kty": "EC", "crv": "P-256", "x": b64(&point[1..33]), "y": b64(&point[33..])})
}

fn rsa_jwk() -> Value {
    let der = RSA.public_key().as_ref();
    // RSAPublicKey of 2,048 bits and 65537: fixed places (RFC 8017 appendix A.1.1).
    json!({"kty": "RSA", "n": b64(&der[9..265]), "e": b64(&der[267..])})
}

fn with_ec(message: &str) -> Vec<u8> {
    EC.sign(&SystemRandom::new(), message.as_bytes()).expect("signed").as_ref().to_vec()
}

fn proof(header: &Value, claims: &Value, sign: impl Fn(&str) -> Vec<u8>) -> String {
    let message = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
    format!("{message}.{}", b64(sign(&message)))
}

fn header() -> Value {
    json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": ec_jwk(&EC)})
}

fn claims() -> Value {
    json!({"jti": "a", "htm": "POST", "htu": URL, "iat": AT, "ath": b64(TOKEN), "nonce": nonces(1).current(NOW)})
}

fn with(mut object: Value, name: &str, value: Value) -> Value {
    object[name] = value;
    object
}

fn without(mut object: Value, name: &str) -> Value {
    object.as_object_mut().expect("an object").remove(name);
    object
}

fn at(text: &str, now: Timestamp) -> Result<Proven, BadProof> {
    let request = Request { method: "POST", urls: &[URL], token: Some(&TOKEN) };
    check(&Header::One(text.to_owned()), &request, &nonces(1), now)
}

fn of(header: &Value, claims: &Value) -> Result<Proven, BadProof> {
    at(&proof(header, claims, with_ec), NOW)
}

fn why(result: Result<Proven, BadProof>) -> BadProof {
    result.expect_err("refused")
}

#[test]
fn tk_13_the_example_of_the_standard_is_of_its_key() {
    // RFC 9449 sections 4.2 and 6.1.
    let text = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdC\
                RnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRt\
                IjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwn\
                Qg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg";
    let (key, claims) = signed(text).expect("the example");
    assert_eq!(key.to_string(), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
    assert_eq!(claims.member("htm").expect("htm").as_text().as_deref(), Some("POST"));
    assert_eq!(Thumbprint::parse(&key.to_string()), Some(key));
    // RFC 7638 section 3.1.
    let jwk = json!({"kty": "RSA", "e": "AQAB", "alg": "RS256", "kid": "2011-04-29",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"});
    let key = Key::read(&RawJson::of(&jwk), crate::oidc::keys::Usage::Signatures).expect("a key");
    assert_eq!(b64(key.thumbprint()), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}

#[test]
fn tk_13_a_good_proof_counts_once_for_its_key_and_token() {
    let proven = of(&header(), &claims()).expect("good");
    assert_eq!(proven.once().1, Timestamp::from_millis((AT + 61) * 1_000), "as long as it could be shown again");
    let (key, name) = (proven.key(), *proven.once().0);
    let possession = proven.used_up(Used::Never).expect("the first");
    assert!(possession.is_of(&key, &TOKEN));
    let another = || of(&header(), &claims()).expect("good").used_up(Used::Never).expect("the first");
    assert!(!another().is_of(&key, &[8; 32]) && !another().is_of(&Thumbprint([0; 32]), &TOKEN));
    let again = of(&header(), &claims()).expect("good");
    assert_eq!(*again.once().0, name, "the same proof has the same name");
    assert_eq!(again.used_up(Used::Before).expect_err("used"), BadProof::Replayed);
    // Of another key, or with another id, it is another.
    let other = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
    let theirs = proof(&with(header(), "jwk", ec_jwk(&other)), &claims(), |message| {
        other.sign(&SystemRandom::new(), message.as_bytes()).expect("signed").as_ref().to_vec()
    });
    let theirs = at(&theirs, NOW).expect("good");
    assert!(*theirs.once().0 != name && theirs.key() != key);
    assert_ne!(*of(&header(), &with(claims(), "jti", json!("b"))).expect("good").once().0, name);
    // What was held against no token opens no server.
    let request = Request { method: "POST", urls: &[URL], token: None };
    let unheld = check(&Header::One(proof(&header(), &claims(), with_ec)), &request, &nonces(1), NOW).expect("good");
    assert_eq!(unheld.used_up(Used::Never).expect_err("no token"), BadProof::Token);
}

#[test]
fn tk_13_each_algorithm_of_the_list_counts_with_its_own_keys_and_no_other_does() {
    let rsa = |padding: &'static dyn aws_lc_rs::signature::RsaEncoding| {
        move |message: &str| {
            let mut signature = vec![0; RSA.public_modulus_len()];
            RSA.sign(padding, &SystemRandom::new(), message.as_bytes(), &mut signature).expect("signed");
            signature
        }
    };
    let rs = |alg: &str| json!({"typ": "dpop+jwt", "alg": alg, "jwk": rsa_jwk()});
    assert!(at(&proof(&rs("RS256"), &claims(), rsa(&RSA_PKCS1_SHA256)), NOW).is_ok());
    assert!(at(&proof(&rs("PS256"), &claims(), rsa(&RSA_PSS_SHA256)), NOW).is_ok());
    let ed = Ed25519KeyPair::generate().expect("a key");
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": b64(ed.public_key().as_ref())});
    let header_of = json!({"typ": "dpop+jwt", "alg": "EdDSA", "jwk": jwk});
    assert!(at(&proof(&header_of, &claims(), |message| ed.sign(message.as_bytes()).as_ref().to_vec()), NOW).is_ok());
    // A key of one kind under the name of another.
    assert_eq!(why(at(&proof(&rs("ES256"), &claims(), rsa(&RSA_PKCS1_SHA256)), NOW)), BadProof::Key);
    assert_eq!(why(of(&with(header(), "alg", json!("RS256")), &claims())), BadProof::Key);
    assert_eq!(why(at(&proof(&rs("PS256"), &claims(), rsa(&RSA_PKCS1_SHA256)), NOW)), BadProof::Signature);
    for alg in ["none", "None", "HS256", "HS512", "ES384", "RS512", "RS1", "es256", ""] {
        assert_eq!(why(of(&with(header(), "alg", json!(alg)), &claims())), BadProof::Algorithm, "{alg}");
        let message = format!("{}.{}", b64(with(header(), "alg", json!(alg)).to_string()), b64(claims().to_string()));
        assert_eq!(why(at(&format!("{message}."), NOW)), BadProof::Algorithm, "{alg}");
    }
    // The public key as a shared secret.
    let key = hmac::Key::new(hmac::HMAC_SHA256, ec_jwk(&EC).to_string().as_bytes());
    let forged = proof(&with(header(), "alg", json!("HS256")), &claims(), |message| hmac::sign(&key, message.as_bytes()).as_ref().to_vec());
    assert_eq!(why(at(&forged, NOW)), BadProof::Algorithm);
    assert_eq!(ALGS.map(Alg::as_str).join(" "), ALG_NAMES);
}

#[test]
fn tk_13_a_header_that_is_more_or_less_than_one_of_a_proof_is_refused() {
    let jwk = |name: &str, value: Value| with(header(), "jwk", with(ec_jwk(&EC), name, value));
    for (bad, wanted) in [
        (without(header(), "typ"), BadProof::Kind),
        (with(header(), "typ", json!("JWT")), BadProof::Kind),
        (with(header(), "typ", json!("at+jwt")), BadProof::Kind),
        (with(header(), "typ", json!(5)), BadProof::Kind),
        (without(header(), "alg"), BadProof::Algorithm),
        (without(header(), "jwk"), BadProof::Key),
        (with(header(), "jwk", json!("key")), BadProof::Key),
        (with(header(), "jwk", json!({})), BadProof::Key),
        (with(without(header(), "jwk"), "kid", json!("one")), BadProof::Key),
        (with(without(header(), "jwk"), "jku", json!("https://evil.test/jwks")), BadProof::Key),
        (with(without(header(), "jwk"), "x5u", json!("https://evil.test/x5u")), BadProof::Key),
        (jwk("kty", json!("oct")), BadProof::Key),
        (jwk("kty", json!("AKP")), BadProof::Key),
        (jwk("crv", json!("secp256k1")), BadProof::Key),
        (jwk("use", json!("enc")), BadProof::Key),
        (jwk("alg", json!("ES384")), BadProof::Key),
        (jwk("d", json!("AAAA")), BadProof::Private),
        (jwk("k", json!("AAAA")), BadProof::Private),
        (jwk("oth", json!([])), BadProof::Private),
        // Not on the curve.
        (jwk("x", json!(b64([9; 32]))), BadProof::Signature),
        (with(header(), "crit", json!(["x"])), BadProof::Extension),
        (with(header(), "b64", json!(false)), BadProof::Extension),
        (with(header(), "zip", json!("DEF")), BadProof::Extension),
    ] {
        assert_eq!(why(of(&bad, &claims())), wanted, "{bad}");
    }
    // A key of 1,024 bits is none.
    let small = json!({"kty": "RSA", "n": b64([0xff; 128]), "e": "AQAB"});
    assert_eq!(why(of(&json!({"typ": "dpop+jwt", "alg": "RS256", "jwk": small}), &claims())), BadProof::Key);
}

#[test]
fn tk_13_claims_are_of_this_request_and_of_now() {
    for (bad, wanted) in [
        (with(claims(), "htm", json!("GET")), BadProof::Method),
        (with(claims(), "htm", json!("post")), BadProof::Method),
        (without(claims(), "htm"), BadProof::Method),
        (without(claims(), "htu"), BadProof::Address),
        (without(claims(), "iat"), BadProof::Time),
        (with(claims(), "iat", json!(AT.to_string())), BadProof::Time),
        (with(claims(), "iat", json!(-1)), BadProof::Time),
        (with(claims(), "iat", json!(AT - 61)), BadProof::Stale),
        (with(claims(), "iat", json!(AT + 61)), BadProof::Stale),
        (with(claims(), "iat", json!(AT - 300)), BadProof::Stale),
        (with(claims(), "iat", json!(AT + 300)), BadProof::Stale),
        (with(claims(), "iat", json!(AT * 1_000)), BadProof::Time),
        (without(claims(), "jti"), BadProof::Id),
        (with(claims(), "jti", json!("")), BadProof::Id),
        (with(claims(), "jti", json!("x".repeat(256))), BadProof::Id),
        (with(claims(), "jti", json!(5)), BadProof::Id),
        (without(claims(), "ath"), BadProof::Token),
        (with(claims(), "ath", json!(b64([8; 32]))), BadProof::Token),
        (with(claims(), "ath", json!(format!("{}=", b64(TOKEN)))), BadProof::Token),
        (without(claims(), "nonce"), BadProof::Nonce),
        (with(claims(), "nonce", json!("")), BadProof::Nonce),
        (with(claims(), "nonce", json!(nonces(2).current(NOW))), BadProof::Nonce),
    ] {
        assert_eq!(why(of(&header(), &bad)), wanted, "{bad}");
    }
    for made in [AT - 60, AT + 60] {
        assert!(of(&header(), &with(claims(), "iat", json!(made))).is_ok(), "{made}");
    }
}

#[test]
fn tk_13_an_address_is_compared_in_its_normal_form_and_whole() {
    let is = |htu: &str| of(&header(), &with(claims(), "htu", json!(htu))).map(|_| ());
    for same in [URL, "HTTPS://MCP.acme.example/s/alpha/mcp", "https://mcp.acme.example:443/s/alpha/mcp"] {
        assert_eq!(is(same), Ok(()), "{same}");
    }
    for other in [
        "",
        "/s/alpha/mcp",
        "http://mcp.acme.example/s/alpha/mcp",
        "https://mcp.acme.example:8443/s/alpha/mcp",
        "https://mcp.acme.example/s/beta/mcp",
        "https://mcp.acme.example/s/alpha/mcp/",
        "https://mcp.acme.example/s/Alpha/mcp",
        "https://mcp.acme.example/s/alpha",
        "https://mcp.acme.example/s/alpha/mcp?",
        "https://mcp.acme.example/s/alpha/mcp?a=b",
        "https://mcp.acme.example/s/alpha/mcp#",
        "https://evil.test/s/alpha/mcp",
        "https://mcp.acme.example@evil.test/s/alpha/mcp",
        "https://evil.test\\@mcp.acme.example/s/alpha/mcp",
        "https:\\\\mcp.acme.example\\s\\alpha\\mcp",
        " https://mcp.acme.example/s/alpha/mcp",
        "https://mcp.acme.example/s/al\tpha/mcp",
        "https://mcp.acme.example/s/alpha/mcp\n",
        "https://mcp.acme.example/s/%61lpha/mcp",
        "javascript:alert(1)",
        // Found by the fuzzer: parsers of URLs mend these.
        "https:/mcp.acme.example/s/alpha/mcp",
        "https:mcp.acme.example/s/alpha/mcp",
        "https:///mcp.acme.example/s/alpha/mcp",
    ] {
        assert_eq!(is(other), Err(BadProof::Address), "{other}");
    }
    assert_eq!(is(&format!("{URL}/{}", "a".repeat(3_000))), Err(BadProof::Address));
}

#[test]
fn tk_13_a_nonce_counts_for_five_minutes_and_the_five_after_them() {
    let start = Timestamp::from_millis(NOW.as_millis() / 300_000 * 300_000);
    let nonce = nonces(1).current(start);
    let later = |s: u64| start.after(Duration::from_secs(s));
    assert!([0, 299, 300, 599].into_iter().all(|s| nonces(1).takes(&nonce, later(s))));
    assert!(!nonces(1).takes(&nonce, later(600)));
    assert_ne!(nonces(1).current(later(300)), nonce);
    assert!(nonces(1).takes(&nonces(1).current(later(300)), later(296)), "of a replica whose clock is ahead");
    assert!(!nonces(1).takes(&nonces(1).current(later(300)), later(290)));
    assert!(!nonces(2).takes(&nonce, start), "of another installation");
}

#[test]
fn tk_13_what_is_no_compact_token_is_refused_unread() {
    let good = proof(&header(), &claims(), with_ec);
    let (message, signature) = good.rsplit_once('.').expect("three parts");
    let (head, body) = message.split_once('.').expect("two parts");
    let json_form = json!({"protected": head, "payload": body, "signature": signature}).to_string();
    let other = b64(with(claims(), "jti", json!("b")).to_string());
    for (bad, wanted) in [
        (String::new(), BadProof::Form),
        (message.to_owned(), BadProof::Form),
        (format!("{good}.x"), BadProof::Form),
        (format!("{good}, {good}"), BadProof::Form),
        (format!("{good}="), BadProof::Form),
        (json_form, BadProof::Form),
        (format!("{}.{body}.{signature}", b64("[]")), BadProof::Form),
        (format!("{}.{body}.{signature}", b64(r#"{"typ":"dpop+jwt","typ":"dpop+jwt"}"#)), BadProof::Form),
        (format!("{head}.{other}.{signature}"), BadProof::Signature),
        (format!("{message}.AAAA"), BadProof::Signature),
    ] {
        assert_eq!(why(at(&bad, NOW)), wanted, "{bad:.60}");
    }
    // Twice the same member, rightly signed.
    let twice = format!(r#"{{"jti":"a","jti":"b",{}"#, claims().to_string().trim_start_matches('{'));
    let message = format!("{head}.{}", b64(twice));
    assert_eq!(why(at(&format!("{message}.{}", b64(with_ec(&message))), NOW)), BadProof::Form);
}

#[test]
fn tk_13_one_header_of_bounded_length_and_it_is_taken_out() {
    let mut headers = HeaderMap::new();
    assert!(Header::take(&mut headers).is_absent());
    headers.append(HEADER, "a.b.c".parse().expect("a value"));
    assert!(matches!(Header::of(&headers), Header::One(text) if text == "a.b.c"));
    headers.append(HEADER, "a.b.c".parse().expect("a value"));
    assert!(matches!(Header::take(&mut headers), Header::Several) && headers.is_empty());
    headers.append(HEADER, "x".repeat(LONGEST + 1).parse().expect("a value"));
    assert!(matches!(Header::take(&mut headers), Header::Unfit));
    headers.append(HEADER, http::HeaderValue::from_bytes(b"\xff").expect("a value"));
    let found = Header::take(&mut headers);
    assert!(matches!(found, Header::Unfit) && format!("{:?}", Header::One("a.b.c".to_owned())) == "One(..)");
    let request = Request { method: "POST", urls: &[URL], token: None };
    for (header, wanted) in [(Header::Absent, BadProof::Missing), (Header::Several, BadProof::Several), (Header::Unfit, BadProof::Form)] {
        assert_eq!(check(&header, &request, &nonces(1), NOW).expect_err("refused"), wanted);
    }
}

#[test]
fn tk_13_a_thumbprint_has_one_spelling() {
    let text = Thumbprint([0xfb; 32]).to_string();
    assert_eq!(Thumbprint::parse(&text), Some(Thumbprint([0xfb; 32])));
    let other_bits = format!("{}t", text.get(..42).expect("43 characters"));
    for bad in ["", "AAAA", &format!("{text}="), &format!(" {text}"), &other_bits, &"-".repeat(44)] {
        assert_eq!(Thumbprint::parse(bad), None, "{bad}");
    }
}

#[test]
fn what_is_told_of_a_bad_proof_fits_into_a_header() {
    use BadProof::{
        Address, Algorithm, Extension, Form, Id, Key, Kind, Method, Missing, Nonce, OtherKey, Private, Replayed, Several, Signature, Stale,
        Time, Token,
    };
    for bad in [
        Missing, Several, Form, Extension, Kind, Algorithm, Key, Private, Signature, Method, Address, Time, Stale, Id, Token, OtherKey,
        Nonce, Replayed,
    ] {
        assert!(bad.description().bytes().all(|byte| (byte.is_ascii_graphic() || byte == b' ') && byte != b'"' && byte != b'\\'));
        assert!(bad.reason().starts_with("dpop_"));
    }
    assert_eq!((Nonce.code(), OtherKey.code(), Replayed.code()), ("use_dpop_nonce", "invalid_token", "invalid_dpop_proof"));
}
