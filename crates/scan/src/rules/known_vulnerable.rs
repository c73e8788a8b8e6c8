//! DW024: a pinned version of a package with a known, published vulnerability, or a package that was malicious. The list is
//! part of the program, so that nothing is asked of anybody; it is as old as the program, and it is short: see `docs/scan.md`.
//! A package without a version is DW020.

use super::Rule;
use crate::estate::Estate;
use crate::finding::{Confidence, Finding, Severity};
use crate::launch::{Package, Registry, launch};

pub(super) static RULE: Rule = Rule {
    id: "DW024",
    severity: Severity::High,
    title: "Version with a known vulnerability",
    why: "How to attack this version is public.",
    fix: "raise the version to the one that is named, or remove the server",
    check,
};

/// Versions from `from` on and before `fixed` are affected.
struct Known {
    registry: Registry,
    name: &'static str,
    from: &'static str,
    fixed: Option<&'static str>,
    what: &'static str,
}

const fn npm(name: &'static str, from: &'static str, fixed: Option<&'static str>, what: &'static str) -> Known {
    Known { registry: Registry::Npm, name, from, fixed, what }
}

const fn pypi(name: &'static str, from: &'static str, fixed: Option<&'static str>, what: &'static str) -> Known {
    Known { registry: Registry::PyPi, name, from, fixed, what }
}

/// Pinned: what was published until the version of this program.
const KNOWN: [Known; 9] = [
    npm("mcp-remote", "0.0.5", Some("0.1.16"), "CVE-2025-6514: a server runs commands on this computer"),
    npm("@modelcontextprotocol/inspector", "0", Some("0.14.1"), "CVE-2025-49596: a web page runs commands on this computer"),
    npm("@modelcontextprotocol/server-filesystem", "0", Some("2025.7.1"), "CVE-2025-53109, CVE-2025-53110: out of the allowed directories"),
    npm("figma-developer-mcp", "0", Some("0.6.3"), "CVE-2025-53967: runs commands from file keys"),
    npm("@playwright/mcp", "0", Some("0.0.40"), "CVE-2025-9611: Origin is not checked, so web pages reach it"),
    npm("gemini-mcp-tool", "1.1.2", Some("1.1.6"), "GHSA-28qq-5f47-r5x2: runs commands from prompts"),
    npm("mcp-package-docs", "0", Some("0.1.28"), "GHSA-vf9j-h32g-2764: runs commands from package names"),
    npm("postmark-mcp", "1.0.16", None, "malicious: copies every message to a stranger"),
    pypi("mcp-server-git", "0", Some("2025.12.18"), "CVE-2025-68143, CVE-2025-68144, CVE-2025-68145: out of the repository"),
];

fn check(estate: &Estate) -> Vec<Finding> {
    let mut found = Vec::new();
    for (document, server) in estate.servers() {
        for package in &launch(server).packages {
            let Some(known) = KNOWN.iter().find(|known| known.affects(package)) else { continue };
            let version = package.version.as_deref().unwrap_or_default();
            let evidence = format!("{} {version}: {}", known.name, known.what);
            let fix = match known.fixed {
                Some(fixed) => format!("raise {} to {fixed} or later", known.name),
                None => format!("remove {} and take back every credential that it had", known.name),
            };
            found.push(Finding::new(&RULE, Confidence::High, document.site(package.at), document.subject(server), evidence).fixed_by(fix));
        }
    }
    found
}

// === impl Known ===

impl Known {
    fn affects(&self, package: &Package) -> bool {
        let name = package.name.to_ascii_lowercase();
        let same = match self.registry {
            Registry::PyPi => name.replace(['_', '.'], "-") == self.name,
            _ => name == self.name,
        };
        let Some(version) = package.version.as_deref().filter(|version| version.starts_with(|c: char| c.is_ascii_digit())) else {
            return false;
        };
        let version = numbers(version);
        same && package.registry == self.registry
            && version >= numbers(self.from)
            && self.fixed.is_none_or(|fixed| version < numbers(fixed))
    }
}

/// A version as numbers that compare; a part that is no number ends it.
fn numbers(version: &str) -> Vec<u64> {
    let core = version.split(['-', '+']).next().unwrap_or_default();
    let mut numbers: Vec<u64> = core.split('.').map_while(|part| part.parse().ok()).collect();
    numbers.resize(4, 0);
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        assert!(
            numbers("0.1.9") < numbers("0.1.16") && numbers("2025.7.01") == numbers("2025.7.1") && numbers("1.0.0-rc.1") == numbers("1")
        );
    }
}
