//! What this command line was given, in one file of mode 0600 of the state directory. One process at a time has it.

use super::desk::{Desk, Given};
use super::nobody;
use crate::command::connect::keep;
use crate::console::inert;
use crate::exit::Exit;
use crate::failure::Failure;
use doorward_core::id::ServerName;
use doorward_core::secret::Secret;
use doorward_core::time::Timestamp;
use serde::Deserialize;
use serde_json::json;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// A sign-in to one server.
pub(super) struct SignIn {
    pub(super) gateway: String,
    pub(super) server: ServerName,
    pub(super) scope: String,
    pub(super) access: Secret<String>,
    pub(super) refresh: Secret<String>,
    /// End of the access token.
    pub(super) expires: Timestamp,
    pub(super) since: Timestamp,
    pub(super) ca: Option<PathBuf>,
}

/// All of them, under their lock.
pub(super) struct Drawer {
    path: PathBuf,
    all: Vec<SignIn>,
    /// Given back with the descriptor.
    _lock: Option<File>,
}

#[derive(Deserialize)]
struct Written {
    v: u32,
    sign_ins: Vec<One>,
}

#[derive(Deserialize)]
struct One {
    gateway: String,
    server: String,
    scope: String,
    access: String,
    refresh: String,
    expires: u64,
    since: u64,
    ca: Option<PathBuf>,
}

const FILE: &str = "sign-ins.json";
const LOCK: &str = "sign-ins.lock";
const VERSION: u32 = 1;
/// Longest file that is read, in bytes.
const LONGEST: u64 = 1024 * 1024;

impl SignIn {
    pub(super) fn of(desk: &Desk, server: &ServerName, given: Given, ca: Option<PathBuf>, now: Timestamp) -> Self {
        let Given { access, refresh, scope, life } = given;
        let ca = ca.and_then(|path| std::path::absolute(path).ok());
        Self { gateway: desk.root().to_owned(), server: server.clone(), scope, access, refresh, expires: now.after(life), since: now, ca }
    }
}

