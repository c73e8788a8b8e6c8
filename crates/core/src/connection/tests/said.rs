//! What servers and authorization servers say of themselves.

use super::{ISSUER, NOW, REDIRECT, SERVER, bytes, client, metadata, server, texts, with};
use crate::connection::challenge::Challenge;
use crate::connection::client::{Auth, BadClient, BadRegistration, How, Registration, UpstreamClient};
use crate::connection::resource::{BadResource, Resource, well_known};
use crate::connection::scopes::{Limits, Wishes, asked};
use crate::connection::server::{AuthorizationServer, BadServer, Pkce, Refreshing, addresses};
use crate::oidc::provider::{Naming, Place};
use crate::secret::Secret;
use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::time::Duration;

fn said(values: &[&str]) -> Challenge {
    Challenge::parse(values.iter().map(|value| value.as_bytes()), SERVER)
}

#[test]
fn a_challenge_is_read_by_its_grammar_or_not_at_all() {
    let own = "https://mcp.example/.well-known/oauth-protected-resource/linear/mcp";
    let whole = format!(r#"Bearer realm="a \"b\", c", error="insufficient_scope", scope="read  write", resource_metadata="{own}""#);
    let found = said(&[&whole]);
    assert_eq!(found.resource_metadata.as_deref(), Some(own));
    assert_eq!(found.scope, Some(texts(&["read", "write"])));
    for same in [
        format!("Negotiate, {whole}"),
        format!("Basic YWI9PQ==, , {whole}"),
        format!("Digest realm=x, nonce=\"y\" ,{whole}, Bearer scope=other"),
        whole.replace("Bearer", "bEaReR").replace("error=", "ERROR = "),
        whole.replace(", ", ","),
        format!(" ,\t{whole} ,"),
    ] {
        assert_eq!(said(&[&same]), found, "{same}");
    }
    assert_eq!(said(&["Negotiate", &whole]), found, "several fields");
    let long = format!("{whole}, Basic {}", "a".repeat(8_192));
    let many = format!("{}{whole}", "X, ".repeat(20));
    for nothing in [
        "",
        "Basic realm=\"x\"",
        "Bearer",
        "Bearer scope",
        "Bearer scope=",
        "Bearer scope=\"a",
        "Bearer scope=\"a\\",
        "Bearer scope=a b",
        "Bearer scope=a scope=b",
        "Bearer scope=a, scope=b",
        "Bearer scope=a, SCOPE=b",
        "Bearer scope=\"a\"b",
        "Bearer scope=\"a\u{1}\"",
        "Bearer scope=\"a\u{7f}\"",
        "Bearer =a",
        "Bearer a/b=c",
        "scope=a",
        "\u{e9} scope=a",
        "Bearer abc, scope=a",
        "Bearer scope=\"\", error=\"<script>\"",
        "Bearer scope=\"a\u{e9}\"",
        long.as_str(),
        many.as_str(),
    ] {
        assert_eq!(said(&[nothing]), Challenge::default(), "{nothing}");
    }
    assert_eq!(said(&[&format!("{}{whole}", "X, ".repeat(19))]), found);
    assert!(Challenge::parse([&b"Bearer realm=\"\xff\", scope=a"[..]], SERVER).scope.is_some(), "texts for people may be in any encoding");
    let wide: Vec<String> = (0..1_001).map(|number| number.to_string()).collect();
    assert_eq!(said(&[&format!("Bearer scope=\"{}\"", wide.join(" "))]).scope, None);
}

#[test]
fn a_challenge_leads_nowhere_but_to_its_own_origin() {
    for bad in [
        "http://169.254.169.254/latest/meta-data",
        "https://169.254.169.254/",
        "https://intranet.test/x",
        "file:///etc/passwd",
        "/.well-known/oauth-protected-resource",
        "//mcp.example/x",
        "http://mcp.example/x",
        "https://mcp.example:8443/x",
        "https://mcp.example.evil.example/x",
        "https://mcp.example@evil.example/x",
        "https://u:p@mcp.example/x",
        "https://mcp.example/x#y",
        "https://mcp.example\\\\@evil.example/x",
        "https://mcp.example/a b",
        "javascript:alert(1)",
        "data:,x",
        "",
    ] {
        assert_eq!(said(&[&format!("Bearer scope=a, resource_metadata=\"{bad}\"")]).resource_metadata, None, "{bad}");
    }
    let long = format!("Bearer resource_metadata=\"https://mcp.example/{}\"", "a".repeat(64 * 1024));
    assert_eq!(said(&[&long]), Challenge::default());
    assert_eq!(said(&["Bearer resource_metadata=https"]).resource_metadata, None);
}

#[test]
fn the_metadata_of_a_server_is_looked_for_under_its_path_and_then_at_its_root() {
    let root = "https://mcp.example/.well-known/oauth-protected-resource";
    for (server, paths) in [
        ("https://mcp.example/linear/mcp", vec![format!("{root}/linear/mcp"), root.to_owned()]),
        ("https://mcp.example", vec![root.to_owned()]),
        ("https://mcp.example/", vec![root.to_owned()]),
        ("https://mcp.example/mcp?tenant=1", vec![format!("{root}/mcp?tenant=1"), root.to_owned()]),
        ("https://mcp.example:8443/a/", vec![root.replace("example/", "example:8443/") + "/a/", root.replace("example/", "example:8443/")]),
        ("no url", vec![]),
        ("data:,x", vec![]),
    ] {
        assert_eq!(well_known(server), paths, "{server}");
    }
}

fn resource() -> Value {
    json!({"resource": SERVER, "authorization_servers": [ISSUER], "scopes_supported": ["read", "write"], "bearer_methods_supported": ["header"]})
}

fn described(server: &str, changes: &Value) -> Result<Resource, BadResource> {
    Resource::parse(&bytes(&with(resource(), changes)), server)
}

#[test]
fn oc_04_metadata_of_a_resource_is_of_the_server_that_was_asked() {
    let good = described(SERVER, &json!({})).expect("good");
    assert!(good.trusts(ISSUER) && !good.trusts("https://auth.example/"));
    assert_eq!((good.servers[0].place, good.scopes), (Place::Elsewhere, Some(texts(&["read", "write"]))));
    // Its text is kept: an audience is compared byte for byte.
    for above in [
        "https://mcp.example/linear/mcp/",
        "https://mcp.example/linear",
        "https://mcp.example/",
        "https://mcp.example",
        "https://MCP.example:443/linear",
    ] {
        assert_eq!(described(SERVER, &json!({"resource": above})).expect("above").name, above);
    }
    for other in [
        json!("https://mcp.example/linear/m"),
        json!("https://mcp.example/lin"),
        json!("https://mcp.example/linear/mcp/more"),
        json!("https://mcp.example/github"),
        json!("https://evil.example/linear/mcp"),
        json!("http://mcp.example/linear/mcp"),
        json!("https://mcp.example:8443/linear/mcp"),
        json!("https://mcp.example/linear/mcp?x=1"),
        json!("https://mcp.example/linear/mcp#x"),
        json!("https://u@mcp.example/linear/mcp"),
        json!("https://mcp.example/%2e%2e/linear/mcp/x"),
        json!("https://mcp.example\\linear"),
        json!("https://mcp.example/ linear"),
        json!("/linear/mcp"),
        json!(["https://mcp.example"]),
        json!(""),
        json!(null),
    ] {
        assert_eq!(described(SERVER, &json!({"resource": other})).expect_err("refused"), BadResource::Other, "{other}");
    }
    let tenant = "https://mcp.example/mcp?tenant=1";
    assert!(
        described(tenant, &json!({"resource": tenant})).is_ok()
            && described(tenant, &json!({"resource": "https://mcp.example/mcp"})).is_ok()
    );
    assert!(described(tenant, &json!({"resource": "https://mcp.example/mcp?tenant=2"})).is_err());
}

#[test]
fn oc_04_a_resource_names_authorization_servers_that_may_be_asked() {
    let many: Vec<String> = (0..11).map(|number| format!("https://auth{number}.example")).collect();
    for bad in [
        json!(null),
        json!([]),
        json!(ISSUER),
        json!([5]),
        json!(many),
        json!(["http://auth.example"]),
        json!(["http://127.0.0.1:9000"]),
        json!(["https://auth.example?x=1"]),
        json!(["https://auth.example#x"]),
        json!(["https://u:p@auth.example"]),
        json!(["file:///etc/passwd"]),
        json!(["auth.example"]),
        json!([ISSUER, "javascript:alert(1)"]),
        json!([format!("https://auth.example/{}", "a".repeat(2_048))]),
    ] {
        assert_eq!(described(SERVER, &json!({"authorization_servers": bad})).expect_err("refused"), BadResource::Servers, "{bad}");
    }
    // On this computer alone by http, and never from elsewhere to this computer.
    let here = |server: &str, issuer: &str| described(server, &json!({"resource": server, "authorization_servers": [issuer]}));
    let local = here("http://127.0.0.1:9000/mcp", "http://localhost:9001").expect("this computer");
    assert_eq!(local.servers[0].place, Place::Elsewhere);
    assert_eq!(here("http://[::1]:9000/mcp", "http://[::1]:9000").expect("this computer").servers[0].place, Place::Issuer);
    for (server, issuer) in [
        ("http://127.0.0.1:9000/mcp", "http://10.0.0.1"),
        ("http://127.0.0.1:9000/mcp", "http://localhost.evil.example"),
        ("http://10.0.0.1/mcp", "http://10.0.0.1"),
        ("https://127.0.0.1:9000/mcp", "http://127.0.0.1:9000"),
    ] {
        assert_eq!(here(server, issuer).expect_err("refused"), BadResource::Servers, "{server} {issuer}");
    }
    for (changes, why) in [
        (json!({"scopes_supported": "read"}), BadResource::Member("scopes_supported")),
        (json!({"scopes_supported": ["a b"]}), BadResource::Member("scopes_supported")),
        (json!({"scopes_supported": ["a\nb"]}), BadResource::Member("scopes_supported")),
        (json!({"bearer_methods_supported": ["query"]}), BadResource::Unsupported("tokens in a header")),
        (json!({"dpop_bound_access_tokens_required": true}), BadResource::Unsupported("tokens that are bound to no key")),
    ] {
        assert_eq!(described(SERVER, &changes).expect_err("refused"), why, "{changes}");
    }
    for text in ["", "<html>", "[]", r#"{"resource":"https://mcp.example","resource":"https://evil.example"}"#] {
        assert_eq!(Resource::parse(&Bytes::from(text), SERVER).expect_err("refused"), BadResource::Form, "{text}");
    }
}

fn at(issuer: &str, changes: &Value) -> Result<AuthorizationServer, BadServer> {
    AuthorizationServer::parse(&bytes(&with(metadata(), changes)), issuer, Pkce::Required)
}

#[test]
fn oc_04_an_authorization_server_is_looked_for_where_its_issuer_says() {
    assert_eq!(
        addresses("https://auth.example/tenant/"),
        [
            "https://auth.example/.well-known/oauth-authorization-server/tenant",
            "https://auth.example/.well-known/openid-configuration/tenant",
            "https://auth.example/tenant/.well-known/openid-configuration",
        ]
    );
    let root = ["https://auth.example/.well-known/oauth-authorization-server", "https://auth.example/.well-known/openid-configuration"];
    assert_eq!(addresses(ISSUER), root);
    assert_eq!(addresses("https://auth.example/"), root);
    for bad in ["", "auth.example", "https://auth.example?x", "https://auth.example#x", "data:,x"] {
        assert_eq!(addresses(bad), Vec::<String>::new(), "{bad}");
    }
}

#[test]
fn oc_04_metadata_of_an_authorization_server_leads_only_where_it_may() {
    let good = server();
    assert_eq!((good.auth.as_slice(), good.naming, good.refreshing), (&Auth::ALL[..], Naming::Promised, Refreshing::Listed));
    for issuer in
        ["https://auth.example/", "https://AUTH.example", "http://auth.example", "https://auth.example:443", "https://evil.example"]
    {
        assert_eq!(at(ISSUER, &json!({"issuer": issuer})).expect_err("refused"), BadServer::Issuer, "{issuer}");
        assert_eq!(at(issuer, &json!({})).expect_err("refused"), BadServer::Issuer, "{issuer}");
    }
    for member in ["authorization_endpoint", "token_endpoint", "registration_endpoint", "revocation_endpoint"] {
        for bad in [
            json!("http://auth.example/x"),
            json!("http://169.254.169.254/x"),
            json!("http://127.0.0.1/x"),
            json!("javascript:alert(1)"),
            json!("data:,x"),
            json!("file:///etc/passwd"),
            json!("https://user:pw@auth.example/x"),
            json!("https://auth.example/x#f"),
            json!("https://auth.example/x y"),
            json!("//auth.example/x"),
            json!("/x"),
            json!(""),
            json!(["https://auth.example/x"]),
            json!(format!("https://auth.example/{}", "x".repeat(2_048))),
        ] {
            assert_eq!(at(ISSUER, &json!({member: bad})).expect_err("refused"), BadServer::Member(member), "{member} {bad}");
        }
        let elsewhere = at(ISSUER, &json!({member: "https://other.example/x"})).expect("public, by https");
        let endpoints =
            [Some(&elsewhere.authorization), Some(&elsewhere.token), elsewhere.registration.as_ref(), elsewhere.revocation.as_ref()];
        assert_eq!(endpoints.into_iter().flatten().filter(|one| one.place == Place::Elsewhere).count(), 1, "{member}");
    }
    // An address that answers for us where the answer goes.
    for query in ["redirect_uri=https://evil.example", "client_id=other", "a=1&%73tate=x", "a=1&a=2", "resource=x", "request_uri=x", "a=%"]
    {
        let changes = json!({"authorization_endpoint": format!("https://auth.example/authorize?{query}")});
        assert_eq!(at(ISSUER, &changes).expect_err("refused"), BadServer::Member("authorization_endpoint"), "{query}");
    }
    assert!(at(ISSUER, &json!({"authorization_endpoint": "https://auth.example/authorize?tenant=1"})).is_ok());
    for text in ["", "<html>", "[]", "{}{}"] {
        assert_eq!(AuthorizationServer::parse(&Bytes::from(text), ISSUER, Pkce::Required).expect_err("refused"), BadServer::Form, "{text}");
    }
    let twice = metadata().to_string().replacen('{', r#"{"issuer":"https://evil.example","#, 1);
    assert_eq!(AuthorizationServer::parse(&Bytes::from(twice), ISSUER, Pkce::Required).expect_err("refused"), BadServer::Form);
}

#[test]
fn oc_04_an_authorization_server_can_what_is_needed() {
    let auth = "client_secret_basic, client_secret_post or none";
    for (changes, why) in [
        (json!({"code_challenge_methods_supported": null}), BadServer::Unsupported("PKCE with S256")),
        (json!({"code_challenge_methods_supported": ["plain"]}), BadServer::Unsupported("PKCE with S256")),
        (json!({"code_challenge_methods_supported": []}), BadServer::Unsupported("PKCE with S256")),
        (json!({"code_challenge_methods_supported": "S256"}), BadServer::Member("code_challenge_methods_supported")),
        (json!({"response_types_supported": ["token"]}), BadServer::Unsupported("response_type=code")),
        (json!({"grant_types_supported": ["client_credentials"]}), BadServer::Unsupported("grant_type=authorization_code")),
        (json!({"token_endpoint_auth_methods_supported": ["private_key_jwt"]}), BadServer::Unsupported(auth)),
        (json!({"token_endpoint_auth_methods_supported": []}), BadServer::Unsupported(auth)),
        (json!({"require_pushed_authorization_requests": true}), BadServer::Unsupported("authorization requests that were not pushed")),
        (
            json!({"authorization_response_iss_parameter_supported": "true"}),
            BadServer::Member("authorization_response_iss_parameter_supported"),
        ),
        (json!({"client_id_metadata_document_supported": 1}), BadServer::Member("client_id_metadata_document_supported")),
        (json!({"scopes_supported": ["a\"b"]}), BadServer::Member("scopes_supported")),
        (json!({"authorization_endpoint": null}), BadServer::Member("authorization_endpoint")),
        (json!({"token_endpoint": null}), BadServer::Member("token_endpoint")),
    ] {
        assert_eq!(at(ISSUER, &changes).expect_err("refused"), why, "{changes}");
    }
    for methods in [json!(null), json!(["plain"])] {
        let text = bytes(&with(metadata(), &json!({"code_challenge_methods_supported": methods})));
        assert!(AuthorizationServer::parse(&text, ISSUER, Pkce::DangerOff).is_ok(), "the administrator says so");
    }
    let ways = |methods: Value| at(ISSUER, &json!({"token_endpoint_auth_methods_supported": methods})).expect("good").auth;
    assert_eq!(ways(json!(null)), [Auth::Basic], "RFC 8414 section 2");
    assert_eq!(ways(json!(["none", "private_key_jwt"])), [Auth::None]);
    assert_eq!(ways(json!(["client_secret_post", "none"])), [Auth::Post, Auth::None]);
    let grants = |grants: Value| at(ISSUER, &json!({"grant_types_supported": grants})).expect("good").refreshing;
    assert_eq!((grants(json!(null)), grants(json!(["authorization_code"]))), (Refreshing::Unsaid, Refreshing::Unlisted));
    let least = json!({"registration_endpoint": null, "revocation_endpoint": null, "scopes_supported": null, "client_id_metadata_document_supported": true});
    for kept in [server(), at(ISSUER, &least).expect("good")] {
        let text = serde_json::to_string(&kept).expect("written");
        assert_eq!(serde_json::from_str::<AuthorizationServer>(&text).expect("read"), kept, "{text}");
    }
}

#[test]
fn no_more_is_asked_for_than_the_administrator_allows() {
    let (three, admin, both) = (texts(&["read", "write", "admin:org"]), texts(&["admin:org"]), texts(&["read", "write"]));
    let known = texts(&["read", "offline_access"]);
    let wishes = Wishes { challenge: Some(&three), resource: Some(&known), server: Some(&known) };
    assert_eq!(asked(Limits::default(), wishes), ["read", "write", "admin:org", "offline_access"]);
    assert_eq!(asked(Limits { blocked: &admin, ..Limits::default() }, wishes), ["read", "write", "offline_access"]);
    assert_eq!(asked(Limits { ceiling: Some(&both), ..Limits::default() }, wishes), ["read", "write"]);
    assert_eq!(
        asked(Limits { scopes: &both, ..Limits::default() }, wishes),
        ["read", "write", "offline_access"],
        "not what the challenge asks for"
    );
    assert_eq!(asked(Limits { scopes: &three, ceiling: Some(&both), ..Limits::default() }, wishes), ["read", "write"]);
    assert_eq!(asked(Limits { blocked: &known, ..Limits::default() }, wishes), ["write", "admin:org"]);
    assert_eq!(asked(Limits::default(), Wishes { challenge: None, ..wishes }), ["read", "offline_access"]);
    assert_eq!(asked(Limits::default(), Wishes { server: Some(&known), ..Wishes::default() }), Vec::<String>::new());
}

fn registration() -> Value {
    json!({"client_id": "new-1", "client_secret": "s3cret", "client_secret_expires_at": 0, "redirect_uris": [REDIRECT],
        "token_endpoint_auth_method": "client_secret_basic"})
}

#[test]
fn oc_03_a_client_registers_with_one_redirect_uri_and_is_believed_with_that_one() {
    let asked = Registration::new("Doorward", REDIRECT, &server(), &texts(&["read", "a b"]));
    let body: Value = serde_json::from_str(asked.body()).expect("json");
    let wanted = json!({"client_name": "Doorward", "redirect_uris": [REDIRECT], "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"], "token_endpoint_auth_method": "client_secret_basic", "application_type": "web", "scope": "read"});
    assert_eq!(body, wanted);
    let local = Registration::new("Doorward", "http://127.0.0.1:8080/connect/x/callback", &server(), &[]);
    let body: Value = serde_json::from_str(local.body()).expect("json");
    assert_eq!((&body["application_type"], &body["scope"]), (&json!("native"), &Value::Null));
    let read = |changes: Value| asked.read(201, &bytes(&with(registration(), &changes)), NOW);
    let good = read(json!({})).expect("good");
    assert_eq!((good.id.as_str(), good.auth, good.how, good.secret_expires), ("new-1", Auth::Basic, How::Registered, None));
    let end = NOW.as_millis() / 1_000 + 60;
    let ending = read(json!({"client_secret_expires_at": end})).expect("good");
    assert!(!ending.is_expired(NOW) && ending.is_expired(NOW.after(Duration::from_secs(60))));
    let public = read(json!({"token_endpoint_auth_method": "none"})).expect("good");
    assert!(public.secret.is_none() && public.auth == Auth::None);
    assert!(read(json!({"token_endpoint_auth_method": null})).is_ok(), "as it was asked for");
    for (changes, why) in [
        (json!({"client_id": null}), BadRegistration::Client(BadClient::Id)),
        (json!({"client_id": ""}), BadRegistration::Client(BadClient::Id)),
        (json!({"client_id": "a\r\nb"}), BadRegistration::Client(BadClient::Id)),
        (json!({"client_id": "\u{e9}"}), BadRegistration::Client(BadClient::Id)),
        (json!({"client_id": "a".repeat(2_049)}), BadRegistration::Client(BadClient::Id)),
        (json!({"client_id": 5}), BadRegistration::Form),
        (json!({"client_secret": null}), BadRegistration::Client(BadClient::Secret)),
        (json!({"client_secret": ""}), BadRegistration::Client(BadClient::Secret)),
        (json!({"client_secret": "a\nb"}), BadRegistration::Client(BadClient::Secret)),
        (json!({"redirect_uris": null}), BadRegistration::Redirect),
        (json!({"redirect_uris": ["https://evil.example/cb"]}), BadRegistration::Redirect),
        (json!({"redirect_uris": REDIRECT}), BadRegistration::Form),
        (json!({"token_endpoint_auth_method": "private_key_jwt"}), BadRegistration::Method),
        (json!({"client_secret_expires_at": end - 60}), BadRegistration::Expired),
        (json!({"client_secret_expires_at": -1}), BadRegistration::Form),
        (json!({"client_secret_expires_at": "0"}), BadRegistration::Form),
        (json!({"error": "invalid_redirect_uri"}), BadRegistration::Refused("invalid_redirect_uri".to_owned())),
        (json!({"error": "<b>"}), BadRegistration::Form),
    ] {
        assert_eq!(read(changes.clone()).expect_err("refused"), why, "{changes}");
    }
    let answered = |status: u16, text: &'static str| asked.read(status, &Bytes::from(text), NOW).expect_err("refused");
    assert_eq!(answered(400, r#"{"error":"invalid_client_metadata"}"#), BadRegistration::Refused("invalid_client_metadata".to_owned()));
    assert_eq!(answered(403, "<html>"), BadRegistration::Status(403));
    assert_eq!(answered(302, ""), BadRegistration::Status(302));
    assert_eq!(answered(200, "<html>"), BadRegistration::Form);
    assert_eq!(answered(201, r#"{"client_id":"a","client_id":"b"}"#), BadRegistration::Form);
}

#[test]
fn a_client_is_kept_whole_and_prints_no_secret() {
    for one in [client(Some("hidden \\ \"secret\"")), client(None)] {
        let back = UpstreamClient::from_bytes(&one.to_bytes().expect("written")).expect("read");
        assert_eq!((&back.id, back.auth, back.how, back.secret_expires), (&one.id, one.auth, one.how, one.secret_expires));
        assert_eq!(back.secret.as_ref().map(|secret| secret.expose()), one.secret.as_ref().map(|secret| secret.expose()));
        assert!(!format!("{one:?}").contains("hidden"));
    }
    for bad in ["", "{}", r#"{"i":"a","a":"b","h":"c"}"#, r#"{"i":"a","a":"n","h":"c","x":1}"#, r#"{"i":"a b","a":"n","h":"c"}"#] {
        assert!(UpstreamClient::from_bytes(bad.as_bytes()).is_err(), "{bad}");
    }
    let only_public = with(metadata(), &json!({"token_endpoint_auth_methods_supported": ["none"]}));
    let only_public = AuthorizationServer::parse(&bytes(&only_public), ISSUER, Pkce::Required).expect("good");
    assert_eq!(UpstreamClient::configured("a", Some(Secret::new("s".to_owned())), &only_public).expect("good").auth, Auth::Basic);
}

proptest! {
    /// Whatever comes in a field: nothing but the own origin, scopes and codes of plain letters come out.
    #[test]
    fn challenges_of_any_bytes_say_nothing_dangerous(fields in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..4)) {
        let found = Challenge::parse(fields.iter().map(Vec::as_slice), SERVER);
        prop_assert!(found.resource_metadata.is_none_or(|url| url.starts_with("https://mcp.example")));
        prop_assert!(found.scope.iter().flatten().all(|scope| scope.bytes().all(|byte| byte.is_ascii_graphic())));
    }

    /// What is written by the grammar is read back, whatever stands in the quoted texts.
    #[test]
    fn challenges_that_are_well_formed_are_read(realm in "[ -~\t]{0,40}", scopes in prop::collection::vec("[a-z:./_-]{1,12}", 1..5), gap in "[ \t]{0,3}") {
        let realm = realm.replace('\\', "\\\\").replace('"', "\\\"");
        let text = format!("Basic realm=x{gap},{gap}Bearer realm{gap}={gap}\"{realm}\"{gap},scope=\"{}\"", scopes.join(" "));
        prop_assert_eq!(said(&[&text]).scope, Some(scopes));
    }

    /// A resource that is taken is a whole part of the path of the server.
    #[test]
    fn a_resource_is_above_its_server_by_whole_segments(path in "(/[ab]{0,2}){0,3}", other in "(/[ab]{0,2}){0,3}") {
        let server = format!("https://mcp.example{path}");
        let taken = described(&server, &json!({"resource": format!("https://mcp.example{other}")})).is_ok();
        let (path, other) = (if path.is_empty() { "/" } else { &path }, other.strip_suffix('/').unwrap_or(&other));
        prop_assert_eq!(taken, format!("{path}/").starts_with(&format!("{other}/")));
    }

    /// No two scopes are asked for twice, none above the ceiling, none that is blocked.
    #[test]
    fn what_is_asked_for_is_within_the_limits(
        wanted in prop::collection::vec("[a-d]", 0..6), ceiling in prop::option::of(prop::collection::vec("[a-d]", 0..4)),
        blocked in prop::collection::vec("[a-d]", 0..3), challenge in prop::option::of(prop::collection::vec("[a-f]", 0..6)),
    ) {
        let limits = Limits { scopes: &wanted, ceiling: ceiling.as_deref(), blocked: &blocked };
        let found = asked(limits, Wishes { challenge: challenge.as_deref(), ..Wishes::default() });
        prop_assert!(found.iter().all(|scope| !blocked.contains(scope) && ceiling.as_ref().is_none_or(|most| most.contains(scope))));
        prop_assert!(wanted.is_empty() || found.iter().all(|scope| wanted.contains(scope)));
        prop_assert!(found.iter().enumerate().all(|(at, scope)| found.iter().skip(at + 1).all(|other| other != scope)));
    }
}
