//! DW011: checks of TLS are off: a variable, an option or a setting that accepts any certificate, or that lets a bridge use
//! plain HTTP to another computer.

use super::Rule;
use super::web::{addresses, is_loopback};
use crate::document::Position;
use crate::estate::Estate;
use crate::finding::{Confidence, Finding, Severity};
use crate::server::{Field, Server};

pub(super) static RULE: Rule = Rule {
    id: "DW011",
    severity: Severity::High,
    title: "TLS checks are off",
    why: "Without a checked certificate anybody on the way can be the server, and gets its token.",
    fix: "take the switch out; for a private authority name its certificate (NODE_EXTRA_CA_CERTS, SSL_CERT_FILE)",
    check,
};

/// Variables that are off with these values.
const OFF: [(&str, &[&str]); 6] = [
    ("NODE_TLS_REJECT_UNAUTHORIZED", &["0"]),
    ("PYTHONHTTPSVERIFY", &["0"]),
    ("GIT_SSL_NO_VERIFY", &["1", "true"]),
    ("AWS_NO_VERIFY_SSL", &["1", "true"]),
    ("NPM_CONFIG_STRICT_SSL", &["false"]),
    ("GODEBUG", &["x509ignoreCN=0"]),
];
const OPTIONS: [&str; 8] = [
    "--insecure",
    "--no-check-certificate",
    "--no-verify-ssl",
    "--skip-tls-verify",
    "--tls-skip-verify",
    "--insecure-skip-tls-verify",
    "--no-ssl-verify",
    "--allow-insecure",
];

fn check(estate: &Estate) -> Vec<Finding> {
    let mut found = Vec::new();
    for (document, server) in estate.servers() {
        for (at, evidence) in switches(server) {
            found.push(Finding::new(&RULE, Confidence::High, document.site(at), document.subject(server), evidence));
        }
    }
    for document in &estate.documents {
        let Some(env) = document.root.child("env").filter(|_| document.client().is_some()) else { continue };
        env.leaves("env", &mut |path, key, text, at| {
            if is_off(key, text.peek()) {
                found.push(Finding::new(&RULE, Confidence::High, document.site(at), document.owner(), format!("{path} = {}", text.peek())));
            }
        });
    }
    found
}

fn switches(server: &Server) -> Vec<(Position, String)> {
    let say = |field: &Field, text: String| (field.at, text);
    let mut found = Vec::new();
    for field in server.env.iter().chain(&server.settings).filter(|field| is_off(&field.key, field.text.peek())) {
        found.push(say(field, format!("{} = {}", field.path, field.text.peek())));
    }
    let far = addresses(server).iter().any(|address| address.scheme == "http" && !is_loopback(&address.host));
    for field in &server.args {
        let text = field.text.peek();
        let (name, value) = text.split_once('=').unwrap_or((text, "true"));
        let truth = !matches!(value, "false" | "0" | "no");
        if OPTIONS.contains(&name) && truth || name == "--allow-http" && truth && far {
            found.push(say(field, format!("{} = {name}", field.path)));
        } else if !name.starts_with('-') && is_off(name, value) {
            // `docker -e NAME=0` and `env NAME=0`.
            found.push(say(field, format!("{} = {name}={value}", field.path)));
        }
    }
    found
}

/// By known names, else by the words of a name: `VERIFY_SSL=false`, `SKIP_TLS_VERIFY=true`, `rejectUnauthorized: false`.
fn is_off(key: &str, value: &str) -> bool {
    let value = value.trim().to_ascii_lowercase();
    if let Some((_, bad)) = OFF.iter().find(|(name, _)| *name == key) {
        return bad.contains(&value.as_str());
    }
    let (yes, no) = (matches!(value.as_str(), "1" | "true" | "yes" | "on"), matches!(value.as_str(), "0" | "false" | "no" | "off"));
    let name: String = key.to_ascii_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    let about_tls = has(&["ssl", "tls", "cert", "https"]);
    let off = (about_tls
        && has(&["skipverify", "noverify", "ignore", "insecure", "disableverif", "skip", "allowinvalid", "allowselfsigned"]))
        || matches!(name.as_str(), "insecureskipverify" | "insecure" | "allowinsecure");
    if off {
        return yes;
    }
    let on = (about_tls && has(&["verify", "verification", "validate", "strict"])) || name == "rejectunauthorized";
    on && no
}
