//! What this command line was given, in one file of mode 0600 of the state directory.
//!
//! It is replaced by renaming, so that reading needs no lock. Two locks: one for changing the file, which is held for moments and never while
//! a gateway is asked, and one for each gateway, held by who asks it for new tokens, so that of several one renews and the others read what
//! it wrote. Nobody waits for a lock without a bound.

use super::desk::{Desk, Given, Place};
use super::nobody;
use crate::command::connect::keep;
use crate::console::inert;
use crate::exit::Exit;
use crate::failure::Failure;
use doorward_core::id::ServerName;
use doorward_core::secret::{Secret, sha256};
use doorward_core::time::Timestamp;
use serde::Deserialize;
use serde_json::json;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A sign-in to one server.
pub(super) struct SignIn {
    pub(super) place: Place,
    pub(super) server: ServerName,
    pub(super) scope: String,
    pub(super) access: Secret<String>,
    pub(super) refresh: Secret<String>,
    /// End of the access token.
    pub(super) expires: Timestamp,
    pub(super) since: Timestamp,
}

/// All of them as they stand, to read.
pub(super) struct Kept(Vec<SignIn>);

/// All of them, to change: under the lock of the file.
pub(super) struct Drawer {
    path: PathBuf,
    all: Vec<SignIn>,
    _lock: Option<Lock>,
}

/// A sign-in that could not be kept.
pub(super) struct Lost {
    pub(super) failure: Failure,
    pub(super) sign_in: SignIn,
}

/// The turn to ask a gateway for new tokens.
pub(super) struct Turn {
    _lock: Option<Lock>,
}

/// A lock of the system: given back with the descriptor, however the process ends. Its text is a hint, its holder.
struct Lock {
    _file: File,
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
    served_by: Option<u32>,
}

const FILE: &str = "sign-ins.json";
const LOCK: &str = "sign-ins.lock";
const VERSION: u32 = 1;
/// Longest file that is read, in bytes.
const LONGEST: u64 = 1024 * 1024;
/// How soon a lock that was taken is tried again.
const AGAIN: Duration = Duration::from_millis(20);

impl SignIn {
    pub(super) fn of(desk: &Desk, server: &ServerName, given: Given, now: Timestamp) -> Self {
        let Given { access, refresh, scope, life } = given;
        let mut place = desk.place().clone();
        place.ca = place.ca.and_then(|path| std::path::absolute(path).ok());
        Self { place, server: server.clone(), scope, access, refresh, expires: now.after(life), since: now }
    }

    /// Whether this is that sign-in, though renewed since.
    fn is(&self, other: &Self) -> bool {
        self.server == other.server && self.place.gateway == other.place.gateway && self.since == other.since
    }
}

impl Kept {
    /// Reads what is kept.
    ///
    /// # Errors
    /// [`Failure`] for a file that cannot be read, that others may read, or that is none of this program's.
    pub(super) fn read(state: &Path) -> Result<Self, Failure> {
        let path = state.join(FILE);
        let mut text = Wiped::default();
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
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self(Vec::new())),
            Err(error) => return Err(unreadable(&path, &error)),
        }
        let all = parsed(&text.0).ok_or_else(|| {
            let message = format!("{} is not what this program wrote", path.display());
            Failure::new(Exit::Integrity, "login.file", message, "remove it, and sign in again")
        })?;
        Ok(Self(all))
    }

    /// The one that is meant.
    ///
    /// # Errors
    /// [`Failure`] for none, and for several.
    pub(super) fn find(mut self, server: &ServerName, gateway: Option<&str>) -> Result<SignIn, Failure> {
        let at = found(&self.0, server, gateway)?;
        Ok(self.0.swap_remove(at))
    }

    pub(super) fn into_all(self) -> Vec<SignIn> {
        self.0
    }
}

impl Turn {
    /// Waits until nobody else asks this gateway for new tokens, at most for `patience`.
    ///
    /// # Errors
    /// [`Failure`] with who does.
    pub(super) async fn wait(state: &Path, gateway: &str, patience: Duration) -> Result<Self, Failure> {
        let digits: String = sha256(gateway.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let path = state.join(format!("sign-ins.{digits}.lock"));
        let lock = Lock::wait(&path, patience, &format!("is asking {} for a token", inert(gateway))).await?;
        Ok(Self { _lock: lock })
    }
}

impl Lock {
    /// `None` where there is no state directory: nothing is kept there.
    async fn wait(path: &Path, patience: Duration, what: &str) -> Result<Option<Self>, Failure> {
        let mut file = match OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(path, &error)),
        };
        let mut waited = Duration::ZERO;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if waited < patience => {
                    tokio::time::sleep(AGAIN).await;
                    waited += AGAIN;
                }
                Err(TryLockError::WouldBlock) => return Err(taken(file, what)),
                Err(TryLockError::Error(error)) => return Err(unreadable(path, &error)),
            }
        }
        let noted = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
        noted.map_err(|error| unreadable(path, &error))?;
        Ok(Some(Self { _file: file }))
    }
}

impl Drawer {
    /// Opens what is kept, once nobody else changes it, at most after `patience`.
    ///
    /// # Errors
    /// [`Failure`] as of [`Kept::read`], and with who has it.
    pub(super) async fn open(state: &Path, patience: Duration) -> Result<Self, Failure> {
        let lock = Lock::wait(&state.join(LOCK), patience, "is changing what is kept of sign-ins").await?;
        Ok(Self { path: state.join(FILE), all: Kept::read(state)?.into_all(), _lock: lock })
    }

