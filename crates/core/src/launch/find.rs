//! Where in a command a package runner stands: itself, behind options of its own, behind wrappers, or in a line for a shell.
//!
//! Where an option may have a value or not, so that the next word may be a command or not, the run is one of which nobody can tell
//! what it fetches: wrong in this way is a refusal with its reason, wrong in the other an unchecked program.

use super::Run;
use super::words::{container, is_quiet, label, npm, opaque, pypi};

/// Wrappers within wrappers are followed so far; more of them are a run of which nobody can tell anything.
const MAX_WRAPPERS: usize = 6;
const SHELLS: [&str; 9] = ["sh", "bash", "dash", "zsh", "ash", "ksh", "mksh", "fish", "pwsh"];
/// Programs that start the one behind their own options, assignments and commands.
const WRAPPERS: [&str; 41] = [
    "env",
    "sudo",
    "doas",
    "su",
    "runuser",
    "gosu",
    "su-exec",
    "setpriv",
    "nohup",
    "nice",
    "ionice",
    "chrt",
    "taskset",
    "prlimit",
    "setsid",
    "stdbuf",
    "timeout",
    "time",
    "xargs",
    "busybox",
    "unshare",
    "nsenter",
    "chroot",
    "firejail",
    "bwrap",
    "systemd-run",
    "tini",
    "dumb-init",
    "op",
    "doppler",
    "infisical",
    "dotenv",
    "dotenvx",
    "chamber",
    "aws-vault",
    "direnv",
    "mise",
    "asdf",
    "volta",
    "fnm",
    "cmd",
];
/// Options of npm and its kin itself that have a value, and some that have none.
const NPM_VALUES: [&str; 6] = ["--registry", "--prefix", "--userconfig", "--cache", "--loglevel", "--workspace"];
const NPM_SWITCHES: [&str; 3] = ["-s", "--silent", "--offline"];
const UV_VALUES: [&str; 4] = ["--directory", "--project", "--cache-dir", "--config-file"];
const DOCKER_VALUES: [&str; 7] = ["--config", "--context", "--host", "-H", "--tlscacert", "--tlscert", "--tlskey"];
const DOCKER_SWITCHES: [&str; 4] = ["--debug", "-D", "--tls", "--tlsverify"];

/// The runner that begins with the word `from`.
pub(super) fn of(words: &[&str], from: usize, level: usize) -> Option<Run> {
    known(&base(words.get(from)?), words, from + 1, level)
}

