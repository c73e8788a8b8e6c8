//! Package runners (STD-08): programs that fetch what they run. Says which package a command would fetch, whether its version is
//! exact, and whether the policy lets it start. Only reads; what is fetched and checked is the shell's.
//!
//! What is behind a script, or behind a link of another name, is not seen: there the approval of the command is all there is.

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
    of(&words, 0, 0)
}

/// Wrappers within wrappers are followed so far.
const MAX_WRAPPERS: usize = 6;
const SHELLS: [&str; 7] = ["sh", "bash", "dash", "zsh", "ash", "ksh", "fish"];
/// Programs that start the one behind their own options and assignments.
const WRAPPERS: [&str; 9] = ["env", "sudo", "doas", "nohup", "nice", "ionice", "setsid", "stdbuf", "timeout"];
/// Options of npm and its kin that have a value of their own.
const NPM_VALUES: [&str; 7] = ["--registry", "--prefix", "--userconfig", "--cache", "--loglevel", "-w", "--workspace"];
/// Options of uv and pipx that have one.
const PYPI_VALUES: [&str; 16] = [
    "--python",
    "-p",
    "--index-url",
    "-i",
    "--extra-index-url",
    "--index",
    "--default-index",
    "--directory",
    "--project",
    "--env-file",
    "--cache-dir",
    "--config-file",
    "--pip-args",
    "--with-requirements",
    "--with-editable",
    "--constraints",
];
/// Options of `docker run` without a value.
const DOCKER_SWITCHES: [&str; 12] = [
    "--rm",
    "--init",
    "--interactive",
    "--tty",
    "--privileged",
    "--read-only",
    "--detach",
    "--no-healthcheck",
    "--sig-proxy",
    "--publish-all",
    "--oom-kill-disable",
    "--quiet",
];

fn of(words: &[&str], from: usize, level: usize) -> Option<Run> {
    let (program, rest) = words.get(from..)?.split_first()?;
    let program = base(program);
    let (second, third) = (rest.first().copied().unwrap_or_default(), rest.get(1).copied().unwrap_or_default());
    let plain = level == 0;
    let npm = |runner, skip| Some(npm(runner, words, from + skip, plain));
    let pypi = |runner, skip, names| Some(pypi(runner, words, from + skip, (names, plain)));
    match (program.as_str(), second, third) {
        ("npx", ..) => npm("npx", 1),
        ("bunx", ..) => npm("bunx", 1),
        ("pnpx", ..) => npm("pnpx", 1),
        ("npm", "exec" | "x", _) => npm("npm exec", 2),
        ("pnpm", "dlx", _) => npm("pnpm dlx", 2),
        ("yarn", "dlx", _) => npm("yarn dlx", 2),
        ("bun", "x", _) => npm("bun x", 2),
        ("uvx", ..) => pypi("uvx", 1, Names::Package),
        ("uv", "tool", "run") => pypi("uv tool run", 3, Names::Package),
        ("uv", "x", _) => pypi("uv x", 2, Names::Package),
        ("pipx", "run", _) => pypi("pipx run", 2, Names::Package),
        ("uv", ..) => {
            // Options of uv itself stand before its command.
            let run = rest.iter().position(|word| *word == "run")?;
            let is_tool = run.checked_sub(1).and_then(|at| rest.get(at)) == Some(&"tool");
            let (runner, names) = if is_tool { ("uv tool run", Names::Package) } else { ("uv run", Names::Script) };
            pypi(runner, run + 2, names)
        }
        ("docker" | "podman" | "nerdctl", "run", _) => Some(container(words, from + 2, plain)),
        ("docker" | "podman" | "nerdctl", "container", "run") => Some(container(words, from + 3, plain)),
        ("deno", "run" | "x", _)
            if rest.iter().any(|word| word.starts_with("npm:") || word.starts_with("jsr:") || word.contains("://")) =>
        {
            Some(opaque("deno run", words.len(), plain))
        }
        ("go", "run", _) => Some(opaque("go run", words.len(), plain)),
        ("node" | "nodejs" | "bun", script, _) if matches!(base(script).as_str(), "npx-cli.js" | "npx") => behind(npm("npx", 2)),
        ("node" | "nodejs" | "bun", script, "exec" | "x") if matches!(base(script).as_str(), "npm-cli.js" | "npm") => {
            behind(npm("npm exec", 3))
        }
        (python, "-m", "uv" | "pipx") if python.starts_with("python") => of(words, from + 2, level + 1),
        ("corepack", ..) if level < MAX_WRAPPERS => of(words, from + 1, level + 1),
        (shell, ..) if SHELLS.contains(&shell) && level < MAX_WRAPPERS => {
            let at = rest.iter().position(|word| word.starts_with('-') && !word.starts_with("--") && word.ends_with('c'))?;
            script(rest.get(at + 1)?, words.len(), level)
        }
        (wrapper, ..) if WRAPPERS.contains(&wrapper) && level < MAX_WRAPPERS => {
            // Their options may have values, so the first word that is a runner counts.
            (from + 1..words.len()).find_map(|at| of(words, at, level + 1))
        }
        _ => None,
    }
}

