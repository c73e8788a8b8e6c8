//! DW020: a program that is fetched anew in whatever version is newest: `npx x`, `uvx x`, an image without a tag.

use super::Rule;
use crate::estate::Estate;
use crate::finding::{Confidence, Finding, Severity};
use crate::launch::{Pin, Registry, launch};

pub(super) static RULE: Rule = Rule {
    id: "DW020",
    severity: Severity::Low,
    title: "Runs whatever version is newest",
    why: "Whoever takes over the package runs code on this computer at the next start, without a change that anybody sees.",
    fix: "name one version (npx x@1.2.3, uvx x==1.2.3) or digest (image@sha256:..)",
    check,
};

fn check(estate: &Estate) -> Vec<Finding> {
    let mut found = Vec::new();
    for (document, server) in estate.servers() {
        let launch = launch(server);
        for package in launch.packages.iter().filter(|package| package.pin == Pin::Loose) {
            let version = package.version.as_deref().map_or_else(|| "no version".to_owned(), |version| format!("version {version}"));
            let from = match package.registry {
                Registry::Npm => "npm",
                Registry::PyPi => "PyPI",
                Registry::Git => "a repository",
            };
            let evidence = format!("{}: {} from {from}, {version}", launch.program, without_user(&package.name));
            found.push(Finding::new(&RULE, Confidence::High, document.site(package.at), document.subject(server), evidence));
        }
        if let Some(image) = launch.container.and_then(|container| container.image)
            && let Some(tag) = moving_tag(&image.text)
        {
            let evidence = format!("{}: image {}, {tag}", launch.program, image.text);
            found.push(Finding::new(&RULE, Confidence::High, document.site(image.at), document.subject(server), evidence));
        }
    }
    found
}

/// An address without what stands before its host.
fn without_user(name: &str) -> String {
    let Some((scheme, rest)) = name.split_once("://") else { return name.to_owned() };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    format!("{scheme}://{}/{path}", authority.rsplit('@').next().unwrap_or_default())
}

/// Why an image is another one tomorrow.
fn moving_tag(image: &str) -> Option<&'static str> {
    if image.contains("@sha256:") || image.contains('$') {
        return None;
    }
    let name = image.rsplit('/').next().unwrap_or_default();
    match name.split_once(':') {
        None => Some("no tag"),
        Some((_, "latest" | "main" | "master" | "edge" | "nightly")) => Some("a tag that moves"),
        Some(_) => None,
    }
}