/// The runner that `program` is with the arguments from `at` on.
fn known(program: &str, words: &[&str], at: usize, level: usize) -> Option<Run> {
    let plain = level == 0;
    let opaque = |runner| opaque(runner, words.len(), plain);
    let nothing: [&str; 0] = [];
    match program {
        "npx" => Some(npm("npx", words, at, plain)),
        "bunx" => Some(npm("bunx", words, at, plain)),
        "pnpx" | "pnx" => Some(npm("pnpx", words, at, plain)),
        "npm" => {
            // npm takes the beginning of a command for the command, where no other one begins so.
            let is = |word: &str| word == "x" || ["exec", "init", "innit", "create"].iter().any(|name| is_short_for(word, name));
            let found = command(words, at, (&NPM_VALUES, &NPM_SWITCHES), is)?;
            Some(found.lend(if matches!(found.word, "x" | "exe" | "exec") {
                npm("npm exec", words, found.at + 1, plain)
            } else {
                opaque("npm init")
            }))
        }
        "pnpm" | "yarn" => {
            let found = command(words, at, (&NPM_VALUES, &NPM_SWITCHES), |word| matches!(word, "dlx" | "create"))?;
            Some(found.lend(match (program, found.word) {
                ("pnpm", "dlx") => npm("pnpm dlx", words, found.at + 1, plain),
                (_, "dlx") => npm("yarn dlx", words, found.at + 1, plain),
                ("pnpm", _) => opaque("pnpm create"),
                _ => opaque("yarn create"),
            }))
        }
        "uvx" => Some(pypi("uvx", words, at, plain)),
        "uv" => {
            let run = uv(words, at, plain);
            // Also where something unknown stands in between.
            run.or_else(|| words.get(at..)?.contains(&"run").then(|| opaque("uv run")))
        }
        "pipx" => {
            let found = command(words, at, (&nothing, &nothing), |word| word == "run")?;
            Some(found.lend(pypi("pipx run", words, found.at + 1, plain)))
        }
        "docker" | "podman" | "podman-remote" | "nerdctl" => engine(words, at, plain),
        "docker-compose" | "podman-compose" => composed(words, at).then(|| opaque("compose")),
        "deno" => {
            let is_foreign = |word: &&str| word.starts_with("npm:") || word.starts_with("jsr:") || word.contains("://");
            words.get(at..)?.iter().any(is_foreign).then(|| opaque("deno run"))
        }
        "go" => command(words, at, (&["-C"], &nothing), |word| word == "run").map(|_| opaque("go run")),
        "bun" | "node" | "nodejs" => {
            let own = |word: &str| program == "bun" && matches!(word, "x" | "create" | "c");
            if let Some(found) = command(words, at, (&nothing, &["--bun", "-b"]), own) {
                return Some(found.lend(if found.word == "x" { npm("bun x", words, found.at + 1, plain) } else { opaque("bun create") }));
            }
            let is = |word: &str| matches!(base(word).as_str(), "npx-cli.js" | "npx" | "npm-cli.js" | "npm");
            let found = command(words, at, (&nothing, &nothing), is)?;
            known(base(found.word).trim_end_matches("-cli.js"), words, found.at + 1, level + 1)
        }
        "corepack" => known(base(words.get(at)?).split('@').next()?, words, at + 1, level + 1),
        _ if program.starts_with("python") || program.starts_with("pypy") => {
            let (module, next) = module(words, at)?;
            matches!(module, "uv" | "pipx").then(|| known(module, words, next, level + 1)).flatten()
        }
        _ if SHELLS.contains(&program) || WRAPPERS.contains(&program) => {
            if level >= MAX_WRAPPERS {
                return Some(opaque("a wrapper"));
            }
            if SHELLS.contains(&program) { shell(words, at, level) } else { wrapped(words, at, level) }
        }
        _ => {
            // Whoever takes a command of somebody else takes it behind this.
            let end = words.get(at..)?.iter().position(|word| *word == "--")?;
            if level >= MAX_WRAPPERS { Some(opaque("a wrapper")) } else { of(words, at + end + 1, level + 1) }
        }
    }
}

/// What may stand for a command of npm: its beginning, if long enough to be no other.
fn is_short_for(word: &str, name: &str) -> bool {
    name.starts_with(word) && word.len() >= if name == "create" { 2 } else { 3 }
}

/// A command of a program, behind the program's own options.
struct Found<'a> {
    at: usize,
    word: &'a str,
    /// The first option before it that says something of what follows.
    option: Option<String>,
    /// Each option before it is known to have a value, or known to have none.
    is_clear: bool,
}

impl Found<'_> {
    /// The run with what stands before it.
    fn lend(&self, run: Run) -> Run {
        let run = if self.is_clear { run } else { opaque(run.runner, run.rest, run.plain) };
        Run { option: self.option.clone().or(run.option), ..run }
    }
}

/// The first word for which `is` holds, if only options and what may be their values stand before it.
fn command<'a>(words: &[&'a str], from: usize, (values, switches): (&[&str], &[&str]), is: impl Fn(&str) -> bool) -> Option<Found<'a>> {
    let (mut at, mut option, mut is_clear, mut may_be_value) = (from, None, true, false);
    loop {
        let word = *words.get(at)?;
        if word.starts_with('-') {
            may_be_value = false;
            if word != "--" && !is_quiet(word) {
                option = option.or_else(|| Some(label(word)));
                if values.contains(&word) {
                    at += 1;
                } else if !(switches.contains(&word) || word.starts_with("--") && word.contains('=')) {
                    (is_clear, may_be_value) = (false, true);
                }
            }
        } else if is(word) {
            return Some(Found { at, word, option, is_clear });
        } else if may_be_value {
            may_be_value = false;
        } else {
            return None;
        }
        at += 1;
    }
}

fn uv(words: &[&str], at: usize, plain: bool) -> Option<Run> {
    let options = (UV_VALUES.as_slice(), [].as_slice());
    let found = command(words, at, options, |word| matches!(word, "tool" | "run" | "x"))?;
    let run = match found.word {
        "tool" => {
            let under = command(words, found.at + 1, options, |word| word == "run")?;
            under.lend(pypi("uv tool run", words, under.at + 1, plain))
        }
        "x" => pypi("uv x", words, found.at + 1, plain),
        // What a project or a script needs stands in files, not here.
        _ => opaque("uv run", words.len(), plain),
    };
    Some(found.lend(run))
}