fn behind(run: Option<Run>) -> Option<Run> {
    run.map(|run| Run { plain: false, ..run })
}

/// The first runner in a script, as far as spaces tell.
fn script(text: &str, rest: usize, level: usize) -> Option<Run> {
    text.split(['|', ';', '&', '\n', '(', ')', '`', '{', '}']).find_map(|part| {
        let words: Vec<&str> = part.split_whitespace().map(|word| word.trim_matches(['"', '\''])).collect();
        let from = words.iter().position(|word| !word.contains('=') && !matches!(*word, "exec" | "command"))?;
        of(&words, from, level + 1).map(|run| Run { rest, plain: false, ..run })
    })
}

fn opaque(runner: &'static str, rest: usize, plain: bool) -> Run {
    Run { runner, packages: Vec::new(), entry: None, rest, plain }
}

fn base(path: &str) -> String {
    let name = path.rsplit(['/', '\\']).next().unwrap_or_default().to_ascii_lowercase();
    let plain = [".exe", ".cmd", ".bat", ".ps1"].iter().find_map(|ending| name.strip_suffix(ending));
    plain.unwrap_or(&name).to_owned()
}

fn npm(runner: &'static str, words: &[&str], from: usize, plain: bool) -> Run {
    let mut run = opaque(runner, words.len(), plain);
    let mut at = from;
    while let Some(word) = words.get(at) {
        at += 1;
        match *word {
            "-p" | "--package" => {
                run.packages.extend(words.get(at).map(|text| npm_package(text)));
                at += 1;
            }
            "--" => {}
            // A line for a shell: nobody can tell what it runs.
            "-c" | "--call" => return opaque(runner, words.len(), plain),
            _ if word.starts_with("--call=") => return opaque(runner, words.len(), plain),
            _ if word.starts_with("--package=") => run.packages.push(npm_package(word.trim_start_matches("--package="))),
            _ if NPM_VALUES.contains(word) => at += 1,
            _ if word.starts_with('-') => {}
            _ => {
                if run.packages.is_empty() {
                    run.packages.push(npm_package(word));
                } else {
                    run.entry = Some((*word).to_owned());
                }
                run.rest = at;
                break;
            }
        }
    }
    run
}

fn npm_package(text: &str) -> Package {
    let (name, version) = match text.rsplit_once('@') {
        Some((name, version)) if !name.is_empty() => (name, Some(version.to_owned())),
        _ => (text, None),
    };
    let part = |part: &str| !part.is_empty() && !part.starts_with('.') && part.bytes().all(is_plain);
    let is_name = match name.strip_prefix('@') {
        Some(scoped) => scoped.split_once('/').is_some_and(|(scope, name)| part(scope) && part(name)),
        None => part(name),
    };
    let registry = if is_name { Registry::Npm } else { Registry::Other };
    let exact = is_name && version.as_deref().is_some_and(is_release_of_npm);
    Package { registry, text: text.to_owned(), name: name.to_owned(), version, exact }
}

const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

/// Whether the first word that is no option names a package, or a script.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Names {
    Package,
    Script,
}

fn pypi(runner: &'static str, words: &[&str], from: usize, (names, plain): (Names, bool)) -> Run {
    let mut run = opaque(runner, words.len(), plain);
    let (mut at, mut is_named, mut extra) = (from, false, Vec::new());
    while let Some(word) = words.get(at) {
        at += 1;
        let inline = word.split_once('=').filter(|(name, _)| name.starts_with("--"));
        match *word {
            "--from" | "--spec" => {
                is_named = true;
                run.packages.extend(words.get(at).map(|text| pypi_package(text)));
                at += 1;
            }
            "--with" | "-w" => {
                extra.extend(words.get(at).into_iter().flat_map(|text| text.split(',')).map(pypi_package));
                at += 1;
            }
            "--" => {}
            _ if inline.is_some() => match inline {
                Some(("--from" | "--spec", text)) => {
                    is_named = true;
                    run.packages.push(pypi_package(text));
                }
                Some(("--with", text)) => extra.extend(text.split(',').map(pypi_package)),
                _ => {}
            },
            _ if PYPI_VALUES.contains(word) => at += 1,
            _ if word.starts_with('-') => {}
            _ => {
                match (names, is_named) {
                    (Names::Package, false) => run.packages.push(pypi_package(word)),
                    (Names::Package, true) => run.entry = Some((*word).to_owned()),
                    // What a project or a script needs stands in files, not here.
                    (Names::Script, _) => return Run { packages: Vec::new(), ..run },
                }
                run.rest = at;
                break;
            }
        }
    }
    run.packages.append(&mut extra);
    run
}

