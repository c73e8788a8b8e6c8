//! DW021: a container that is none: `--privileged`, the engine's socket, the host's root or its processes inside.

use super::Rule;
use crate::estate::Estate;
use crate::finding::{Confidence, Finding, Severity};
use crate::launch::{Choice, launch};

pub(super) static RULE: Rule = Rule {
    id: "DW021",
    severity: Severity::High,
    title: "Container with the rights of the host",
    why: "What runs in it can become root of this computer: the container protects nothing.",
    fix: "take the option out; mount single directories, read-only where that is enough",
    check,
};

fn check(estate: &Estate) -> Vec<Finding> {
    let mut found = Vec::new();
    for (document, server) in estate.servers() {
        let launch = launch(server);
        for choice in launch.container.iter().flat_map(|container| &container.options) {
            if let Some(what) = danger(choice) {
                let evidence = format!("{} run {}: {what}", launch.program, shown(choice));
                found.push(Finding::new(&RULE, Confidence::High, document.site(choice.at), document.subject(server), evidence));
            }
        }
    }
    found
}

fn shown(choice: &Choice) -> String {
    if choice.value == "true" { choice.name.clone() } else { format!("{} {}", choice.name, choice.value) }
}

fn danger(choice: &Choice) -> Option<&'static str> {
    let value = choice.value.as_str();
    match choice.name.as_str() {
        "--privileged" if value != "false" => Some("all rights of the host"),
        "--cap-add"
            if matches!(
                value.trim_start_matches("CAP_").to_ascii_uppercase().as_str(),
                "ALL" | "SYS_ADMIN" | "SYS_MODULE" | "SYS_PTRACE"
            ) =>
        {
            Some("a right that leads out of the container")
        }
        "--pid" if value == "host" => Some("the processes of the host"),
        "--security-opt" if value.replace('=', ":").ends_with(":unconfined") => Some("its confinement is off"),
        "-v" | "--volume" => mount(value.split(':').next().unwrap_or_default()),
        "--mount" => {
            let source = value.split(',').find_map(|part| part.strip_prefix("source=").or_else(|| part.strip_prefix("src=")));
            mount(source.unwrap_or_default())
        }
        _ => None,
    }
}

fn mount(source: &str) -> Option<&'static str> {
    let source = source.trim();
    if source.ends_with("docker.sock") || source.ends_with("podman.sock") || source.ends_with("containerd.sock") {
        return Some("the socket of the engine, which starts anything as root");
    }
    let parts: Vec<&str> = source.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    match parts.as_slice() {
        [] if source.starts_with('/') => Some("the whole root of the host"),
        ["etc" | "root" | "proc" | "sys" | "boot" | "dev"] if source.starts_with('/') => Some("a system directory of the host"),
        _ if source.eq_ignore_ascii_case("c") || source.eq_ignore_ascii_case("c:\\") => Some("the whole root of the host"),
        _ => None,
    }
}
