//! What is to run, and the proof that an administrator approved exactly that (I9; STD-01, STD-02).
//!
//! A profile is immutable once made. There is no template, no expansion and no shell: each argument reaches `execve`
//! as it stands here. Must not start anything.

use doorward_core::id::ServerName;
use doorward_core::launch::Integrity;
use doorward_core::secret::{Secret, sha256};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The variables that every child gets and no profile may set.
pub const FIXED: [&str; 4] = ["PATH", "HOME", "LANG", "TZ"];

/// Arguments, program included.
const MAX_ARGUMENTS: usize = 256;
/// Variables.
const MAX_VARIABLES: usize = 256;
/// Bytes of one argument or value; the kernel's own limit for one string is 128 KiB.
const MAX_TEXT: usize = 64 * 1024;
/// Bytes of all arguments, names and values.
const MAX_TOTAL: usize = 1024 * 1024;

/// One command of one server, with everything that decides what it can do.
#[derive(Debug)]
pub struct LaunchProfile {
    server: ServerName,
    argv: Vec<String>,
    env: Vec<Variable>,
    cwd: Option<PathBuf>,
    limits: Limits,
    package: Option<Package>,
}

/// The installed package that is started instead of the runner that the command is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Of everything that is in it: part of what is approved.
    pub integrity: Integrity,
    /// Where it lies.
    pub directory: PathBuf,
    /// So many first arguments stand for it; those behind are its own.
    pub replaces: usize,
}

/// An environment variable: its name and where its value comes from are approved, the value is not looked at.
#[derive(Debug)]
pub struct Variable {
    name: String,
    reference: String,
    value: Secret<String>,
}

/// What one child may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of private writable memory of each process (`RLIMIT_DATA`).
    pub memory: u64,
    /// Processors that the child may run on at a time, at least 1.
    pub cpu: u16,
    /// Processes and threads that the child may add to those of its user (`RLIMIT_NPROC`; root is exempt from it).
    pub processes: u32,
    /// How often the child may be started again.
    pub restart: super::restart::Rate,
}

/// A profile that an administrator approved. Only [`approve`] makes one; the profile inside cannot be changed.
#[derive(Debug)]
pub struct Approved {
    profile: LaunchProfile,
}

/// Why a command must not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotApproved {
    /// Nobody approved a command for this server.
    #[error("the command has not been approved")]
    Never,
    /// Arguments, variables or directory differ from what was approved.
    #[error("the command differs from the approved one")]
    Changed,
}

/// Why something is not a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadProfile {
    /// No program, or one that is not an absolute path.
    #[error("the program must be an absolute path")]
    Program,
    /// An argument holds NUL, a line break or another control character.
    #[error("argument {0} holds a control character")]
    Argument(usize),
    /// A name that is not `[A-Za-z_][A-Za-z0-9_]*`.
    #[error("variable {0} has no valid name")]
    Name(usize),
    /// The same name twice.
    #[error("variable {0} is set twice")]
    Twice(usize),
    /// `PATH`, `HOME`, `LANG` and `TZ` are fixed; `TMPDIR` is given where it is not set.
    #[error("variable {0} is fixed by the gateway")]
    Fixed(usize),
    /// A value or reference holds NUL.
    #[error("variable {0} holds NUL")]
    Value(usize),
    /// The directory is not absolute, not UTF-8, or holds `..` or a control character.
    #[error("the directory must be a plain absolute path")]
    Directory,
    /// No memory, no processor or no process.
    #[error("a limit is zero")]
    Limit,
    /// More than 256 arguments or variables, 64 KiB in one or 1 MiB in all.
    #[error("the command is too long")]
    TooLong,
}

/// Compares a profile with the digest that an administrator approved for its server, `None` if there is none.
///
/// # Errors
/// [`NotApproved`].
pub fn approve(profile: LaunchProfile, approved: Option<&[u8; 32]>) -> Result<Approved, NotApproved> {
    match approved {
        None => Err(NotApproved::Never),
        Some(digest) if *digest == profile.digest() => Ok(Approved { profile }),
        Some(_) => Err(NotApproved::Changed),
    }
}

// === impl LaunchProfile ===

impl LaunchProfile {
    /// Checks the parts and puts them together. `cwd` absent means a private directory for each process.
    ///
    /// # Errors
    /// [`BadProfile`]; positions count from 0, texts are not repeated.
    pub fn new(
        server: ServerName,
        argv: Vec<String>,
        env: Vec<Variable>,
        cwd: Option<PathBuf>,
        limits: Limits,
    ) -> Result<Self, BadProfile> {
        check_argv(&argv)?;
        check_env(&env)?;
        if let Some(cwd) = &cwd {
            check_directory(cwd)?;
        }
        if limits.memory == 0 || limits.cpu == 0 || limits.processes == 0 {
            return Err(BadProfile::Limit);
        }
        let total = argv.iter().map(String::len).chain(env.iter().map(Variable::len)).sum::<usize>();
        if argv.len() > MAX_ARGUMENTS || env.len() > MAX_VARIABLES || total > MAX_TOTAL {
            return Err(BadProfile::TooLong);
        }
        Ok(Self { server, argv, env, cwd, limits, package: None })
    }

