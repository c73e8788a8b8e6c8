//! What a stdio entry would start: the program behind its wrappers, packages with their versions, a container with its
//! options, the script of a shell. Only read, never run; ARCHITECTURE.md lists where processes may start, and it is not here.

use crate::document::Position;
use crate::server::Server;

/// What an entry would start.
#[derive(Debug, Default)]
pub(crate) struct Launch {
    /// The program behind wrappers, without directory and `.exe`.
    pub(crate) program: String,
    /// The program and its arguments.
    pub(crate) words: Vec<Word>,
    pub(crate) packages: Vec<Package>,
    pub(crate) container: Option<Container>,
    pub(crate) script: Option<Script>,
}

#[derive(Debug, Clone)]
pub(crate) struct Word {
    pub(crate) text: String,
    pub(crate) at: Position,
}

/// A package that a runner fetches.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) registry: Registry,
    pub(crate) name: String,
    pub(crate) version: Option<String>,
    pub(crate) pin: Pin,
    pub(crate) at: Position,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Registry {
    Npm,
    PyPi,
    /// A repository instead of a registry.
    Git,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pin {
    Exact,
    Loose,
}

#[derive(Debug, Default)]
pub(crate) struct Container {
    pub(crate) image: Option<Word>,
    pub(crate) options: Vec<Choice>,
}

/// An option of `docker run`.
#[derive(Debug)]
pub(crate) struct Choice {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) at: Position,
}

/// A text that a shell would interpret.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) shell: Shell,
    pub(crate) word: Word,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shell {
    /// `sh -c` and its kin.
    Unix,
    /// `cmd /c`, which Windows needs to start `npx` at all.
    Cmd,
    /// `powershell -Command`.
    Pwsh,
}

/// Wrappers within wrappers are followed so far.
const MAX_WRAPPERS: usize = 6;
/// Programs that start another one with the environment changed: `op run -- npx ...`.
const AFTER_DASHES: [&str; 7] = ["op", "doppler", "dotenvx", "infisical", "chamber", "aws-vault", "teller"];
/// Options of npx and its kin that have a value.
const NPM_VALUES: [&str; 6] = ["--registry", "--prefix", "--userconfig", "--cache", "--loglevel", "-w"];
const PYPI_VALUES: [&str; 12] = [
    "--python",
    "-p",
    "--index-url",
    "--extra-index-url",
    "--index",
    "--default-index",
    "--directory",
    "--project",
    "--env-file",
    "--cache-dir",
    "--config-file",
    "-i",
];
/// Options of `docker run` without a value.
const SWITCHES: [&str; 14] = [
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
    "--help",
    "--disable-content-trust",
];

/// What this server would start. Empty for one that is reached by a URL.
pub(crate) fn launch(server: &Server) -> Launch {
    let mut words: Vec<Word> = server.words().map(|field| Word { text: field.text.peek().to_owned(), at: field.at }).collect();
    // Some clients split a whole command line themselves.
    if let [only] = words.as_slice()
        && only.text.contains(' ')
        && !only.text.starts_with(['/', '~', '.'])
        && script_signs(&only.text).is_empty()
    {
        words = split(only);
    }
    of(words, 0)
}

fn of(words: Vec<Word>, level: usize) -> Launch {
    let Some(first) = words.first() else { return Launch::default() };
    let program = base(&first.text);
    let mut launch = Launch { program, words, ..Launch::default() };
    if level < MAX_WRAPPERS && unwrap(&mut launch, level) {
        return launch;
    }
    let rest: Vec<Word> = launch.words.iter().skip(1).cloned().collect();
    let second = rest.first().map_or("", |word| word.text.as_str()).to_owned();
    let later = |count: usize| rest.get(count..).unwrap_or_default();
    match (launch.program.as_str(), second.as_str()) {
        ("npx" | "bunx", _) => launch.packages = npm(&rest),
        ("pnpm" | "yarn", "dlx") | ("npm", "exec" | "x") | ("bun", "x") => launch.packages = npm(later(1)),
        ("uvx", _) => launch.packages = pypi(&rest, From::Command),
        ("pipx", "run") => launch.packages = pypi(later(1), From::Command),
        ("deno", "run") => launch.packages = deno(later(1)),
        ("go", "run") => {
            launch.packages = later(1).iter().find(|word| !word.text.starts_with('-')).and_then(go_package).into_iter().collect()
        }
        ("uv", _) => {
            // Options of uv itself stand before its command.
            if let Some(at) = rest.iter().position(|word| word.text == "run") {
                let tool = at.checked_sub(1).and_then(|before| rest.get(before)).is_some_and(|word| word.text == "tool");
                launch.packages = pypi(later(at + 1), if tool { From::Command } else { From::Options });
            }
        }
        ("docker" | "podman" | "nerdctl", "run") => launch.container = Some(container(later(1))),
        ("docker" | "podman" | "nerdctl", "container") if rest.get(1).is_some_and(|word| word.text == "run") => {
            launch.container = Some(container(later(2)));
        }
        _ => {}
    }
    launch
}