    /// Writes what is there as it is: whoever is asked for something next is not asked in vain.
    ///
    /// # Errors
    /// [`Failure`] when nothing could be kept.
    pub(super) fn rehearse(&self) -> Result<(), Failure> {
        self.write_all()?;
        self.write()
    }

    /// Keeps a sign-in in place of an earlier one to the same server, which is handed out.
    ///
    /// # Errors
    /// [`Lost`]: then everything is as before.
    pub(super) fn replace(mut self, new: SignIn) -> Result<Option<SignIn>, Box<Lost>> {
        let same = self.all.iter().position(|one| one.server == new.server && one.place.gateway == new.place.gateway);
        let earlier = same.map(|at| self.all.remove(at));
        self.all.push(new);
        match (self.write(), self.all.pop()) {
            (Err(failure), Some(sign_in)) => Err(Box::new(Lost { failure, sign_in })),
            _ => Ok(earlier),
        }
    }

    /// Keeps what a renewal gave, and says what is kept now: a person may have signed in anew meanwhile.
    ///
    /// # Errors
    /// [`Failure`]; also when a person signed out meanwhile, which ended what was given.
    pub(super) fn renew(mut self, old: &SignIn, given: Given, now: Timestamp) -> Result<SignIn, Failure> {
        let at = found(&self.all, &old.server, Some(&old.place.gateway))?;
        let Some(one) = self.all.get_mut(at).filter(|one| one.is(old)) else { return Ok(self.all.swap_remove(at)) };
        let Given { access, refresh, scope, life } = given;
        (one.access, one.refresh, one.scope, one.expires) = (access, refresh, scope, now.after(life));
        self.write()?;
        Ok(self.all.swap_remove(at))
    }

    /// Forgets one that has ended, if it is still the one that is kept.
    ///
    /// # Errors
    /// [`Failure`].
    pub(super) fn forget(&mut self, ended: &SignIn) -> Result<(), Failure> {
        self.all.retain(|one| !one.is(ended));
        self.write()
    }

    /// Forgets one, and hands it out.
    ///
    /// # Errors
    /// [`Failure`] for none, and for several.
    pub(super) fn take(&mut self, server: &ServerName, gateway: Option<&str>) -> Result<SignIn, Failure> {
        let taken = self.all.remove(found(&self.all, server, gateway)?);
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

    fn write(&self) -> Result<(), Failure> {
        if self.all.is_empty() {
            return match fs::remove_file(&self.path) {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(unreadable(&self.path, &error)),
                _ => Ok(()),
            };
        }
        self.write_all()
    }

    fn write_all(&self) -> Result<(), Failure> {
        let all: Vec<serde_json::Value> = self
            .all
            .iter()
            .map(|one| {
                let Place { gateway, ca, served_by } = &one.place;
                json!({"gateway": gateway, "server": one.server.as_str(), "scope": one.scope, "access": one.access.expose(),
                    "refresh": one.refresh.expose(), "expires": one.expires.as_millis(), "since": one.since.as_millis(), "ca": ca,
                    "served_by": served_by})
            })
            .collect();
        let text = json!({"v": VERSION, "sign_ins": all}).to_string();
        keep::write(&self.path, text.as_bytes(), keep::Old::Replace).map_err(|error| unreadable(&self.path, &error))
    }
}

/// Which one is meant.
fn found(all: &[SignIn], server: &ServerName, gateway: Option<&str>) -> Result<usize, Failure> {
    let is_meant = |one: &SignIn| one.server == *server && gateway.is_none_or(|gateway| one.place.gateway == gateway);
    let mut found = all.iter().enumerate().filter(|(_, one)| is_meant(one)).map(|(at, _)| at);
    match (found.next(), found.next()) {
        (Some(at), None) => Ok(at),
        (None, _) => Err(nobody()),
        (Some(_), Some(_)) => {
            let gateways: Vec<String> = all.iter().filter(|one| is_meant(one)).map(|one| inert(&one.place.gateway)).collect();
            let message = format!("several gateways have a server {server}: {}", gateways.join(", "));
            Err(Failure::new(Exit::Usage, "login.which", message, "say which: --gateway URL"))
        }
    }
}

/// Who holds a lock, as they wrote into it.
fn taken(mut file: File, what: &str) -> Failure {
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.take(16).read_to_string(&mut text));
    let holder = read.ok().and_then(|_| text.parse::<u32>().ok());
    let who = holder.map_or_else(|| "another doorward".to_owned(), |id| format!("another doorward (process {id})"));
    Failure::new(Exit::Unreachable, "login.busy", format!("{who} {what}, and does not finish"), "try again, or end that process")
}

/// A text that is wiped when it is dropped.
#[derive(Default)]
struct Wiped(String);

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
            place: Place { gateway: one.gateway, ca: one.ca, served_by: one.served_by },
            server: ServerName::new(&one.server).ok()?,
            scope: one.scope,
            access: Secret::new(one.access),
            refresh: Secret::new(one.refresh),
            expires: Timestamp::from_millis(one.expires),
            since: Timestamp::from_millis(one.since),
        })
    };
    written.sign_ins.into_iter().map(one).collect()
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    let message = format!("{} cannot be read or written", path.display());
    Failure::new(Exit::Unreachable, "login.file", message, "see who may write there, or choose another: --state DIR")
        .because(crate::settings::reason(error))
}