fn pypi_package(text: &str) -> Package {
    let text = text.trim();
    let (front, version) = match text.split_once("===").or_else(|| text.split_once("==")).or_else(|| text.split_once('@')) {
        Some((name, version)) => (name, Some(version.trim().to_owned())),
        None => (text, None),
    };
    // `name[extra]` asks for more of the same project.
    let name = front.split('[').next().unwrap_or_default().trim();
    let is_name = !name.is_empty() && !name.starts_with('.') && name.bytes().all(is_plain) && version.as_deref() != Some("");
    let registry = if is_name { Registry::PyPi } else { Registry::Other };
    let exact = is_name && version.as_deref().is_some_and(is_release_of_pypi);
    Package { registry, text: text.to_owned(), name: name.to_owned(), version, exact }
}

fn container(words: &[&str], from: usize, plain: bool) -> Run {
    let mut run = opaque("container", words.len(), plain);
    let mut at = from;
    while let Some(word) = words.get(at) {
        at += 1;
        let takes_the_next = match word.strip_prefix("--") {
            Some(long) => !long.contains('=') && !DOCKER_SWITCHES.contains(word),
            None => match word.strip_prefix('-') {
                // Switches may be written together; a letter with a value may have it at once.
                Some(letters) if !letters.is_empty() => {
                    letters.find(|c: char| !"itdPq".contains(c)).is_some_and(|letter| letter + 1 == letters.len())
                }
                _ => {
                    let (name, digest) = word.split_once("@sha256:").map_or((*word, None), |(name, digest)| (name, Some(digest)));
                    let is_hex = |text: &str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
                    let version = digest.map(|digest| format!("sha256:{digest}"));
                    let exact = digest.is_some_and(is_hex) && !name.is_empty();
                    let (text, name) = ((*word).to_owned(), name.to_owned());
                    run.packages.push(Package { registry: Registry::Image, text, name, version, exact });
                    run.rest = at;
                    break;
                }
            },
        };
        at += usize::from(takes_the_next);
    }
    run
}

/// One release (semver.org 2.0.0): three numbers, then what makes it one of several before or after.
fn is_release_of_npm(version: &str) -> bool {
    let (core, tail) = version.find(['-', '+']).and_then(|at| version.split_at_checked(at)).unwrap_or((version, ""));
    let number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()) && (part == "0" || !part.starts_with('0'));
    let rest = |tail: &str| tail.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'+' | b'.')) && tail.len() != 1;
    core.split('.').count() == 3 && core.split('.').all(number) && rest(tail)
}

/// One release (PEP 440): it begins with a number and holds nothing that stands for several.
fn is_release_of_pypi(version: &str) -> bool {
    version.starts_with(|c: char| c.is_ascii_digit())
        && version.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'!' | b'+' | b'-' | b'_'))
}

// === impl Run ===

impl Run {
    /// The one package that can be installed beforehand, if there is one.
    #[must_use]
    pub fn installable(&self) -> Option<&Package> {
        match self.packages.as_slice() {
            [only] if self.plain && only.exact && matches!(only.registry, Registry::Npm | Registry::PyPi) => Some(only),
            _ => None,
        }
    }

    fn problem(&self, server: &str, integrity: Option<&Integrity>) -> Option<Problem> {
        let runner = self.runner;
        if let [Package { registry: Registry::Image, text, exact, .. }] = self.packages.as_slice() {
            let fix = "name it by its digest, IMAGE@sha256:..., as docker images --digests shows it".to_owned();
            return (!exact).then(|| Problem { what: format!("the image {text} is whatever its registry says today"), fix });
        }
        let install = "install it and name its program: for Python a virtual environment with hashed requirements, for Node npm ci";
        if self.packages.is_empty() {
            return Some(Problem { what: format!("nobody can tell what {runner} would fetch"), fix: install.to_owned() });
        }
        if let Some(loose) = self.packages.iter().find(|package| !package.exact) {
            let what = format!("{runner} would fetch whatever version of {} its registry offers", loose.text);
            let fix = match loose.registry {
                Registry::Npm => format!("name one version: {}@1.2.3; then: doorward server install {server}", loose.name),
                Registry::PyPi => format!("name one version: {}==1.2.3; then: doorward server install {server}", loose.name),
                Registry::Image | Registry::Other => install.to_owned(),
            };
            return Some(Problem { what, fix });
        }
        let names: Vec<&str> = self.packages.iter().map(|package| package.text.as_str()).collect();
        match (self.installable(), integrity) {
            (Some(_), Some(_)) => None,
            (Some(_), None) => {
                let what = format!("{runner} trusts its registry for {} and for everything that it needs", names.join(", "));
                Some(Problem { what, fix: format!("keep a copy that is checked at each start: doorward server install {server}") })
            }
            (None, _) => Some(Problem { what: format!("{runner} trusts its registry for {}", names.join(", ")), fix: install.to_owned() }),
        }
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