/// Looks behind a wrapper. True if there was one and the launch is that of what it wraps.
fn unwrap(launch: &mut Launch, level: usize) -> bool {
    let rest = |count: usize| launch.words.iter().skip(count).cloned().collect::<Vec<Word>>();
    let option = launch.words.get(1).map_or("", |word| word.text.as_str());
    let inner = match launch.program.as_str() {
        "env" | "sudo" | "nohup" | "nice" | "exec" | "command" => {
            let skip = launch.words.iter().skip(1).take_while(|word| word.text.starts_with('-') || word.text.contains('=')).count();
            rest(skip + 1)
        }
        "cmd" if option.eq_ignore_ascii_case("/c") => {
            let script = joined(&rest(2));
            launch.script = script.map(|word| Script { shell: Shell::Cmd, word });
            rest(2)
        }
        "sh" | "bash" | "zsh" | "dash" | "ash" | "ksh" | "fish" => {
            let Some(at) =
                launch.words.iter().position(|word| word.text.starts_with('-') && !word.text.starts_with("--") && word.text.ends_with('c'))
            else {
                return false;
            };
            let Some(word) = launch.words.get(at + 1).cloned() else { return false };
            let inner = split(&word);
            launch.script = Some(Script { shell: Shell::Unix, word });
            inner
        }
        "powershell" | "pwsh" => {
            let is_command = |word: &Word| ["-c", "-command", "/c"].iter().any(|name| word.text.eq_ignore_ascii_case(name));
            let Some(at) = launch.words.iter().position(is_command) else { return false };
            launch.script = joined(&rest(at + 1)).map(|word| Script { shell: Shell::Pwsh, word });
            rest(at + 1)
        }
        "wsl" => rest(1),
        name if AFTER_DASHES.contains(&name) => match launch.words.iter().position(|word| word.text == "--") {
            Some(at) => rest(at + 1),
            None => return false,
        },
        _ => return false,
    };
    let below = of(inner, level + 1);
    launch.packages = below.packages;
    launch.container = below.container;
    launch.script = launch.script.take().or(below.script);
    if !below.words.is_empty() {
        launch.program = below.program;
        launch.words = below.words;
    }
    true
}

fn base(path: &str) -> String {
    let name = path.rsplit(['/', '\\']).next().unwrap_or_default().to_ascii_lowercase();
    let plain = [".exe", ".cmd", ".bat", ".ps1"].iter().find_map(|ending| name.strip_suffix(ending));
    plain.unwrap_or(&name).to_owned()
}

fn joined(words: &[Word]) -> Option<Word> {
    let text: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    words.first().map(|first| Word { text: text.join(" "), at: first.at })
}

/// Words of a script as far as spaces tell; the first command of several.
fn split(word: &Word) -> Vec<Word> {
    let first = word.text.split(['|', ';', '&', '\n']).map(str::trim).find(|part| !part.is_empty()).unwrap_or_default();
    first.split_whitespace().map(|text| Word { text: text.trim_matches(['"', '\'']).to_owned(), at: word.at }).collect()
}

/// What makes a shell do more than start one program.
pub(crate) fn script_signs(text: &str) -> Vec<&'static str> {
    ["|", "&&", ";", "`", "$(", ">", "<", " & "].into_iter().filter(|sign| text.contains(sign)).collect()
}

fn npm(words: &[Word]) -> Vec<Package> {
    let mut found = Vec::new();
    let mut named = false;
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let text = word.text.as_str();
        match text {
            "-p" | "--package" => {
                named = true;
                found.extend(words.next().and_then(npm_package));
            }
            "--" => {}
            _ if text.starts_with("--package=") => {
                named = true;
                found.extend(npm_package(&Word { text: text.trim_start_matches("--package=").to_owned(), at: word.at }));
            }
            _ if NPM_VALUES.contains(&text) => {
                words.next();
            }
            _ if text.starts_with('-') => {}
            _ => {
                // What follows the first name are its own arguments.
                if !named {
                    found.extend(npm_package(word));
                }
                break;
            }
        }
    }
    found
}

