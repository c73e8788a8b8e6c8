//! `[server.<name>]`: where a server is, who sees it, as whom it is called, which of its tools exist.

use super::values::{is_loopback_host, is_private};
use super::{Checker, Complaint, Servers, count, screening};
use crate::config::file::{AskingWord, EraWord, ForeignTokensWord, ProcessLimitsFile, ServerFile, ShareWord, StrictnessWord, ToolsFile};
use crate::config::reference::is_variable;
use crate::config::schema::escaped;
use crate::config::units::{Rate, Size};
use crate::config::{Asking, EraPreference, ProcessLimits, Selector, Server, Share, Stdio, Target, ToolRules};
use crate::contract::Measure;
use crate::glob::Glob;
use crate::id::ServerName;
use crate::launch::{Integrity, runner};
use http::{HeaderName, HeaderValue};
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use url::{Host, Url};

/// Headers that Doorward itself writes: a fixed one would change what a request means.
const OWN_HEADERS: [&str; 18] = [
    "accept",
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "last-event-id",
    "origin",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

/// Headers that carry secrets and so belong into `credential`.
const SECRET_HEADERS: [&str; 6] = ["authorization", "cookie", "proxy-authorization", "x-api-key", "x-auth-token", "api-key"];

/// Keys that only a `command` has.
const OF_COMMANDS: [&str; 5] = ["env", "cwd", "integrity", "share", "limits"];

/// Keys that only a `url` has.
const OF_URLS: [&str; 2] = ["headers", "tls"];

impl Checker<'_> {
    pub(super) fn servers(&mut self, files: BTreeMap<String, ServerFile>) -> Servers {
        let mut servers = Servers::new();
        for (text, file) in files {
            let path = ["server", text.as_str()];
            let name = ServerName::new(&text);
            if name.is_err() {
                let message = format!("\"{}\" is not a name for a server", escaped(&text));
                let suggestion: String = text.to_lowercase().replace(['_', ' ', '.'], "-");
                let help = match ServerName::new(&suggestion) {
                    Ok(suggestion) => format!("a-z, 0-9 and -, at most 31, no - first: \"{suggestion}\""),
                    Err(_) => "a-z, 0-9 and -, at most 31, no - first".to_owned(),
                };
                self.bad_key(&path, ("config.server_name", message, "not a name", help));
            }
            let server = self.server(&text, name.clone().ok(), file);
            if let (Ok(name), Some(server)) = (name, server) {
                servers.insert(name, Arc::new(server));
            }
        }
        servers
    }

    fn server(&mut self, text: &str, name: Option<ServerName>, mut file: ServerFile) -> Option<Server> {
        let under = |key: &'static str| ["server", text, key];
        let url = file.url.take();
        let command = file.command.take();
        let broken = self.misfit(&under("url")) || self.misfit(&under("command"));
        let is_command = command.is_some();
        let target = match (url, command) {
            (Some(_), Some(_)) => {
                let message = format!("the server \"{}\" has both url and command", escaped(text));
                self.bad(&under("command"), ("config.two_targets", message, "and this", "keep one of the two".to_owned()));
                None
            }
            (None, None) => {
                if !broken {
                    let message = format!("the server \"{}\" has neither url nor command", escaped(text));
                    let help = "add url = \"https://...\", or command = [\"/absolute/program\", \"argument\"]".to_owned();
                    self.bad_key(&["server", text], ("config.no_target", message, "where is it?", help));
                }
                None
            }
            (Some(url), None) => self.upstream_url(&under("url"), &url).map(|url| Target::Http { url }),
            (None, Some(argv)) => self.stdio(text, argv, &mut file),
        };
        if target.is_some() {
            self.misplaced(text, is_command);
        }
        let title = self.words(&under("title"), file.title);
        let screened = screening::modes(self.screening, file.screening.unwrap_or_default());
        let server = Server {
            title: title.unwrap_or_else(|| text.to_owned()),
            description: self.words(&under("description"), file.description),
            enabled: file.enabled.unwrap_or(true),
            visible_to: self.visible_to(&under("visible_to"), file.visible_to),
            credential: self.credential(text, file.credential, is_command),
            tools: self.tools(text, file.tools.unwrap_or_default()),
            era: match file.era {
                None | Some(EraWord::Auto) => EraPreference::Auto,
                Some(EraWord::Legacy) => EraPreference::Legacy,
                Some(EraWord::Modern) => EraPreference::Modern,
            },
            headers: self.headers(text, file.headers.unwrap_or_default()),
            timeout: self.span(&under("timeout"), file.timeout, Duration::from_secs(30), 1..=3_600),
            idle: self.span(&under("idle"), file.idle, Duration::from_secs(600), 10..=86_400),
            ca: file.tls.unwrap_or_default().ca.and_then(|ca| self.path(&["server", text, "tls", "ca"], &ca)),
            elicitation: asking(file.elicitation, Asking::Allowed),
            sampling: asking(file.sampling, Asking::Denied),
            // Flagged unless it is said otherwise: what a schema forbids may work today, and a token may be what a tool is for.
            arguments: file.arguments.map_or(Measure::Flag, |word| match word {
                StrictnessWord::Strict => Measure::Refuse,
                StrictnessWord::Flag => Measure::Flag,
                StrictnessWord::Off => Measure::Off,
            }),
            foreign_tokens: file.foreign_tokens.map_or(screening::of_tokens(screened.arguments), |word| match word {
                ForeignTokensWord::Refuse => Measure::Refuse,
                ForeignTokensWord::Flag => Measure::Flag,
                ForeignTokensWord::Off => Measure::Off,
            }),
            screening: screened,
            name: name?,
            target: target?,
        };
        Some(server)
    }

    fn misplaced(&mut self, server: &str, is_command: bool) {
        let (keys, what): (&[&str], &str) = if is_command { (&OF_URLS, "a url") } else { (&OF_COMMANDS, "a command") };
        for key in keys {
            if self.has(&["server", server, key]) {
                let message = format!("{key} is for servers with {what}");
                let help = format!("remove {key}, or give the server {what}");
                self.bad_key(&["server", server, key], ("config.wrong_place", message, "not used here", help));
            }
        }
    }

    fn upstream_url(&mut self, path: &[&str], text: &str) -> Option<Url> {
        let form = "the MCP endpoint of the server, such as https://api.example/mcp";
        let Ok(url) = Url::parse(text) else {
            self.bad(path, ("config.url", "this is not a URL".to_owned(), "not a URL", form.to_owned()));
            return None;
        };
        let host = url.host_str().unwrap_or_default();
        let complaint: Option<Complaint<'_>> = if !matches!(url.scheme(), "https" | "http") || host.is_empty() {
            Some(("config.url", "this is not a web address".to_owned(), "neither https nor http", form.to_owned()))
        } else if !url.username().is_empty() || url.password().is_some() {
            let help = "take it out and name it in credential = { kind = \"header\", ... }".to_owned();
            Some(("config.literal_secret", "the URL holds a user name or password".to_owned(), "a secret", help))
        } else if url.scheme() == "http" && !is_loopback_host(host) {
            let help = "use https; http is for loopback hosts only".to_owned();
            Some(("config.plain_http", format!("calls to {host} would not be protected"), "http", help))
        } else if url.fragment().is_some() {
            Some(("config.url", "the URL has a fragment, which is never sent".to_owned(), "#", "remove it from the # on".to_owned()))
        } else {
            self.unreachable(&url)
        };
        if let Some(complaint) = complaint {
            self.bad(path, complaint);
            return None;
        }
        Some(url)
    }

    /// An address that outbound connections will refuse is better refused here.
    fn unreachable(&self, url: &Url) -> Option<Complaint<'static>> {
        let ip = match url.host()? {
            Host::Ipv4(ip) => std::net::IpAddr::from(ip),
            Host::Ipv6(ip) => ip.to_ipv4_mapped().map_or_else(|| ip.into(), Into::into),
            Host::Domain(_) => return None,
        };
        let link_local = match ip {
            std::net::IpAddr::V4(ip) => ip.is_link_local(),
            std::net::IpAddr::V6(ip) => ip.is_unicast_link_local(),
        };
        if link_local || ip.is_unspecified() || ip.is_multicast() {
            let help = "clouds keep their metadata and keys at link-local addresses; they are never called".to_owned();
            return Some(("config.forbidden_address", format!("{ip} is never called"), "forbidden", help));
        }
        let net = IpNet::from(ip);
        let listed = ip.is_loopback() || self.private.iter().any(|range| range.contains(&ip));
        (is_private(&net) && !listed).then(|| {
            let help = format!("add its network to [egress]: allow_private = [\"{net}\"]");
            ("config.private_address", format!("{ip} is a private address that is not listed"), "private", help)
        })
    }

    fn stdio(&mut self, server: &str, argv: Vec<String>, file: &mut ServerFile) -> Option<Target> {
        let path = ["server", server, "command"];
        let complaint: Option<Complaint<'_>> = match argv.first() {
            None => {
                Some(("config.empty", "command is empty".to_owned(), "empty", "write [\"/absolute/program\", \"argument\"]".to_owned()))
            }
            Some(program) if !Path::new(program).is_absolute() => {
                let message = format!("\"{}\" is not an absolute path", escaped(program));
                let help = if argv.len() == 1 && program.contains(' ') {
                    "no shell reads this: write the program and each argument as an element of their own"
                } else {
                    "write where the program is: PATH is not searched, so that nobody else decides what runs"
                };
                Some(("config.command", message, "not absolute", help.to_owned()))
            }
            Some(_) if argv.iter().any(|argument| argument.contains('\0')) => {
                Some(("config.command", "an argument holds a NUL".to_owned(), "NUL", "remove it".to_owned()))
            }
            Some(_) => None,
        };
        let sound = complaint.is_none();
        if let Some(complaint) = complaint {
            self.bad(&path, complaint);
        }
        let mut env = BTreeMap::new();
        for (variable, text) in file.env.take().unwrap_or_default() {
            let path = ["server", server, "env", variable.as_str()];
            if !is_variable(&variable) {
                let message = format!("\"{}\" is not the name of a variable", escaped(&variable));
                self.bad_key(&path, ("config.variable_name", message, "not a name", "letters, digits and _".to_owned()));
            }
            if let Some(reference) = self.secret(&path, &text) {
                env.insert(variable, reference);
            }
        }
        let cwd = file.cwd.take().and_then(|text| self.path(&["server", server, "cwd"], &text));
        let integrity = file.integrity.take().and_then(|text| self.integrity(server, &argv, &text));
        let share = match file.share {
            None | Some(ShareWord::None) => Share::None,
            Some(ShareWord::All) => Share::All,
        };
        let limits = self.process_limits(server, file.limits.take().unwrap_or_default());
        sound.then_some(Target::Stdio(Stdio { argv, env, cwd, integrity, runners: self.runners, share, limits }))
    }

    /// It means something only for a runner whose package can be told, and kept beforehand.
    fn integrity(&mut self, server: &str, argv: &[String], text: &str) -> Option<Integrity> {
        let path = ["server", server, "integrity"];
        let integrity = text.parse().ok();
        let is_of_use = runner(argv).is_some_and(|run| run.installable().is_some());
        if integrity.is_none() {
            let help = "write what doorward server install printed: sha256: and 64 hex digits".to_owned();
            self.bad(&path, ("config.integrity", "this is not an integrity".to_owned(), "wrong form", help));
        } else if !is_of_use {
            let message = "integrity is for a runner with one package in an exact version".to_owned();
            let help = "write [\"/usr/bin/npx\", \"-y\", \"PACKAGE@1.2.3\"] or [\"/usr/bin/uvx\", \"PACKAGE==1.2.3\"]".to_owned();
            self.bad(&path, ("config.integrity", message, "checks nothing here", help));
        }
        integrity.filter(|_| is_of_use)
    }

    fn process_limits(&mut self, server: &str, file: ProcessLimitsFile) -> ProcessLimits {
        let under = |key: &'static str| ["server", server, "limits", key];
        let restart = Rate { count: count(5), per: Duration::from_secs(60) };
        ProcessLimits {
            memory: self.size(&under("memory"), file.memory, Size::bytes(512 << 20), (16 << 20)..=(1 << 40)),
            cpu_millis: file.cpu.and_then(|text| self.cpu(&under("cpu"), &text)).unwrap_or(count(1_000)),
            processes: file.processes.unwrap_or(count(32)),
            restart: self.rate(&under("restart"), file.restart).unwrap_or(restart),
        }
    }

    fn cpu(&mut self, path: &[&str], text: &str) -> Option<NonZeroU32> {
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str| (1..=3).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        let millis = (digits(whole) && digits(part)).then(|| {
            let part = format!("{part:0<3}").parse::<u32>().unwrap_or_default();
            whole.parse::<u32>().unwrap_or_default().saturating_mul(1_000).saturating_add(part)
        });
        let Some(millis) = millis.filter(|millis| *millis >= 10) else {
            let message = format!("\"{}\" is not a number of processors", escaped(text));
            self.bad(path, ("config.form", message, "wrong form", "write \"1\", \"0.5\" or \"4\"; from \"0.01\" on".to_owned()));
            return None;
        };
        NonZeroU32::new(millis)
    }

    fn visible_to(&mut self, path: &[&str], items: Option<Vec<String>>) -> Vec<Selector> {
        if items.as_ref().is_some_and(Vec::is_empty) {
            let help = "name somebody, leave the key out for everybody, or set enabled = false for nobody".to_owned();
            self.bad(path, ("config.empty", "visible_to is empty".to_owned(), "empty", help));
        }
        self.each(path, &items.unwrap_or_default(), Checker::selector)
    }

    pub(super) fn header_name(&mut self, path: &[&str], text: &str) -> Option<HeaderName> {
        let name = HeaderName::from_bytes(text.as_bytes()).ok();
        let own = name.as_ref().is_some_and(|name| OWN_HEADERS.contains(&name.as_str()) || name.as_str().starts_with("mcp-"));
        if own {
            let message = format!("the header {} belongs to the protocol", escaped(text));
            self.bad(path, ("config.header", message, "not yours to set", "choose another header".to_owned()));
            return None;
        }
        if name.is_none() {
            let message = format!("\"{}\" is not the name of a header", escaped(text));
            self.bad(path, ("config.header", message, "not a name", "letters, digits and -: X-Api-Key".to_owned()));
        }
        name
    }

    fn headers(&mut self, server: &str, files: BTreeMap<String, String>) -> Vec<(HeaderName, HeaderValue)> {
        let mut headers: Vec<(HeaderName, HeaderValue)> = Vec::new();
        for (key, text) in files {
            let path = ["server", server, "headers", key.as_str()];
            let Some(name) = self.header_name(&path, &key) else { continue };
            if SECRET_HEADERS.contains(&name.as_str()) {
                let message = format!("the header {name} carries a secret");
                let help = format!("use credential = {{ kind = \"header\", name = \"{name}\", value = \"file:PATH\" }}");
                self.bad_key(&path, ("config.literal_secret", message, "a secret", help));
                continue;
            }
            if headers.iter().any(|(known, _)| *known == name) {
                let message = format!("the header {name} stands here twice: case does not count");
                self.bad_key(&path, ("config.duplicate_key", message, "again", "keep one of the two".to_owned()));
                continue;
            }
            match HeaderValue::from_str(&text) {
                Ok(value) if !text.trim().is_empty() => headers.push((name, value)),
                _ => {
                    let message = format!("the header {name} has no value that can be sent");
                    self.bad(&path, ("config.header", message, "not sendable", "one line of visible characters".to_owned()));
                }
            }
        }
        headers
    }

    fn tools(&mut self, server: &str, file: ToolsFile) -> ToolRules {
        let mut globs = |key: &'static str, items: Option<Vec<String>>| {
            let path = ["server", server, "tools", key];
            if key == "allow" && items.as_ref().is_some_and(Vec::is_empty) {
                let help = "name tools, leave the key out for all that were approved, or set enabled = false".to_owned();
                self.bad(&path, ("config.empty", "tools.allow is empty".to_owned(), "empty", help));
            }
            self.each(&path, &items.unwrap_or_default(), |checker, path, text| {
                let glob = Glob::parse(text);
                if glob.is_none() {
                    let message = format!("\"{}\" is not a pattern for tools", escaped(text));
                    let help =
                        "the name of the tool as its server gives it; * stands for any characters and is the only wildcard".to_owned();
                    checker.bad(path, ("config.tool_glob", message, "not a pattern", help));
                }
                glob
            })
        };
        let rules = ToolRules {
            deny: globs("deny", file.deny),
            read: globs("read", file.read),
            write: globs("write", file.write),
            destructive: globs("destructive", file.destructive),
            allow: None,
        };
        let has_allow = file.allow.is_some();
        let allow = globs("allow", file.allow);
        ToolRules { allow: has_allow.then_some(allow), ..rules }
    }
}

fn asking(word: Option<AskingWord>, default: Asking) -> Asking {
    match word {
        None => default,
        Some(AskingWord::Allow) => Asking::Allowed,
        Some(AskingWord::Deny) => Asking::Denied,
    }
}
