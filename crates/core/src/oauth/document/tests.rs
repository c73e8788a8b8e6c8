//! Attacks REG-05 and REG-06 on the URL and on the document.

use super::*;
use crate::oauth::redirect::check;

const URL: &str = "https://app.test/c.json";
const NOW: Timestamp = Timestamp::from_millis(5);

fn read(body: &str) -> Result<Client, BadDocument> {
    let url = DocumentUrl::new(URL).expect("url");
    parse(&url, &Bytes::copy_from_slice(body.as_bytes()), DocumentSource::Live, NOW, &Schemes::default())
}

fn with(members: &str) -> Result<Client, BadDocument> {
    read(&format!(r#"{{"client_id":"{URL}","client_name":"App","redirect_uris":["https://app.test/cb"]{members}}}"#))
}

#[test]
fn reg_06_only_plain_https_urls_with_a_path_are_client_ids() {
    let (long, nine) = (format!("https://app.test/{}", "a".repeat(1024)), format!("https://app.test/{}", "a".repeat(9 * 1024)));
    for bad in [
        "http://app.test/c.json",
        "https://app.test",
        "https://app.test/",
        "https://app.test?x",
        "https://app.test/a/../c.json",
        "https://app.test/./c.json",
        "https://app.test/a/%2e%2e/c.json",
        "https://app.test/a/.%2E",
        "https://u:p@app.test/c.json",
        "https://u@app.test/c.json",
        "https://app.test/c.json#x",
        "https://app.test/c.json#",
        "HTTPS://app.test/c.json",
        "Https://app.test/c.json",
        "https://APP.test/c.json",
        "https://app.test/c.json?x=1",
        "https://app.test/c.json?",
        "https://app.test:0/c.json",
        "https://app.test:99999/c.json",
        "https://app.test:/c.json",
        "https://app.test./c.json",
        "https://app.test\\c.json",
        "https://app.test/c\\..\\d",
        "https://app.test /c.json",
        "https://app.test/c json",
        "https://app.test/c.json\n",
        "https://äpp.test/c.json",
        "https:///c.json",
        "https:/app.test/c.json",
        "https:app.test/c.json",
        "//app.test/c.json",
        "app.test/c.json",
        "ftp://app.test/c.json",
        "https://[::1/c.json",
        "https://127.1/c.json",
        "https://0x7f000001/c.json",
        "",
        &long,
        &nine,
    ] {
        assert_eq!(DocumentUrl::new(bad), Err(BadDocumentUrl), "{bad}");
    }
    for (good, host) in [
        (URL, "app.test"),
        ("https://app.test:8443/c.json", "app.test"),
        ("https://claude.ai/oauth/claude-code-client-metadata", "claude.ai"),
        ("https://app.test/a..b/...", "app.test"),
    ] {
        let url = DocumentUrl::new(good).expect(good);
        assert_eq!((url.as_str(), url.host()), (good, host));
    }
    for meant in ["HTTPS://app.test/c", "http://x", "https://"] {
        assert!(DocumentUrl::is_meant(meant), "{meant}");
    }
    for other in ["dwc_AA", "cursor", "https", "äöüäöü://x"] {
        assert!(!DocumentUrl::is_meant(other), "{other}");
    }
}

#[test]
fn reg_05_a_document_describes_the_client_of_its_own_url() {
    for other in [
        "https://app.test/c.json/",
        "https://APP.test/c.json",
        "https://app.test:443/c.json",
        "https://app.test/c.json?x=1",
        "http://app.test/c.json",
        "https://app.test/C.json",
        "https://app.test/c%2ejson",
        "https://app.test/c.json ",
        " https://app.test/c.json",
        "https://app.test/c.json\\u0000",
        "https://evil.test/c.json",
        "",
    ] {
        let body = format!(r#"{{"client_id":"{other}","client_name":"App","redirect_uris":["https://app.test/cb"]}}"#);
        assert_eq!(read(&body).expect_err(other), BadDocument::OtherClient, "{other}");
    }
    for odd in [
        r#"{"client_name":"App","redirect_uris":["https://app.test/cb"]}"#.to_owned(),
        format!(r#"{{"client_id":["{URL}"],"client_name":"App","redirect_uris":["https://app.test/cb"]}}"#),
        format!(r#"{{"client_id":null,"Client_Id":"{URL}","client_name":"App","redirect_uris":["https://app.test/cb"]}}"#),
    ] {
        assert_eq!(read(&odd).expect_err("odd"), BadDocument::OtherClient, "{odd}");
    }
    for twice in [
        format!(r#"{{"client_id":"{URL}","client_id":"https://evil.test/c","client_name":"App","redirect_uris":["https://app.test/cb"]}}"#),
        format!(r#"{{"client_id":"https://evil.test/c","client_id":"{URL}","client_name":"App","redirect_uris":["https://app.test/cb"]}}"#),
        format!(r#"{{"client_id":"{URL}","client\u005fid":"{URL}","client_name":"App","redirect_uris":["https://app.test/cb"]}}"#),
    ] {
        assert_eq!(read(&twice).expect_err("twice"), BadDocument::NotJson, "{twice}");
    }
    let client = with("").expect("exact");
    assert_eq!(client.id().as_str(), URL);
    let identity = Identity::Published { host: "app.test".to_owned(), source: DocumentSource::Live, checked: NOW };
    assert_eq!(*client.identity(), identity);
    assert!(check(&client, Some("https://app.test/cb")).is_ok());
    let escaped = read(r#"{"client_id":"https:\/\/app.test\/c.json","client_name":"App","redirect_uris":["https:\/\/app.test\/cb"]}"#);
    assert!(escaped.is_ok(), "another spelling of the same JSON string");
}

#[test]
fn reg_05_a_document_that_lacks_what_it_must_have_is_none() {
    let minimal = |rest: &str| read(&format!(r#"{{"client_id":"{URL}"{rest}}}"#));
    for bad in [
        "",
        r#","client_name":"App""#,
        r#","redirect_uris":["https://app.test/cb"]"#,
        r#","client_name":" ","redirect_uris":["https://app.test/cb"]"#,
        r#","client_name":7,"redirect_uris":["https://app.test/cb"]"#,
        r#","client_name":"App","redirect_uris":[]"#,
        r#","client_name":"App","redirect_uris":"https://app.test/cb""#,
        r#","client_name":"App","redirect_uris":["javascript:alert(1)"]"#,
        r#","client_name":"App","redirect_uris":["http://evil.test/","https://*.app.test/cb"]"#,
        r#","client_name":"App","redirect_uris":["cursor://x/"]"#,
        r#","client_name":"App","application_type":"web","redirect_uris":["http://127.0.0.1/cb"]"#,
        r#","client_name":"App","redirect_uris":["https://app.test/cb"],"logo_uri":"data:image/svg+xml,x""#,
        r#","client_name":"App","redirect_uris":["https://app.test/cb"],"client_uri":"javascript:x""#,
        r#","client_name":"App","redirect_uris":["https://app.test/cb"],"grant_types":["client_credentials"]"#,
    ] {
        assert!(minimal(bad).is_err(), "{bad}");
    }
    for bad in ["", "[]", "null", "<html>", "{\"client_id\":", "\u{feff}{}"] {
        assert_eq!(read(bad).expect_err(bad), BadDocument::NotJson);
    }
    let deep = format!(",\"x\":{}{}", "[".repeat(2000), "]".repeat(2000));
    assert_eq!(with(&deep).expect_err("deep"), BadDocument::NotJson);
    assert_eq!(with(&format!(",\"x\":\"{}\"", "a".repeat(MAX_DOCUMENT))).expect_err("long"), BadDocument::TooLong);
}

#[test]
fn reg_05_a_document_keeps_no_secrets() {
    for bad in [
        r#","client_secret":"x""#,
        r#","client_secret":"""#,
        r#","client_secret_expires_at":0"#,
        r#","token_endpoint_auth_method":"client_secret_basic""#,
        r#","token_endpoint_auth_method":"client_secret_post""#,
        r#","token_endpoint_auth_method":"client_secret_jwt""#,
        r#","token_endpoint_auth_methods_supported":["none","client_secret_basic"]"#,
        r#","token_endpoint_auth_method":"client_secret_basic","token_endpoint_auth_methods_supported":["none"]"#,
        r#","token_endpoint_auth_method":["client_secret_post"]"#,
    ] {
        assert_eq!(with(bad).expect_err(bad), BadDocument::Secret, "{bad}");
    }
}

#[test]
fn reg_04_the_way_to_prove_itself_is_one_that_both_sides_know() {
    let method = |members: &str| with(members).map(|client| client.auth().method());
    let keys = r#","jwks_uri":"https://app.test/jwks.json""#;
    assert_eq!(method(""), Ok("none"));
    assert_eq!(method(r#","token_endpoint_auth_method":"none""#), Ok("none"));
    assert_eq!(method(r#","token_endpoint_auth_methods_supported":["none","private_key_jwt"]"#), Ok("none"));
    let preferred = r#","token_endpoint_auth_method":"private_key_jwt","token_endpoint_auth_methods_supported":["none","private_key_jwt"]"#;
    assert_eq!(method(&format!("{preferred}{keys}")), Ok("none or private_key_jwt"), "ChatGPT's document");
    assert_eq!(
        method(&format!(r#","token_endpoint_auth_method":"private_key_jwt"{keys}"#)),
        Ok("private_key_jwt"),
        "never weaker than it says"
    );
    assert_eq!(method(r#","token_endpoint_auth_method":"tls_client_auth""#), Err(BadClaims::AuthMethod.into()));
    for bad in [
        "",
        r#","jwks":{"keys":[]}"#,
        r#","jwks":{"keys":[{"kty":"oct","k":"AA"}]}"#,
        r#","jwks":{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA","d":"AA"}]}"#,
        r#","jwks":{"keys":[{"kty":"OKP"}]}"#,
        r#","jwks":"x""#,
        r#","jwks_uri":"http://app.test/jwks.json""#,
        r#","jwks_uri":"https://u@app.test/jwks.json""#,
        r#","jwks_uri":"https://app.test/j","jwks":{"keys":[{"kty":"EC"}]}"#,
    ] {
        let refused = method(&format!(r#","token_endpoint_auth_method":"private_key_jwt"{bad}"#));
        assert!(refused.is_err(), "{bad}");
    }
    // The point of RFC 7515, appendix A.3.
    let inline = r#","token_endpoint_auth_method":"private_key_jwt","jwks":{"keys":[{"kty":"EC","crv":"P-256","kid":"a",
        "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;
    assert_eq!(method(inline), Ok("private_key_jwt"));
    assert_ne!(with(inline).expect("keys").fingerprint(), with(&inline.replace("\"a\"", "\"b\"")).expect("keys").fingerprint());
}

#[test]
fn a_document_for_all_servers_may_list_what_is_not_allowed_here_and_gains_nothing_by_it() {
    let others = ["cursor://x/cb", "http://evil.test/cb", "javascript:alert(1)", "https://*.app.test/cb", "http://127.0.0.1:*/cb"];
    let listed = others.map(|uri| format!("\"{uri}\"")).join(",");
    let body = format!(r#"{{"client_id":"{URL}","client_name":"App","redirect_uris":[{listed},"http://localhost/cb"]}}"#);
    let client = read(&body).expect("one is left");
    assert_eq!(client.redirects().len(), 1);
    for uri in others {
        assert!(check(&client, Some(uri)).is_err(), "{uri}");
    }
    assert!(check(&client, Some("http://localhost:4/cb")).is_ok());
    let odd = with(r#","grant_types":["authorization_code","urn:ietf:params:oauth:grant-type:jwt-bearer"],"x":{"y":1},"policy_uri":null"#);
    assert!(odd.is_ok());
}

#[test]
fn tk_13_a_document_may_say_that_all_tokens_are_bound() {
    let plain = with("").expect("good");
    let bound = with(r#","dpop_bound_access_tokens":true"#).expect("good");
    assert!(bound.binds() && !plain.binds() && bound.fingerprint() != plain.fingerprint());
    assert!(bound.clone().approved().binds(), "also where the administrator vouches for it");
    assert!(!with(r#","dpop_bound_access_tokens":false"#).expect("good").binds());
    assert!(with(r#","dpop_bound_access_tokens":"true""#).is_err());
}