fn npm_package(word: &Word) -> Option<Package> {
    let text = word.text.as_str();
    if text.starts_with(['.', '/', '~', '$']) || text.starts_with("file:") || text.is_empty() || text.contains('\\') {
        return None;
    }
    if text.contains("://") || text.starts_with("github:") || text.starts_with("git+") || (!text.starts_with('@') && text.contains('/')) {
        let version = text.split_once('#').map(|(_, version)| version.to_owned());
        let pin = if version.as_deref().is_some_and(is_commit) { Pin::Exact } else { Pin::Loose };
        return Some(Package {
            registry: Registry::Git,
            name: text.split('#').next().unwrap_or_default().to_owned(),
            version,
            pin,
            at: word.at,
        });
    }
    let (name, version) = match text.rsplit_once('@') {
        Some((name, version)) if !name.is_empty() => (name, Some(version.to_owned())),
        _ => (text, None),
    };
    let pin = if version.as_deref().is_some_and(is_exact) { Pin::Exact } else { Pin::Loose };
    Some(Package { registry: Registry::Npm, name: name.to_owned(), version, pin, at: word.at })
}

/// Whether the command of a runner names a package, or only its options do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    Command,
    Options,
}

fn pypi(words: &[Word], from: From) -> Vec<Package> {
    let mut found = Vec::new();
    let mut named = from == From::Options;
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let text = word.text.as_str();
        let inline = ["--from=", "--with=", "--spec="].iter().find_map(|name| Some((name, text.strip_prefix(*name)?)));
        match text {
            "--from" | "--spec" => {
                named = true;
                found.extend(words.next().and_then(pypi_package));
            }
            "--with" => found.extend(words.next().and_then(pypi_package)),
            _ if inline.is_some() => {
                named = named || !text.starts_with("--with");
                let text = inline.map_or("", |(_, value)| value).to_owned();
                found.extend(pypi_package(&Word { text, at: word.at }));
            }
            _ if PYPI_VALUES.contains(&text) => {
                words.next();
            }
            _ if text.starts_with('-') => {}
            _ => {
                if !named {
                    found.extend(pypi_package(word));
                }
                break;
            }
        }
    }
    found
}

fn pypi_package(word: &Word) -> Option<Package> {
    let text = word.text.trim();
    if text.starts_with(['.', '/', '~', '$']) || text.is_empty() || text.contains('\\') {
        return None;
    }
    if let Some(url) = text.split_once("git+").map(|(_, url)| url).or_else(|| text.contains("://").then_some(text)) {
        let path = url.split_once("://").map_or(url, |(_, path)| path);
        let version = path.split_once('/').and_then(|(_, path)| path.rsplit_once('@')).map(|(_, version)| version.to_owned());
        let pin = if version.as_deref().is_some_and(is_commit) { Pin::Exact } else { Pin::Loose };
        return Some(Package { registry: Registry::Git, name: url.to_owned(), version, pin, at: word.at });
    }
    let (name, version) = match text.split_once("==").or_else(|| text.split_once('@')) {
        Some((name, version)) => (name, Some(version.trim().to_owned())),
        None => (text.split(['>', '<', '~', '!', '=']).next().unwrap_or_default(), None),
    };
    let name = name.split('[').next().unwrap_or_default().trim();
    let pin = if version.as_deref().is_some_and(is_release) { Pin::Exact } else { Pin::Loose };
    Some(Package { registry: Registry::PyPi, name: name.to_owned(), version, pin, at: word.at })
}

/// `npm:x@1.2.3` and `jsr:@a/x@1.2.3`.
fn deno(words: &[Word]) -> Vec<Package> {
    let Some(word) = words.iter().find(|word| !word.text.starts_with('-')) else { return Vec::new() };
    let text = ["npm:", "jsr:"].iter().find_map(|front| word.text.strip_prefix(front));
    text.and_then(|text| npm_package(&Word { text: text.to_owned(), at: word.at })).into_iter().collect()
}

fn go_package(word: &Word) -> Option<Package> {
    let (name, version) = word.text.split_once('@')?;
    let pin = if version.strip_prefix('v').is_some_and(is_exact) || is_commit(version) { Pin::Exact } else { Pin::Loose };
    Some(Package { registry: Registry::Git, name: name.to_owned(), version: Some(version.to_owned()), pin, at: word.at })
}

/// One release of npm: three numbers.
fn is_exact(version: &str) -> bool {
    let core = version.split(['-', '+']).next().unwrap_or_default();
    core.split('.').count() == 3 && core.split('.').all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit()))
}

/// One release of PyPI.
fn is_release(version: &str) -> bool {
    version.starts_with(|c: char| c.is_ascii_digit()) && version.contains('.') && !version.contains(['*', ',', '<', '>'])
}

fn is_commit(version: &str) -> bool {
    version.len() >= 7 && version.chars().all(|c| c.is_ascii_hexdigit())
}

