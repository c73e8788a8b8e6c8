//! A test for each entry: exact id, exact redirect URIs, and what passes for it.

use super::*;
use crate::oauth::client::Identity;
use crate::oauth::redirect::{Place, check, place};

fn expect(id: &str, name: &str, uris: &[&str], target: &str, expected: Place) {
    let entry = find(id).expect(id);
    let client = entry.client(&Schemes::default()).expect(id);
    assert_eq!((client.id().as_str(), client.name()), (id, name));
    assert_eq!(entry.redirect_uris, uris);
    assert_eq!(client.redirects().len(), uris.len(), "none is left out");
    // ChatGPT may sign, if our metadata offers it; the others show their name only.
    assert_eq!(client.auth().keys().is_some(), name == "ChatGPT", "{}", client.auth().method());
    assert!(client.auth().method().starts_with("none"));
    let Identity::Published { host, source, checked } = client.identity() else { panic!("{:?}", client.identity()) };
    assert_eq!((host, *source, *checked), (&entry.publisher, DocumentSource::Catalogue, entry.day()));
    let target = check(&client, Some(target)).expect(target);
    assert_eq!(place(&client, &target), expected);
    assert!(check(&client, Some("https://evil.test/callback")).is_err());
}

#[test]
fn claude_code() {
    let id = "https://claude.ai/oauth/claude-code-client-metadata";
    let uris = ["http://localhost/callback", "http://127.0.0.1/callback"];
    expect(id, "Claude Code", &uris, "http://localhost:3118/callback", Place::ThisComputer);
}

#[test]
fn codex() {
    let id = "https://chatgpt.com/oauth/codex/client.json";
    let uris = ["http://localhost/callback", "http://127.0.0.1/callback"];
    expect(id, "Codex", &uris, "http://127.0.0.1:50123/callback", Place::ThisComputer);
}

#[test]
fn opencode() {
    let id = "https://opencode.ai/oauth/opencode/client.json";
    let uris = ["http://127.0.0.1/callback", "http://localhost/callback"];
    expect(id, "opencode", &uris, "http://127.0.0.1:19876/callback", Place::ThisComputer);
    let client = find(id).expect("entry").client(&Schemes::default()).expect("client");
    assert!(check(&client, Some("http://127.0.0.1:19876/mcp/oauth/callback")).is_err(), "that is where its registration answers");
    assert!(find(id).expect("entry").quirks.contains(&Quirk::DcrOnly));
}

#[test]
fn zed() {
    let uris = ["http://127.0.0.1/callback"];
    expect("https://zed.dev/oauth/client-metadata.json", "Zed", &uris, "http://127.0.0.1:1/callback", Place::ThisComputer);
}

#[test]
fn claude() {
    let uris = ["https://claude.ai/api/mcp/auth_callback"];
    expect("https://claude.ai/oauth/mcp-oauth-client-metadata", "Claude", &uris, uris[0], Place::SamePublisher);
}

#[test]
fn chatgpt() {
    let uris = ["https://chatgpt.com/connector_platform_oauth_redirect"];
    expect("https://chatgpt.com/oauth/client.json", "ChatGPT", &uris, uris[0], Place::SamePublisher);
}

#[test]
fn visual_studio_code() {
    let id = "https://vscode.dev/oauth/client-metadata.json";
    let uris = ["http://127.0.0.1:33418/", "https://vscode.dev/redirect"];
    expect(id, "Visual Studio Code", &uris, "http://127.0.0.1:50000/", Place::ThisComputer);
    expect(id, "Visual Studio Code", &uris, uris[1], Place::SamePublisher);
}

#[test]
fn every_entry_is_tested_dated_and_of_its_own_host() {
    assert_eq!(all().len(), 7, "one test for each");
    for entry in all() {
        let url = DocumentUrl::new(&entry.client_id).expect("a URL");
        assert_eq!(url.host(), entry.publisher);
        assert!(entry.day() > Timestamp::from_millis(1_788_000_000_000), "{}", entry.copied);
        assert_eq!(all().iter().filter(|other| other.client_id == entry.client_id).count(), 1);
        assert!(find(&format!("{}/", entry.client_id)).is_none(), "exact ids only");
    }
}
