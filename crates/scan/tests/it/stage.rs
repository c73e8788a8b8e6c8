//! A computer in a scratch directory: a home, a project and a root with files, and the secrets that were planted in them.
//!
//! No file of the repository holds a token: texts say `@@github@@`, and the stage makes something of that shape from a fixed
//! walk through an alphabet. It belongs to nobody, and where an issuer has a checksum it does not fit.

use doorward_scan::{Computer, Depth, Layout, Os, Report, Request, Target, scan};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A file as fixtures describe it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Planted {
    /// `~/x` in the home, `/x` in the root, else in the project.
    pub path: String,
    #[serde(default)]
    pub text: String,
    /// Octal; 600 if it is not said.
    pub mode: Option<String>,
    /// In the index of the project's, or the home's, repository.
    #[serde(default)]
    pub tracked: bool,
    /// Directories above get this mode.
    pub above: Option<String>,
}

/// The computer.
pub(crate) struct Stage {
    scratch: PathBuf,
    pub os: Os,
    pub secrets: BTreeSet<String>,
    tracked: Vec<(PathBuf, PathBuf)>,
}

/// Kinds of secrets: name in texts, what comes before, how long the rest is.
const SHAPES: [(&str, &str, usize); 19] = [
    ("github", "ghp_", 36),
    ("github2", "ghp_", 36),
    ("githubpat", "github_pat_", 60),
    ("gitlab", "glpat-", 20),
    ("slack", "xoxb-", 48),
    ("linear", "lin_api_", 40),
    ("openai", "sk-proj-", 48),
    ("anthropic", "sk-ant-", 60),
    ("google", "AIza", 35),
    ("googleaccess", "ya29.", 60),
    ("npm", "npm_", 36),
    ("doorward", "dwk_", 49),
    ("notion", "ntn_", 46),
    ("figma", "figd_", 40),
    ("hex", "", 40),
    ("random", "", 32),
    ("random2", "", 32),
    ("password", "", 14),
    ("key", "", 64),
];

static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Something of a shape, always the same.
pub(crate) fn made(name: &str) -> String {
    let (at, (_, prefix, length)) =
        SHAPES.iter().enumerate().find(|(_, shape)| shape.0 == name).unwrap_or_else(|| panic!("no shape {name}"));
    let letters: &[u8] = if name == "hex" { b"7f3a9c1e5b0d8246" } else { b"Zq7Wx3Ke9Rt2Yu6Ip4Ls8Dh5Gj1Mn0Vb" };
    let body = (0..*length).map(|step| char::from(letters[(step * 7 + step / letters.len() + at * 5 + step * step * 3) % letters.len()]));
    format!("{prefix}{}", body.collect::<String>())
}

impl Stage {
    pub(crate) fn new() -> Self {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let scratch = std::env::temp_dir().join(format!("doorward-scan-{}-{number}", std::process::id()));
        for directory in ["home", "project", "root"] {
            fs::create_dir_all(scratch.join(directory)).expect("scratch");
        }
        let scratch = fs::canonicalize(scratch).expect("scratch");
        chmod(&scratch, 0o755);
        Self { scratch, os: Os::Linux, secrets: BTreeSet::new(), tracked: Vec::new() }
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.scratch.join("home")
    }

    pub(crate) fn project(&self) -> PathBuf {
        self.scratch.join("project")
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        match (path.strip_prefix("~/"), path.strip_prefix('/')) {
            (Some(rest), _) => self.home().join(rest),
            (None, Some(rest)) => self.scratch.join("root").join(rest),
            (None, None) => self.project().join(path),
        }
    }