    /// The same command, whose runner is never started: a package that was installed is.
    #[must_use]
    pub fn installed(self, package: Package) -> Self {
        Self { package: Some(package), ..self }
    }

    /// SHA-256 over arguments, names and references of variables, directory, and the integrity of a package: what an administrator
    /// approves.
    ///
    /// Values, limits and the name of the server are not part of it. Every text is preceded by its length, so no two
    /// commands share a digest by moving a border.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut text = Canonical(b"doorward stdio command 1\0".to_vec());
        text.count(self.argv.len());
        for argument in &self.argv {
            text.part(argument.as_bytes());
        }
        let mut env: Vec<_> = self.env.iter().map(|v| (v.name.as_bytes(), v.reference.as_bytes())).collect();
        env.sort_unstable(); // the order of variables means nothing
        text.count(env.len());
        for (name, reference) in env {
            text.part(name);
            text.part(reference);
        }
        text.count(usize::from(self.cwd.is_some()));
        if let Some(cwd) = &self.cwd {
            text.part(cwd.as_os_str().as_encoded_bytes());
        }
        if let Some(package) = &self.package {
            text.part(b"package");
            text.part(package.integrity.as_bytes());
        }
        sha256(&text.0)
    }

    pub(super) const fn package(&self) -> Option<&Package> {
        self.package.as_ref()
    }

    /// The server that the command is.
    #[must_use]
    pub const fn server(&self) -> &ServerName {
        &self.server
    }

    /// Program and arguments, to be shown for approval.
    #[must_use]
    pub fn argv(&self) -> &[String] {
        &self.argv
    }

    /// Names and references of the variables, to be shown for approval.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.env.iter().map(|v| (v.name.as_str(), v.reference.as_str()))
    }

    /// The directory, absent for a private one.
    #[must_use]
    pub fn cwd(&self) -> Option<&Path> {
        self.cwd.as_deref()
    }

    /// What the child may use.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(super) fn env(&self) -> &[Variable] {
        &self.env
    }
}

// === impl Variable ===

impl Variable {
    /// A variable: `reference` is where the value comes from as the configuration spells it (`file:/run/key`), and
    /// for a plain value that value itself, so that a change of it needs a new approval.
    #[must_use]
    pub const fn new(name: String, reference: String, value: Secret<String>) -> Self {
        Self { name, reference, value }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The value, for the environment of the child and for the filter over what the child says.
    pub(super) fn value(&self) -> &str {
        self.value.expose()
    }

    fn len(&self) -> usize {
        self.name.len() + self.reference.len() + self.value().len()
    }
}

// === impl Approved ===

impl Approved {
    pub(super) const fn profile(&self) -> &LaunchProfile {
        &self.profile
    }
}

/// Texts with their lengths, one after the other.
struct Canonical(Vec<u8>);

impl Canonical {
    fn count(&mut self, count: usize) {
        self.0.extend_from_slice(&u64::try_from(count).unwrap_or(u64::MAX).to_be_bytes());
    }

    fn part(&mut self, text: &[u8]) {
        self.count(text.len());
        self.0.extend_from_slice(text);
    }
}

fn check_argv(argv: &[String]) -> Result<(), BadProfile> {
    if !argv.first().is_some_and(|program| Path::new(program).is_absolute()) {
        return Err(BadProfile::Program);
    }
    for (at, argument) in argv.iter().enumerate() {
        if argument.chars().any(char::is_control) {
            return Err(BadProfile::Argument(at));
        }
        if argument.len() > MAX_TEXT {
            return Err(BadProfile::TooLong);
        }
    }
    Ok(())
}

fn check_env(env: &[Variable]) -> Result<(), BadProfile> {
    let mut seen = BTreeSet::new();
    for (at, variable) in env.iter().enumerate() {
        let mut name = variable.name.bytes();
        let head = name.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
        if !head || !name.all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(BadProfile::Name(at));
        }
        if FIXED.contains(&variable.name.as_str()) {
            return Err(BadProfile::Fixed(at));
        }
        if !seen.insert(variable.name.as_str()) {
            return Err(BadProfile::Twice(at));
        }
        if variable.value().contains('\0') || variable.reference.contains('\0') {
            return Err(BadProfile::Value(at));
        }
        if variable.value().len() > MAX_TEXT || variable.reference.len() > MAX_TEXT || variable.name.len() > 255 {
            return Err(BadProfile::TooLong);
        }
    }
    Ok(())
}

fn check_directory(cwd: &Path) -> Result<(), BadProfile> {
    let plain = cwd.to_str().is_some_and(|text| !text.chars().any(char::is_control) && text.len() <= 4000);
    let straight = !cwd.components().any(|part| part == std::path::Component::ParentDir);
    if plain && straight && cwd.is_absolute() { Ok(()) } else { Err(BadProfile::Directory) }
}

#[cfg(test)]
mod tests;
