//! Package runners (STD-08): programs that fetch what they run. Says which package a command would fetch, whether its version is
//! exact, and whether the policy lets it start. Only reads; what is fetched and checked is the shell's.
//!
//! What is behind a script file, in a script that hides it, behind a wrapper that is not known, or behind a link of another name is
//! not seen: there the approval of the command is all there is.

mod find;
mod words;

use std::fmt;
use std::str::FromStr;

/// What may be done with commands that are package runners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PackageRunners {
    /// None starts.
    Refuse,
    /// One starts with an exact version and from a copy whose digest is known; a container from an image named by digest.
    Pinned,
    /// Every one starts; whatever is not pinned is warned of and recorded.
    Warn,
}

/// SHA-256 of an installed package with everything that it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Integrity([u8; 32]);

/// A text is not `sha256:<64 hex digits>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an integrity has the form sha256:<64 hex digits>")]
pub struct BadIntegrity;

/// Where a runner fetches from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registry {
    /// Packages of Node.
    Npm,
    /// Packages of Python.
    PyPi,
    /// Images of containers.
    Image,
    /// A repository, a URL, a directory, or nothing that is named.
    Other,
}

/// What a runner would fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// From where.
    pub registry: Registry,
    /// As the command names it, version included.
    pub text: String,
    /// Its name alone.
    pub name: String,
    /// The version that is named, exact or not.
    pub version: Option<String>,
    /// Whether only one release can be meant.
    pub exact: bool,
}

/// A command that is a package runner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The runner: `npx`, `uv tool run`.
    pub runner: &'static str,
    /// What it fetches; empty if that cannot be told.
    pub packages: Vec<Package>,
    /// The command of the package, where it is named besides.
    pub entry: Option<String>,
    /// Where the arguments of the package itself begin, counted in the whole command.
    pub rest: usize,
    /// The first option of the runner that a copy would not follow, such as another registry: its name, never its value.
    pub option: Option<String>,
    /// The runner is the program itself, not behind a wrapper or in a script.
    pub plain: bool,
}

/// Whether a command may start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ruling {
    /// It may.
    Fine,
    /// It may, and somebody should know.
    Warned(Problem),
    /// It must not.
    Refused(Problem),
}

/// What is wrong with a runner, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong; names the package, never a value of the environment.
    pub what: String,
    /// What to do.
    pub fix: String,
}

/// What to say of a server that is not refused for good: `server` is its name.
///
/// Laptop mode warns by default, everything else wants pins (ADR 9).
#[must_use]
pub fn rule(policy: PackageRunners, server: &str, argv: &[String], integrity: Option<&Integrity>) -> Ruling {
    let Some(run) = runner(argv) else { return Ruling::Fine };
    if policy == PackageRunners::Refuse {
        let fix = "install the package yourself and name its program, or set package_runners = \"pinned\" in [launch]".to_owned();
        return Ruling::Refused(Problem { what: format!("{} fetches what it runs, and no runner may start here", run.runner), fix });
    }
    match run.problem(server, integrity) {
        None => Ruling::Fine,
        Some(problem) if policy == PackageRunners::Warn => Ruling::Warned(problem),
        Some(problem) => Ruling::Refused(problem),
    }
}

/// The runner that a command is, if it is one.
#[must_use]
pub fn runner(argv: &[String]) -> Option<Run> {
    let words: Vec<&str> = argv.iter().map(String::as_str).collect();
    find::of(&words, 0, 0)
}

// === impl Run ===

impl Run {
    /// The one package that can be installed beforehand, if there is one.
    ///
    /// Not with an option that says from where, for which interpreter or otherwise how to fetch: the installer would ask another
    /// registry than the runner (dependency confusion). Not for bun, whose packages may want bun itself.
    #[must_use]
    pub fn installable(&self) -> Option<&Package> {
        match self.packages.as_slice() {
            [only] if self.option.is_none() && self.is_keepable() && only.exact && only.is_of_registry() => Some(only),
            _ => None,
        }
    }

    /// Its packages can be kept in a copy, if they are named as they should be.
    fn is_keepable(&self) -> bool {
        self.plain && !matches!(self.runner, "bunx" | "bun x")
    }

    fn problem(&self, server: &str, integrity: Option<&Integrity>) -> Option<Problem> {
        let runner = self.runner;
        if let [Package { registry: Registry::Image, text, exact, .. }] = self.packages.as_slice() {
            let fix = "name it by its digest, IMAGE@sha256:..., as docker images --digests shows it".to_owned();
            return (!exact).then(|| Problem { what: format!("the image {text} is whatever its registry says today"), fix });
        }
        let install = "install it and name its program: for Python a virtual environment with hashed requirements, for Node npm ci";
        if self.packages.is_empty() {
            let what = match &self.option {
                Some(option) => format!("nobody can tell what {runner} would fetch: {option} may have a value or not"),
                None => format!("nobody can tell what {runner} would fetch"),
            };
            let is_image = runner == "container" && self.option.is_some();
            let fix =
                if is_image { "write option and value in one word, --option=VALUE, and name the image by its digest" } else { install };
            return Some(Problem { what, fix: fix.to_owned() });
        }
        if let Some(loose) = self.packages.iter().find(|package| !package.exact) {
            let what = format!("{runner} would fetch whatever version of {} its registry offers", loose.text);
            let without = self.option.as_ref().map(|option| format!(", leave out {option}")).unwrap_or_default();
            let fix = match loose.registry {
                _ if !self.is_keepable() => install.to_owned(),
                Registry::Npm => format!("name one version: {}@1.2.3{without}; then: doorward server install {server}", loose.name),
                Registry::PyPi => format!("name one version: {}==1.2.3{without}; then: doorward server install {server}", loose.name),
                Registry::Image | Registry::Other => install.to_owned(),
            };
            return Some(Problem { what, fix });
        }
        let names: Vec<&str> = self.packages.iter().map(|package| package.text.as_str()).collect();
        let names = names.join(", ");
        match (self.installable(), integrity, &self.option) {
            (Some(_), Some(_), _) => None,
            (Some(_), None, _) => {
                let what = format!("{runner} trusts its registry for {names} and for everything that it needs");
                Some(Problem { what, fix: format!("keep a copy that is checked at each start: doorward server install {server}") })
            }
            (None, _, Some(option)) if self.is_keepable() => {
                let what = format!("{runner} is given {option} for {names}, which a copy would not follow");
                let fix = format!("leave {option} out; another registry is named with doorward server install {server} --registry URL");
                Some(Problem { what, fix })
            }
            (None, ..) => Some(Problem { what: format!("{runner} trusts its registry for {names}"), fix: install.to_owned() }),
        }
    }
}

// === impl Package ===

impl Package {
    const fn is_of_registry(&self) -> bool {
        matches!(self.registry, Registry::Npm | Registry::PyPi)
    }
}

// === impl Integrity ===

impl Integrity {
    /// From a digest.
    #[must_use]
    pub const fn new(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The digest.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The digits alone: the name of a directory.
    #[must_use]
    pub fn hex(&self) -> String {
        crate::audit::event::hex(&self.0)
    }
}

impl fmt::Display for Integrity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl FromStr for Integrity {
    type Err = BadIntegrity;

    fn from_str(text: &str) -> Result<Self, BadIntegrity> {
        text.strip_prefix("sha256:").and_then(crate::audit::event::unhex).map(Self).ok_or(BadIntegrity)
    }
}

#[cfg(test)]
mod tests;