    /// A text with its secrets in.
    pub(crate) fn filled(&mut self, text: &str) -> String {
        let mut out = String::new();
        for (at, part) in text.split("@@").enumerate() {
            if at % 2 == 0 {
                out.push_str(part);
                continue;
            }
            let (name, form) = part.split_once(':').unwrap_or((part, ""));
            let secret = made(name);
            out.push_str(&match form {
                "" => secret.clone(),
                "jwt" => format!("eyJhbGciOiJub25lIn0.{secret}.{secret}"),
                "pem" => format!("-----BEGIN PRIVATE KEY-----\\n{secret}\\n-----END PRIVATE KEY-----"),
                "gcloud" => {
                    // {"aud":"32555940559.apps.googleusercontent.com"}
                    format!("eyJhbGciOiJub25lIn0.eyJhdWQiOiIzMjU1NTk0MDU1OS5hcHBzLmdvb2dsZXVzZXJjb250ZW50LmNvbSJ9.{secret}")
                }
                other => panic!("no form {other}"),
            });
            let prefix = SHAPES.iter().find(|shape| shape.0 == name).map_or("", |shape| shape.1);
            self.secrets.insert(secret.trim_start_matches(prefix).to_owned());
        }
        out.replace("%HOME%", &self.home().to_string_lossy()).replace("%PROJECT%", &self.project().to_string_lossy())
    }

    pub(crate) fn plant(&mut self, planted: &Planted) {
        let path = self.path(&planted.path);
        let text = self.filled(&planted.text);
        fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
        fs::write(&path, text).expect("written");
        chmod(&path, octal(planted.mode.as_deref().unwrap_or("600")));
        if let Some(above) = &planted.above {
            chmod(path.parent().expect("a parent"), octal(above));
        }
        if planted.tracked {
            let top = if planted.path.starts_with("~/") { self.home() } else { self.project() };
            self.tracked.push((top, path));
        }
    }

    /// What a scan of the whole computer and the project says.
    pub(crate) fn scan(&self) -> Report {
        self.write_indexes();
        let layout =
            Layout { os: self.os, home: self.home(), root: Some(self.scratch.join("root")), moved: Vec::new(), here: Some(self.project()) };
        let paths = vec![Target { path: self.project(), depth: Depth::Below }];
        scan(&Request { layout, computer: Computer::Read, paths })
    }

    /// Minimal repositories: an index of version 2 is all that is read.
    fn write_indexes(&self) {
        for top in [self.home(), self.project()] {
            let mut names: Vec<&Path> =
                self.tracked.iter().filter(|(own, _)| *own == top).filter_map(|(top, path)| path.strip_prefix(top).ok()).collect();
            if names.is_empty() {
                continue;
            }
            names.sort();
            let mut index = b"DIRC\0\0\0\x02".to_vec();
            index.extend_from_slice(&u32::try_from(names.len()).expect("few").to_be_bytes());
            for name in names {
                let start = index.len();
                index.extend_from_slice(&[0; 62]);
                index.extend_from_slice(name.as_os_str().as_encoded_bytes());
                let pad = 8 - (index.len() - start) % 8;
                index.extend(std::iter::repeat_n(0, pad));
            }
            fs::create_dir_all(top.join(".git")).expect("repository");
            fs::write(top.join(".git/index"), index).expect("index");
        }
    }

    /// Output without what differs from machine to machine.
    pub(crate) fn plain(&self, text: &str) -> String {
        text.replace(&*self.scratch.to_string_lossy(), "[scratch]")
    }

    /// Fails if six characters in a row of a planted secret stand in a text. What its kind begins with, which everybody knows,
    /// and two characters more may be shown.
    pub(crate) fn assert_no_secret_in(&self, text: &str, what: &str) {
        for body in &self.secrets {
            let letters: Vec<char> = body.chars().collect();
            for window in letters.windows(6) {
                let part: String = window.iter().collect();
                assert!(!text.contains(&part), "{what} shows a part of a secret: {part}");
            }
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.scratch));
    }
}

/// Every form in which a report can be seen.
pub(crate) fn all_forms(report: &Report) -> String {
    let json = serde_json::Value::Object(report.json());
    format!("{}\n{json}\n{}\n{}\n{report:?}\n{report:#?}", report.text(80, doorward_scan::Color::Plain), report.sarif(), report.html())
}

pub(crate) fn os(name: Option<&str>) -> Os {
    match name {
        None | Some("linux") => Os::Linux,
        Some("macos") => Os::MacOs,
        Some("windows") => Os::Windows,
        Some(other) => panic!("no system {other}"),
    }
}

fn octal(text: &str) -> u32 {
    u32::from_str_radix(text, 8).expect("octal")
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("chmod");
}