impl Drawer {
    /// Reads what is kept, once nobody else has it.
    ///
    /// # Errors
    /// [`Failure`] for a file that cannot be read, that others may read, or that is none of this program's.
    pub(super) fn open(state: &Path) -> Result<Self, Failure> {
        let path = state.join(FILE);
        let lock = match OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(state.join(LOCK)) {
            Ok(file) => {
                file.lock().map_err(|error| unreadable(&path, &error))?;
                Some(file)
            }
            // No state directory: nothing is kept.
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(unreadable(&path, &error)),
        };
        let mut text = zeroize_text();
        match File::open(&path) {
            Ok(file) => {
                let found = file.metadata().map_err(|error| unreadable(&path, &error))?;
                if found.mode() & 0o077 != 0 || found.uid() != rustix::process::geteuid().as_raw() {
                    let message = format!("{} is open to others (mode {:04o}), or somebody else's", path.display(), found.mode() & 0o7777);
                    return Err(Failure::new(
                        Exit::Integrity,
                        "login.mode",
                        message,
                        "sign out and in again; until then close it: chmod 600",
                    ));
                }
                file.take(LONGEST).read_to_string(&mut text.0).map_err(|error| unreadable(&path, &error))?;
            }
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self { path, all: Vec::new(), _lock: lock }),
            Err(error) => return Err(unreadable(&path, &error)),
        }
        let all = parsed(&text.0).ok_or_else(|| {
            let message = format!("{} is not what this program wrote", path.display());
            Failure::new(Exit::Integrity, "login.file", message, "remove it, and sign in again")
        })?;
        Ok(Self { path, all, _lock: lock })
    }

    /// Which one is meant.
    ///
    /// # Errors
    /// [`Failure`] for none, and for several.
    pub(super) fn find(&self, server: &ServerName, gateway: Option<&str>) -> Result<usize, Failure> {
        let is_meant = |one: &SignIn| one.server == *server && gateway.is_none_or(|gateway| one.gateway == gateway);
        let mut found = self.all.iter().enumerate().filter(|(_, one)| is_meant(one)).map(|(at, _)| at);
        match (found.next(), found.next()) {
            (Some(at), None) => Ok(at),
            (None, _) => Err(nobody()),
            (Some(_), Some(_)) => {
                let gateways: Vec<String> = self.all.iter().filter(|one| is_meant(one)).map(|one| inert(&one.gateway)).collect();
                let message = format!("several gateways have a server {server}: {}", gateways.join(", "));
                Err(Failure::new(Exit::Usage, "login.which", message, "say which: --gateway URL"))
            }
        }
    }

    pub(super) fn at(&self, at: usize) -> Result<&SignIn, Failure> {
        self.all.get(at).ok_or_else(nobody)
    }

    /// End of its access token.
    pub(super) fn ends(&self, at: usize) -> Timestamp {
        self.all.get(at).map_or(Timestamp::from_millis(0), |one| one.expires)
    }

    /// Keeps a sign-in in place of an earlier one to the same server, which is given back.
    ///
    /// # Errors
    /// [`Failure`]: then everything is as before.
    pub(super) fn replace(&mut self, new: SignIn) -> Result<Option<SignIn>, Failure> {
        let same = self.all.iter().position(|one| one.server == new.server && one.gateway == new.gateway);
        let earlier = same.map(|at| self.all.remove(at));
        self.all.push(new);
        self.write()?;
        Ok(earlier)
    }

    /// Keeps what a renewal gave.
    ///
    /// # Errors
    /// [`Failure`].
    pub(super) fn renew(&mut self, at: usize, given: Given, now: Timestamp) -> Result<(), Failure> {
        let one = self.all.get_mut(at).ok_or_else(nobody)?;
        let Given { access, refresh, scope, life } = given;
        (one.access, one.refresh, one.scope, one.expires) = (access, refresh, scope, now.after(life));
        self.write()
    }

    /// Forgets one.
    ///
    /// # Errors
    /// [`Failure`].
    pub(super) fn take(&mut self, at: usize) -> Result<SignIn, Failure> {
        self.at(at)?;
        let taken = self.all.remove(at);
        self.write()?;
        Ok(taken)
    }

    /// Forgets all.
    ///
    /// # Errors
    /// [`Failure`].
    pub(super) fn take_all(&mut self) -> Result<Vec<SignIn>, Failure> {
        let all = std::mem::take(&mut self.all);
        self.write()?;
        Ok(all)
    }

    pub(super) fn into_all(self) -> Vec<SignIn> {
        self.all
    }

    fn write(&self) -> Result<(), Failure> {
        if self.all.is_empty() {
            return match fs::remove_file(&self.path) {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(unreadable(&self.path, &error)),
                _ => Ok(()),
            };
        }
        let all: Vec<serde_json::Value> = self
            .all
            .iter()
            .map(|one| {
                json!({"gateway": one.gateway, "server": one.server.as_str(), "scope": one.scope, "access": one.access.expose(),
                    "refresh": one.refresh.expose(), "expires": one.expires.as_millis(), "since": one.since.as_millis(), "ca": one.ca})
            })
            .collect();
        let text = json!({"v": VERSION, "sign_ins": all}).to_string();
        keep::write(&self.path, text.as_bytes(), keep::Old::Replace).map_err(|error| unreadable(&self.path, &error))
    }
}

/// A text that is wiped when it is dropped.
struct Wiped(String);

const fn zeroize_text() -> Wiped {
    Wiped(String::new())
}

impl Drop for Wiped {
    fn drop(&mut self) {
        // Through the type that does it for secrets.
        drop(Secret::new(std::mem::take(&mut self.0)));
    }
}

fn parsed(text: &str) -> Option<Vec<SignIn>> {
    let written: Written = serde_json::from_str(text).ok().filter(|written: &Written| written.v == VERSION)?;
    let one = |one: One| {
        Some(SignIn {
            gateway: one.gateway,
            server: ServerName::new(&one.server).ok()?,
            scope: one.scope,
            access: Secret::new(one.access),
            refresh: Secret::new(one.refresh),
            expires: Timestamp::from_millis(one.expires),
            since: Timestamp::from_millis(one.since),
            ca: one.ca,
        })
    };
    written.sign_ins.into_iter().map(one).collect()
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    let message = format!("{} cannot be read or written", path.display());
    Failure::new(Exit::Unreachable, "login.file", message, "see who may write there, or choose another: --state DIR")
        .because(crate::settings::reason(error))
}
