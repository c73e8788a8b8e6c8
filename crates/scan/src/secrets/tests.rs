//! What counts as a secret and what does not. The tokens are built here from parts and belong to nobody.

use super::text::{Meaning, key_means, without_references};
use super::{covered, find, redact};

/// Characters that no issuer drew: a fixed walk through an alphabet.
fn made(length: usize) -> String {
    const LETTERS: &[u8] = b"Zq7Wx3Ke9Rt2Yu6Ip4Ls8Dh5Gj1Mn0Vb";
    (0..length).map(|at| char::from(LETTERS[(at * 7 + at / 32) % LETTERS.len()])).collect()
}

fn titles(key: &str, text: &str) -> Vec<&'static str> {
    find(key, text).iter().map(|secret| secret.kind.title).collect()
}

#[test]
fn known_beginnings_are_found_anywhere() {
    let github = format!("ghp_{}", made(36));
    assert_eq!(titles("X", &github), ["GitHub token"]);
    assert_eq!(titles("args[0]", &format!("--token={github}")), ["GitHub token"]);
    assert_eq!(titles("Authorization", &format!("Bearer {github}")), ["GitHub token"]);
    assert_eq!(titles("X", &format!("AKIA{}", "QZ7WX3KE9RT2YU6I")), ["AWS access key"]);
    assert_eq!(titles("X", &format!("sk-ant-{}", made(40))), ["Anthropic key"]);
    assert_eq!(titles("X", &format!("eyJ{}.{}.{}", made(30), made(40), made(20))), ["JSON web token"]);
    assert_eq!(titles("X", &format!("-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----", made(64))), ["private key"]);
}

#[test]
fn places_in_urls_are_known() {
    let url = format!("postgresql://svc:{}@db.test:5432/x", made(12));
    assert_eq!(titles("DATABASE_URL", &url), ["password in a URL"]);
    assert_eq!(titles("url", &format!("https://a.test/mcp?api_key={}", made(24))), ["secret in the query of a URL"]);
    assert_eq!(titles("url", &format!("https://a.test/b?sv=2024&sig={}", made(24))), ["Azure shared access signature"]);
    assert!(titles("DATABASE_URL", "postgresql://postgres:postgres@localhost/x").is_empty());
    assert!(titles("url", "https://a.test/mcp?toolsets=all&readonly=true").is_empty());
}

#[test]
fn names_count_only_with_entropy() {
    assert_eq!(titles("SERVICE_TOKEN", &made(24)), ["secret by its name"]);
    assert_eq!(titles("--api-key", &made(32)), ["secret by its name"]);
    assert_eq!(titles("DB_PASSWORD", "Winter-77-Rain"), ["password"]);
    assert_eq!(titles("Authorization", &format!("Basic {}", "dXNlcjp3aW50ZXI3Nw==")), ["user and password of HTTP basic authentication"]);
    let headers = format!("{{\"Authorization\": \"Bearer {}\", \"Version\": \"2022-06-28\"}}", made(32));
    assert_eq!(titles("OPENAPI_MCP_HEADERS", &headers), ["bearer token"]);
    for (key, text) in [
        ("CACHE_KEY", "v1-app-2024-01"),
        ("PROJECT_KEY", "3f2504e0-4f89-41d3-9a0c-0305e82c3301"),
        ("MAIL_PASSWORD", "bridge-password"),
        ("RCON_PASSWORD", "あなたのパスワード"),
        ("ADMIN_TOKEN", "put-token-here"),
        ("SERVICE_TOKEN", "short"),
        ("PROJECT", &made(24)),
        ("TOKEN_FILE", "/run/secrets/token-1234567890ab"),
        ("MAX_TOKENS", "128000128000128000"),
        ("API_KEY_NAME", &made(24)),
        ("PASSWORD", "required"),
        ("AUTH_METHOD", "client_secret_post_v2_2024"),
    ] {
        assert!(titles(key, text).is_empty(), "{key}={text}");
    }
}

#[test]
fn references_and_placeholders_are_no_secrets() {
    for text in [
        "${GITHUB_TOKEN}",
        "$GITHUB_TOKEN",
        "${env:TOKEN}",
        "${input:token-1}",
        "{env:TOKEN}",
        "{file:~/.token}",
        "%GITHUB_TOKEN%",
        "Bearer ${TOKEN:-x}",
        "<your-token-1234567890>",
        "YOUR_API_KEY_1234567",
        "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "Bearer YOUR_TOKEN_HERE_12345",
        "op://vault/item/field9",
        "AKIAIOSFODNN7EXAMPLE",
        "$(pass show github/token1)",
        "{{secret.TOKEN_1}}",
        "sk-learn-some-long-model-name-of-mine",
    ] {
        assert!(titles("API_TOKEN", text).is_empty(), "{text}");
    }
    assert_eq!(without_references("a $X b ${Y} c %Z1% 100% $5"), "a  b  c  100% $5");
}

#[test]
fn keys_mean_by_their_words() {
    for key in ["GITHUB_TOKEN", "apiKey", "--api-key", "X-Api-Key", "clientSecret", "AUTHORIZATION", "CLIENT_SECRET", "access-key"] {
        assert_eq!(key_means(key), Meaning::Secret, "{key}");
    }
    assert_eq!(key_means("dbPassword"), Meaning::Password);
    for key in ["MAX_TOKENS", "TOKEN_URL", "client_id", "KEY_FILE", "monkey", "AUTHOR", "PUBLIC_KEY", "tokenizer"] {
        assert_eq!(key_means(key), Meaning::Nothing, "{key}");
    }
}

#[test]
fn scn_03_what_is_shown_holds_no_secret() {
    let token = format!("ghp_{}", made(36));
    let secret = &find("X", &token)[0];
    assert_eq!(redact(secret.kind, &secret.value), format!("ghp_{}...(40)", &made(2)));
    let password = &find("PASSWORD", "Winter-77-Rain")[0];
    assert_eq!(redact(password.kind, &password.value), "...(14)");
    assert!(!covered("args", &format!("curl -H 'X: {token}'")).contains(&made(10)));
    assert!(!format!("{secret:?}").contains(&made(10)));
}