fn container(words: &[Word]) -> Container {
    let mut found = Container::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let text = word.text.as_str();
        let mut choose = |name: &str, value: &str| {
            found.options.push(Choice { name: name.to_owned(), value: value.to_owned(), at: word.at });
        };
        if let Some((name, value)) = text.split_once('=').filter(|(name, _)| name.starts_with("--")) {
            choose(name, value);
        } else if SWITCHES.contains(&text) {
            choose(text, "true");
        } else if text.starts_with("--") {
            choose(text, words.next().map_or("", |value| value.text.as_str()));
        } else if let Some(letters) = text.strip_prefix('-').filter(|letters| !letters.is_empty()) {
            let split = letters.find(|c: char| !"itdPq".contains(c));
            let (name, value) =
                split.and_then(|at| letters.get(at..)).map_or(("", ""), |rest| rest.split_at_checked(1).unwrap_or((rest, "")));
            if !name.is_empty() {
                let value =
                    if value.is_empty() { words.next().map_or("", |value| value.text.as_str()) } else { value.trim_start_matches('=') };
                choose(&format!("-{name}"), value);
            }
        } else {
            found.image = Some(word.clone());
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(line: &str) -> Launch {
        of(line.split(' ').map(|text| Word { text: text.replace('_', " "), at: Position::START }).collect(), 0)
    }

    fn package(line: &str) -> (String, Option<String>, Pin) {
        let launch = started(line);
        let package = launch.packages.first().unwrap_or_else(|| panic!("{line}: no package"));
        (package.name.clone(), package.version.clone(), package.pin)
    }

    #[test]
    fn packages_are_found_behind_runners_and_wrappers() {
        let exact = |name: &str, version: &str| (name.to_owned(), Some(version.to_owned()), Pin::Exact);
        let loose = |name: &str| (name.to_owned(), None, Pin::Loose);
        assert_eq!(package("npx -y @a/b"), loose("@a/b"));
        assert_eq!(package("/usr/bin/npx -y @a/b@1.2.3 --flag x"), exact("@a/b", "1.2.3"));
        assert_eq!(package("npx.cmd --package=a@1.0.0 b"), exact("a", "1.0.0"));
        assert_eq!(package("cmd /c npx -y a@1.0.0-rc.1"), exact("a", "1.0.0-rc.1"));
        assert_eq!(package("pnpm dlx a@^1"), ("a".to_owned(), Some("^1".to_owned()), Pin::Loose));
        assert_eq!(package("uvx --from a[cli]==1.2 b"), exact("a", "1.2"));
        assert_eq!(package("uvx --python 3.12 a"), loose("a"));
        assert_eq!(package("uv tool run a@0.3.1"), exact("a", "0.3.1"));
        assert_eq!(package("env A=b op run --env-file=x -- npx -y a"), loose("a"));
        assert_eq!(package("sh -c npx_-y_a@1.0.0"), exact("a", "1.0.0"));
        assert_eq!(package("uvx --from git+https://g.test/a/b@0123abc b").2, Pin::Exact);
        assert_eq!(package("npx github:a/b").2, Pin::Loose);
        assert_eq!(package("deno run --allow-net npm:@a/b@1.0.0"), exact("@a/b", "1.0.0"));
        assert_eq!(package("go run github.com/a/b@v1.2.3").2, Pin::Exact);
        assert_eq!(package("uv --directory /x run --with a server.py"), loose("a"));
        assert_eq!(package("uv --quiet tool run a"), loose("a"));
        assert!(started("uv run --directory /x server.py").packages.is_empty());
        assert!(started("node /x/index.js").packages.is_empty());
    }

    #[test]
    fn containers_have_options_and_an_image() {
        let launch = started("docker run -i --rm -e TOKEN --network host -v /:/host:ro --privileged -p8080:80 ghcr.io/a/b:1 --verbose");
        let container = launch.container.expect("container");
        assert_eq!(container.image.expect("image").text, "ghcr.io/a/b:1");
        let names: Vec<String> = container.options.iter().map(|choice| format!("{}={}", choice.name, choice.value)).collect();
        assert_eq!(names, ["--rm=true", "-e=TOKEN", "--network=host", "-v=/:/host:ro", "--privileged=true", "-p=8080:80"]);
    }

    #[test]
    fn scripts_are_seen() {
        let shell = |line: &str| started(line).script.map(|script| script.shell);
        assert_eq!(shell("bash -lc curl_x|sh"), Some(Shell::Unix));
        assert_eq!(shell("cmd /c npx -y a"), Some(Shell::Cmd));
        assert_eq!(shell("powershell -NoProfile -Command iwr_x"), Some(Shell::Pwsh));
        assert_eq!(shell("bash script.sh"), None);
    }
}
