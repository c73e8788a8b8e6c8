//! What a package runner would fetch, from its own arguments.

use super::{Package, Registry, Run};

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
/// Options of `docker run` without a value, where podman agrees.
const RUN_SWITCHES: [&str; 12] = [
    "rm",
    "init",
    "interactive",
    "tty",
    "privileged",
    "read-only",
    "detach",
    "no-healthcheck",
    "sig-proxy",
    "publish-all",
    "oom-kill-disable",
    "quiet",
];
/// Options of `docker run` with a value, where podman agrees. Of all others nobody can tell which word is the image.
const RUN_VALUES: &[&str] = &[
    "add-host",
    "annotation",
    "attach",
    "cap-add",
    "cap-drop",
    "cgroup-parent",
    "cgroupns",
    "cidfile",
    "cpu-period",
    "cpu-quota",
    "cpu-shares",
    "cpus",
    "cpuset-cpus",
    "cpuset-mems",
    "device",
    "dns",
    "dns-search",
    "entrypoint",
    "env",
    "env-file",
    "expose",
    "gpus",
    "group-add",
    "health-cmd",
    "health-interval",
    "health-retries",
    "health-start-period",
    "health-timeout",
    "hostname",
    "ip",
    "ip6",
    "ipc",
    "label",
    "label-file",
    "log-driver",
    "log-opt",
    "mac-address",
    "memory",
    "memory-reservation",
    "memory-swap",
    "memory-swappiness",
    "mount",
    "name",
    "network",
    "network-alias",
    "oom-score-adj",
    "pid",
    "pids-limit",
    "platform",
    "publish",
    "restart",
    "runtime",
    "security-opt",
    "shm-size",
    "stop-signal",
    "stop-timeout",
    "storage-opt",
    "sysctl",
    "tmpfs",
    "ulimit",
    "user",
    "userns",
    "uts",
    "volume",
    "volumes-from",
    "workdir",
];

/// A run of which nobody can tell what it fetches.
pub(super) const fn opaque(runner: &'static str, rest: usize, plain: bool) -> Run {
    Run { runner, packages: Vec::new(), entry: None, rest, option: None, plain }
}

/// An option that says nothing of what is fetched.
pub(super) fn is_quiet(word: &str) -> bool {
    matches!(word, "-y" | "--yes" | "-q" | "--quiet")
}

/// The name of an option, without a value that stands in the same word: it may be an address with a password.
pub(super) fn label(word: &str) -> String {
    if word.starts_with("--") { word.split('=').next().unwrap_or_default().to_owned() } else { word.chars().take(2).collect() }
}

/// What npm and its kin would fetch.
pub(super) fn npm(runner: &'static str, words: &[&str], from: usize, plain: bool) -> Run {
    let mut run = opaque(runner, words.len(), plain);
    let mut at = from;
    let mut is_ended = false;
    while let Some(word) = words.get(at) {
        at += 1;
        match *word {
            _ if is_ended => {
                run.positional(word, at);
                return run;
            }
            "-p" | "--package" => {
                run.packages.extend(words.get(at).map(|text| npm_package(text)));
                at += 1;
            }
            "--" => is_ended = true,
            // A line for a shell: nobody can tell what it runs.
            "-c" | "--call" => return opaque(runner, words.len(), plain),
            _ if word.starts_with("--call=") => return opaque(runner, words.len(), plain),
            _ if word.starts_with("--package=") => run.packages.push(npm_package(word.trim_start_matches("--package="))),
            _ if is_quiet(word) => {}
            _ if word.starts_with('-') => {
                run.note(word);
                at += usize::from(NPM_VALUES.contains(word));
            }
            _ => {
                run.positional(word, at);
                break;
            }
        }
    }
    if runner == "npm exec" {
        run.behind_the_name(words);
    }
    run
}

impl Run {
    fn note(&mut self, option: &str) {
        self.option.get_or_insert_with(|| label(option));
    }

    /// The first word that is no option of npm: a package, or the command of one that was named before.
    fn positional(&mut self, word: &str, next: usize) {
        if self.packages.is_empty() {
            self.packages.push(npm_package(word));
        } else {
            self.entry = Some(word.to_owned());
        }
        self.rest = next;
    }

    /// `npm exec`, other than `npx`, takes options for itself also behind the name, up to `--`.
    fn behind_the_name(&mut self, words: &[&str]) {
        let behind = words.get(self.rest..).unwrap_or_default();
        if behind.first() == Some(&"--") {
            self.rest += 1;
        } else if let Some(option) = behind.iter().find(|word| word.starts_with('-')) {
            self.note(option);
        }
    }
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

/// What uv and pipx would fetch.
pub(super) fn pypi(runner: &'static str, words: &[&str], from: usize, plain: bool) -> Run {
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
            _ if is_quiet(word) => {}
            _ if inline.is_some() => match inline {
                Some(("--from" | "--spec", text)) => {
                    is_named = true;
                    run.packages.push(pypi_package(text));
                }
                Some(("--with", text)) => extra.extend(text.split(',').map(pypi_package)),
                _ => run.note(word),
            },
            _ if word.starts_with('-') => {
                run.note(word);
                at += usize::from(PYPI_VALUES.contains(word));
            }
            _ => {
                if is_named {
                    run.entry = Some((*word).to_owned());
                } else {
                    run.packages.push(pypi_package(word));
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

/// Which image `docker run` and its kin would fetch.
pub(super) fn container(words: &[&str], from: usize, plain: bool) -> Run {
    let mut run = opaque("container", words.len(), plain);
    let (mut at, mut is_ended) = (from, false);
    while let Some(word) = words.get(at) {
        at += 1;
        let takes_the_next = match (word.strip_prefix("--"), word.strip_prefix('-').filter(|letters| !letters.is_empty())) {
            (Some(""), _) if !is_ended => {
                is_ended = true;
                Some(false)
            }
            (Some(long), _) if !is_ended => {
                let is_switch = long.contains('=') || RUN_SWITCHES.contains(&long);
                if is_switch { Some(false) } else { RUN_VALUES.contains(&long).then_some(true) }
            }
            (None, Some(letters)) if !is_ended => short(letters),
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
        };
        let Some(takes_the_next) = takes_the_next else {
            run.note(word);
            break;
        };
        at += usize::from(takes_the_next);
    }
    run
}

/// Whether short options take the next word; `None` if one is not known. Switches may be written together, and a letter with a value
/// may have it at once.
fn short(letters: &str) -> Option<bool> {
    let Some(with) = letters.find(|c: char| !"itdPq".contains(c)) else { return Some(false) };
    let (_, tail) = letters.split_at_checked(with)?;
    tail.starts_with(['a', 'c', 'e', 'h', 'l', 'm', 'p', 'u', 'v', 'w']).then_some(tail.len() == 1)
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
