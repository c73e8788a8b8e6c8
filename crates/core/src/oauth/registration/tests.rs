//! Attacks REG-01, REG-02 and REG-04 on the registration and on the ids that come out of it.

use super::*;
use crate::oauth::redirect::check;

const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);

fn keys(byte: u8) -> RegistrationKeys {
    RegistrationKeys::derive(&Secret::new([byte; 32])).expect("keys")
}

fn parse(body: &str) -> Result<Request, Refused> {
    Request::parse(&Bytes::copy_from_slice(body.as_bytes()), &Schemes::default())
}

fn registered(keys: &RegistrationKeys, body: &str, random: u8) -> Registration {
    keys.register(parse(body).expect(body), [random; RANDOM]).expect(body)
}

const NATIVE: &str = r#"{"client_name":"N","redirect_uris":["http://127.0.0.1/cb"],"token_endpoint_auth_method":"none"}"#;

#[test]
fn reg_01_dangerous_redirect_uris_are_refused_with_their_own_error() {
    let many = format!("[{}]", vec![r#""http://127.0.0.1/cb""#; 500].join(","));
    let long = format!(r#"["https://good.test/{}"]"#, "a".repeat(64 * 1024));
    for uris in [
        r#"["javascript:alert(1)"]"#,
        r#"["data:text/html,x"]"#,
        r#"["http://evil.test/cb"]"#,
        r#"["https://evil.test/cb#f"]"#,
        r#"["https://user:pw@good.test/cb"]"#,
        r#"["https://good.test/../cb"]"#,
        r#"["//evil.test/cb"]"#,
        r#"["https://good.test\\@evil.test/"]"#,
        r#"["vscode://x"]"#,
        r#"["file:///etc/passwd"]"#,
        r#"["http://localhost.evil.test/cb"]"#,
        r#"["http://127.0.0.1.evil.test/cb"]"#,
        r#"["https://*.good.test/cb"]"#,
        r#"["http://127.0.0.1/cb","javascript:alert(1)"]"#,
        r#"["http://127.0.0.1/cb\u0000"]"#,
        "[]",
        "[1]",
        "[null]",
        r#""http://127.0.0.1/cb""#,
        "{}",
        "null",
        &many,
        &long,
    ] {
        let refused = parse(&format!(r#"{{"redirect_uris":{uris}}}"#)).expect_err(uris);
        assert_eq!(refused.code(), "invalid_redirect_uri", "{uris}");
        assert!(!refused.to_string().contains("evil"), "the answer repeats nothing");
    }
    assert_eq!(parse("{}").expect_err("none").code(), "invalid_redirect_uri");
    assert!(parse(r#"{"redirect_uris":["http://[::1]/cb"]}"#).is_ok());
    let allowed = Schemes::new(vec!["vscode".to_owned()]).expect("scheme");
    assert!(Request::parse(&Bytes::from_static(br#"{"redirect_uris":["vscode://x"]}"#), &allowed).is_ok());
}

#[test]
fn az_07_a_web_application_is_not_on_this_computer() {
    for uri in ["http://127.0.0.1/cb", "http://localhost:1/cb", "https://127.0.0.1/cb"] {
        let body = format!(r#"{{"application_type":"web","redirect_uris":["{uri}"]}}"#);
        assert_eq!(parse(&body).expect_err(uri).code(), "invalid_redirect_uri");
    }
    assert!(parse(r#"{"application_type":"web","redirect_uris":["https://good.test/cb"]}"#).is_ok());
    assert!(parse(r#"{"application_type":"native","redirect_uris":["https://good.test/cb","http://[::1]/"]}"#).is_ok());
    assert_eq!(
        parse(r#"{"application_type":"x","redirect_uris":["https://good.test/cb"]}"#).expect_err("x").code(),
        "invalid_client_metadata"
    );
}

#[test]
fn reg_02_what_could_become_active_content_is_refused() {
    let with = |member: &str| parse(&format!(r#"{{"redirect_uris":["http://127.0.0.1/cb"],{member}}}"#));
    for member in ["client_uri", "logo_uri", "tos_uri", "policy_uri", "jwks_uri", "client_uri#de", "logo_uri#x-y"] {
        for bad in [
            "javascript:alert(1)",
            "JAVASCRIPT:alert(1)",
            "data:text/html,x",
            "data:image/svg+xml;base64,x",
            "vbscript:x",
            "//x",
            "x",
            " https://x",
            "https://",
            "https://x y",
            "https://x\\u0022onload=x",
            "https://x\\n",
            "file:///x",
        ] {
            let refused = with(&format!(r#""{member}":"{bad}""#)).expect_err(bad);
            assert_eq!(refused.code(), "invalid_client_metadata", "{member} {bad}");
        }
        assert!(with(&format!(r#""{member}":["https://good.test"]"#)).is_err());
        assert!(with(&format!(r#""{member}":"https://good.test/logo.png?x=1""#)).is_ok());
    }
    let long = format!(r#""client_name":"{}""#, "a".repeat(10 * 1024));
    for bad in [r#""client_name":1"#, r#""client_name":["x"]"#, &long] {
        assert_eq!(with(bad).expect_err(bad).code(), "invalid_client_metadata");
    }
}

#[test]
fn reg_02_a_name_is_kept_as_the_raw_claim_that_it_is() {
    let name = "<img src=x onerror=alert(1)>\u{202e}\"";
    let body = serde_json::json!({"client_name": name, "redirect_uris": ["http://127.0.0.1/cb"]}).to_string();
    let made = registered(&keys(1), &body, 1);
    assert_eq!(made.client().name(), name);
    let id = made.client().id().as_str();
    assert!(id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')), "an id is never markup: {id}");
    assert_eq!(keys(1).open(id, &Schemes::default()).expect("own").name(), name);
}

#[test]
fn reg_02_bodies_with_two_meanings_are_refused() {
    for bad in [
        "",
        "[]",
        "null",
        "\"x\"",
        "{",
        "{} {}",
        r#"{"redirect_uris":["http://127.0.0.1/cb"],"redirect_uris":["https://evil.test/"]}"#,
        r#"{"redirect_uris":["http://127.0.0.1/cb"],"redirect\u005furis":["https://evil.test/"]}"#,
    ] {
        assert_eq!(parse(bad).expect_err(bad), Refused::NotJson, "{bad}");
    }
    let deep = format!(r#"{{"redirect_uris":["http://127.0.0.1/cb"],"x":{}}}"#, "[".repeat(10_000));
    assert_eq!(parse(&deep).expect_err("deep"), Refused::NotJson);
    let not_utf8 = Bytes::from_static(b"{\"client_name\":\"\xff\",\"redirect_uris\":[\"http://127.0.0.1/cb\"]}");
    assert!(Request::parse(&not_utf8, &Schemes::default()).is_err());
    let large = Bytes::from(vec![b' '; MAX_BODY + 1]);
    assert_eq!(Request::parse(&large, &Schemes::default()).expect_err("large"), Refused::TooLong);
}

#[test]
fn reg_01_what_real_clients_send_registers() {
    let real = [
        r#"{"client_name":"Codex","application_type":"native","redirect_uris":["http://127.0.0.1:43123/callback"],
            "grant_types":["authorization_code","refresh_token"],"response_types":["code"],"token_endpoint_auth_method":"none","scope":"a:read offline_access"}"#,
        r#"{"client_name":"Gemini CLI MCP Client","redirect_uris":["http://localhost:7777/oauth/callback"],
            "grant_types":["authorization_code","refresh_token"],"response_types":["code"],"token_endpoint_auth_method":"none","scope":""}"#,
        r#"{"client_name":"Claude","redirect_uris":["https://claude.ai/api/mcp/auth_callback"],"token_endpoint_auth_methods_supported":["none"]}"#,
        r#"{"client_name":"x","client_name#ja-Jpan-JP":"y","redirect_uris":["http://127.0.0.1:1"],"software_id":"4","software_version":"1",
            "contacts":["a@b"],"unknown":{"a":[1]},"client_uri":null,"client_id":"admin","client_secret":"chosen",
            "grant_types":["authorization_code","urn:ietf:params:oauth:grant-type:device_code"],"response_types":["code","id_token"]}"#,
    ];
    let keys = keys(1);
    for body in real {
        let made = registered(&keys, body, 3);
        let answer = made.answer(NOW);
        assert_eq!(answer["client_id"], made.client().id().as_str());
        assert!(made.client().id().as_str().starts_with(PREFIX), "an id of ours, whatever was asked");
        assert_eq!(answer["client_id_issued_at"], 1_795_000_000);
        // The device grant is in the answer and in the id of whoever named it, and nowhere else.
        let is_named = body.contains("device_code");
        let devices = [device::GRANT_TYPE].into_iter().filter(|_| is_named);
        let grants: Vec<&str> = ["authorization_code", "refresh_token"].into_iter().chain(devices).collect();
        assert_eq!(answer["grant_types"], serde_json::json!(grants));
        let opened = keys.open(made.client().id().as_str(), &Schemes::default()).expect("opened");
        assert_eq!(opened.devices() == Devices::Named, is_named);
        let without = Request::parse(&Bytes::copy_from_slice(body.as_bytes()), &Schemes::default()).expect("request").without_devices();
        assert_eq!(keys.register(without, [4; RANDOM]).expect("registered").client().devices(), Devices::Unnamed);
        assert_ne!(answer["client_secret"], "chosen");
    }
    for bad in [
        r#"{"redirect_uris":["http://127.0.0.1/"],"grant_types":["client_credentials"]}"#,
        r#"{"redirect_uris":["http://127.0.0.1/"],"response_types":["token"]}"#,
        r#"{"redirect_uris":["http://127.0.0.1/"],"token_endpoint_auth_method":"client_secret_jwt"}"#,
        r#"{"redirect_uris":["http://127.0.0.1/"],"token_endpoint_auth_method":"private_key_jwt"}"#,
        r#"{"redirect_uris":["http://127.0.0.1/"],"token_endpoint_auth_method":7}"#,
    ] {
        assert_eq!(parse(bad).expect_err(bad).code(), "invalid_client_metadata", "{bad}");
    }
}

#[test]
fn reg_03_an_id_holds_its_registration_and_is_never_the_same_twice() {
    let keys = keys(1);
    let (one, two) = (registered(&keys, NATIVE, 1), registered(&keys, NATIVE, 2));
    assert_ne!(one.client().id(), two.client().id());
    assert_eq!(one.client().fingerprint(), two.client().fingerprint());
    let again = keys.open(one.client().id().as_str(), &Schemes::default()).expect("own");
    assert_eq!(again.redirects(), one.client().redirects());
    assert_eq!(again.fingerprint(), one.client().fingerprint());
    assert_eq!(*again.identity(), Identity::SelfClaimed);
    assert!(check(&again, Some("http://127.0.0.1:9/cb")).is_ok());
    let long = format!(r#"{{"redirect_uris":["https://good.test/{}"]}}"#, "a".repeat(900));
    assert_eq!(keys.register(parse(&long).expect("a URI"), [0; RANDOM]).expect_err("long").code(), "invalid_client_metadata");
    let fitting = format!(r#"{{"redirect_uris":["https://good.test/{}"]}}"#, "a".repeat(650));
    assert!(registered(&keys, &fitting, 1).client().id().as_str().len() <= MAX_ID);
}

#[test]
fn reg_01_no_id_but_one_made_here_is_a_client() {
    let keys = keys(1);
    let made = registered(&keys, NATIVE, 1);
    let id = made.client().id().as_str();
    for at in 0..id.len() {
        let mut bytes = id.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).expect("ascii");
        assert!(keys.open(&changed, &Schemes::default()).is_err(), "at {at}");
    }
    let cut = id.get(..id.len() - 1).expect("ASCII");
    let forged = {
        let metadata = br#"{"n":"N","r":["https://evil.test/cb"],"a":"n"}"#;
        format!("dwc_{}", URL_SAFE_NO_PAD.encode([&[VERSION], [1; RANDOM].as_slice(), metadata.as_slice(), &[0; TAG]].concat()))
    };
    for bad in
        ["", "dwc_", "dwc_AA", "dwc_====", cut, &format!("{id}="), &format!("{id} "), &id.to_uppercase(), &forged, &"dwc_A".repeat(300)]
    {
        assert_eq!(keys.open(bad, &Schemes::default()).expect_err(bad), NotRegistered);
    }
    assert!(self::keys(2).open(id, &Schemes::default()).is_err(), "another installation");
}

#[test]
fn reg_01_a_scheme_that_is_not_allowed_any_more_is_gone() {
    let allowed = Schemes::new(vec!["cursor".to_owned()]).expect("scheme");
    let body = Bytes::from_static(br#"{"redirect_uris":["cursor://x/cb","http://127.0.0.1/cb"]}"#);
    let made = keys(1).register(Request::parse(&body, &allowed).expect("allowed"), [1; RANDOM]).expect("made");
    let id = made.client().id().as_str();
    assert_eq!(keys(1).open(id, &allowed).expect("own").redirects().len(), 2);
    let today = keys(1).open(id, &Schemes::default()).expect("own");
    assert!(check(&today, Some("cursor://x/cb")).is_err());
    assert!(check(&today, Some("http://127.0.0.1:5/cb")).is_ok());
}

#[test]
fn reg_04_a_secret_belongs_to_one_id_and_one_way_to_send_it() {
    let keys = keys(1);
    let body = |method: &str| format!(r#"{{"redirect_uris":["https://good.test/cb"],"token_endpoint_auth_method":"{method}"}}"#);
    let secret = |made: &Registration| made.answer(NOW)["client_secret"].as_str().map(str::to_owned);
    let (basic, other) = (registered(&keys, &body("client_secret_basic"), 1), registered(&keys, &body("client_secret_basic"), 2));
    let text = secret(&basic).expect("a secret");
    assert_eq!(basic.answer(NOW)["client_secret_expires_at"], 0);
    assert!(text.starts_with("dwcs_") && Some(&text) != secret(&other).as_ref());
    let again = keys.open(basic.client().id().as_str(), &Schemes::default()).expect("own");
    let ClientAuth::SecretBasic(digest) = again.auth() else { panic!("{:?}", again.auth()) };
    assert!(digest.is_of(&text));
    for wrong in ["", "dwcs_", &secret(&other).expect("a secret"), text.get(..text.len() - 1).expect("ASCII"), &format!("{text} ")] {
        assert!(!digest.is_of(wrong), "{wrong}");
    }
    assert!(matches!(registered(&keys, &body("client_secret_post"), 1).client().auth(), ClientAuth::SecretPost(_)));
    let public = registered(&keys, &body("none"), 1);
    assert!(matches!(public.client().auth(), ClientAuth::None) && secret(&public).is_none());
    let silent = registered(&keys, r#"{"redirect_uris":["https://good.test/cb"]}"#, 1);
    assert_eq!(silent.client().auth().method(), "client_secret_basic", "the default of RFC 7591");
    let shown = format!("{basic:?} {again:?} {keys:?}");
    assert!(!shown.contains(&text), "{shown}");
}

#[test]
fn reg_03_older_keys_keep_verifying_and_make_nothing() {
    let old = registered(&keys(1), r#"{"redirect_uris":["https://good.test/cb"]}"#, 1);
    let secret = old.answer(NOW)["client_secret"].as_str().map(str::to_owned).expect("a secret");
    let new = keys(2).with_older(&Secret::new([1; 32])).expect("keys");
    let again = new.open(old.client().id().as_str(), &Schemes::default()).expect("an old id");
    let ClientAuth::SecretBasic(digest) = again.auth() else { panic!("{:?}", again.auth()) };
    assert!(digest.is_of(&secret));
    let fresh = registered(&new, NATIVE, 1);
    assert!(keys(2).open(fresh.client().id().as_str(), &Schemes::default()).is_ok());
    assert!(keys(1).open(fresh.client().id().as_str(), &Schemes::default()).is_err());
}

#[test]
fn tk_13_an_id_carries_that_its_tokens_are_bound_and_ids_of_before_stay_as_they_are() {
    let said = |value: &str| format!("{},\"dpop_bound_access_tokens\":{value}}}", NATIVE.trim_end_matches('}'));
    let made = registered(&keys(1), &said("true"), 1);
    assert_eq!(made.answer(NOW)["dpop_bound_access_tokens"], true);
    let again = keys(1).open(made.client().id().as_str(), &Schemes::default()).expect("made here");
    assert!(again.binds() && again.fingerprint() == made.client().fingerprint());
    for plain in [NATIVE.to_owned(), said("false"), said("null")] {
        let other = registered(&keys(1), &plain, 1);
        assert!(!other.client().binds() && other.answer(NOW).get("dpop_bound_access_tokens").is_none(), "{plain}");
        assert_ne!(other.client().fingerprint(), made.client().fingerprint(), "a consent to the one is none to the other");
        assert_eq!(other.client().id(), registered(&keys(1), NATIVE, 1).client().id(), "the id is the one that it always was");
    }
    for bad in ["1", "\"true\"", "[]"] {
        assert_eq!(parse(&said(bad)).expect_err(bad).code(), "invalid_client_metadata", "{bad}");
    }
}