fn engine(words: &[&str], at: usize, plain: bool) -> Option<Run> {
    let options = (DOCKER_VALUES.as_slice(), DOCKER_SWITCHES.as_slice());
    let found = command(words, at, options, |word| matches!(word, "run" | "container" | "compose" | "mcp"))?;
    let next = found.at + 1;
    let run = match found.word {
        "run" => container(words, next, plain),
        "container" => {
            let under = command(words, next, options, |word| word == "run")?;
            under.lend(container(words, under.at + 1, plain))
        }
        _ if composed(words, next) => opaque("compose", words.len(), plain),
        _ => return None,
    };
    // Which engine runs it changes nothing of which image is meant.
    let option = if found.is_clear { run.option.clone() } else { found.option.clone() };
    Some(Run { option, ..found.lend(run) })
}

fn composed(words: &[&str], at: usize) -> bool {
    words.iter().skip(at).any(|word| matches!(*word, "run" | "up"))
}

/// What `python -m` starts, and where its arguments begin.
fn module<'a>(words: &[&'a str], from: usize) -> Option<(&'a str, usize)> {
    let mut at = from;
    loop {
        let word = *words.get(at)?;
        at += 1;
        if word.starts_with("--") {
            continue;
        }
        let letters = word.strip_prefix('-')?;
        let Some(letter) = letters.find(['m', 'c', 'W', 'X']) else { continue };
        let (with, value) = letters.split_at(letter).1.split_at(1);
        match (with, value) {
            ("m", "") => return words.get(at).map(|module| (*module, at + 1)),
            ("m", module) => return Some((module, at)),
            // A program in the command itself.
            ("c", _) => return None,
            (_, "") => at += 1,
            _ => {}
        }
    }
}

/// A line for a shell, and what it is given besides: `sh -c 'exec "$@"' x npx a`.
fn shell(words: &[&str], at: usize, level: usize) -> Option<Run> {
    let is_line = |word: &&str| {
        let long = word.strip_prefix("--").map(str::to_ascii_lowercase);
        long.map_or_else(|| word.strip_prefix('-').is_some_and(|word| word.contains('c')), |word| word.starts_with("command"))
    };
    let first = words.get(at..)?.iter().position(is_line)?;
    (at + first..words.len()).find_map(|here| {
        let word = words.get(here)?;
        let text = if word.starts_with('-') { word.split_once('=')?.1 } else { word };
        script(text, words.len(), level).or_else(|| of(words, here, level + 1))
    })
}

/// The first runner behind a wrapper. Its options may have values, so every word is one that may begin a command, and one with spaces
/// may be a line of its own (`env -S`, `su -c`).
fn wrapped(words: &[&str], at: usize, level: usize) -> Option<Run> {
    (at..words.len()).find_map(|here| {
        let word = *words.get(here)?;
        let line = match (word.strip_prefix("--"), word.strip_prefix('-')) {
            (Some(_), _) => word.split_once('=').map(|(_, text)| text),
            (None, Some(letters)) => letters.split_once('S').map(|(_, text)| text),
            (None, None) => (word.contains(char::is_whitespace) || word.contains("\\_")).then_some(word),
        };
        let of_line = || script(&line?.replace("\\_", " "), words.len(), level);
        of(words, here, level + 1).or_else(of_line)
    })
}

/// The first runner in a line for a shell, as far as spaces tell; what only looks like one counts, too.
fn script(text: &str, rest: usize, level: usize) -> Option<Run> {
    text.split(['|', ';', '&', '\n', '(', ')', '`', '{', '}']).find_map(|part| {
        let words: Vec<&str> = part.split_whitespace().map(|word| word.trim_matches(['"', '\''])).collect();
        let run = (0..words.len()).find_map(|from| of(&words, from, level + 1))?;
        Some(Run { rest, plain: false, ..run })
    })
}

fn base(path: &str) -> String {
    let name = path.rsplit(['/', '\\']).next().unwrap_or_default().to_ascii_lowercase();
    let plain = [".exe", ".cmd", ".bat", ".ps1"].iter().find_map(|ending| name.strip_suffix(ending));
    plain.unwrap_or(&name).to_owned()
}
