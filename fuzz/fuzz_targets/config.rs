//! Configurations. Input: up to two files and lines of variables, with `---` between them. Every problem can be shown, a text
//! is covered byte for byte, and a literal secret appears in nothing that people see.
#![no_main]

use doorward_core::config::load::{Form, Inputs, Text, load};
use doorward_core::config::reference::SecretRef;
use doorward_core::config::{Config, CredentialConfig, Target};
use doorward_fuzz::sections;
use libfuzzer_sys::fuzz_target;
use std::path::PathBuf;

/// Seeds mark their literal secrets with it.
const CANARY: &str = "CANARY";

fuzz_target!(|data: &[u8]| {
    let parts = sections(data);
    let files: Vec<&[u8]> = parts.iter().take(2).copied().collect();
    let variables = parts.get(2).copied().unwrap_or_default();
    let environment: Vec<(String, String)> = String::from_utf8_lossy(variables)
        .lines()
        .filter_map(|line| line.split_once('='))
        .take(16)
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let form = |bytes: &[u8]| if bytes.trim_ascii_start().starts_with(b"{") { Form::Json } else { Form::Toml };
    let text = |(at, bytes): (usize, &&[u8])| Text {
        name: format!("{at}.conf"),
        form: form(bytes),
        bytes: bytes.to_vec(),
        base: PathBuf::from("/etc/doorward"),
    };
    let inputs =
        Inputs { files: files.iter().enumerate().map(text).collect(), environment, default_name: "host".to_owned(), ..Inputs::default() };
    match load(inputs) {
        Err(problems) => {
            assert!(!problems.is_empty(), "refused without a reason");
            for problem in problems {
                drop(format!("{problem} {problem:?}"));
                if let Some(place) = problem.place {
                    let source = place.source();
                    let span = place.span();
                    assert!(source.shown().get(span).is_some(), "a place outside of its text, or within a character");
                    let lines = source.shown().lines().count().max(1) + 1;
                    assert!(place.line_column().0 <= lines);
                }
            }
        }
        Ok(loaded) => {
            let config = &loaded.config;
            let mut shown = format!("{config:?}");
            for entry in config.entries() {
                shown.push_str(&entry.key());
                shown.push_str(&entry.value);
                let path: Vec<&str> = entry.path.iter().map(String::as_str).collect();
                let _ = loaded.origin(&path);
            }
            for notice in &loaded.notices {
                shown.push_str(&notice.to_string());
                if let Some(place) = &notice.place {
                    shown.push_str(place.source().shown());
                }
            }
            for secret in literals(config).into_iter().filter(|secret| secret.contains(CANARY)) {
                if occurrences(data, secret.as_bytes()) <= 1 {
                    assert!(!shown.contains(secret), "a literal secret is shown");
                }
            }
        }
    }
});

fn literals(config: &Config) -> Vec<&str> {
    let mut found: Vec<&SecretRef> = config.store.password.iter().chain(&config.store.encryption_key).collect();
    for server in config.servers.values() {
        if let CredentialConfig::Header { value, .. } = &server.credential {
            found.push(value);
        }
        if let Target::Stdio(stdio) = &server.target {
            found.extend(stdio.env.values());
        }
    }
    found.into_iter().filter_map(|secret| if let SecretRef::Plain(text) = secret { Some(text.expose().as_str()) } else { None }).collect()
}

fn occurrences(data: &[u8], what: &[u8]) -> usize {
    data.windows(what.len()).filter(|window| *window == what).count()
}
