//! Where secret references lead: `env:NAME`, `file:PATH` and `cred:NAME`. The only place that reads secrets from outside.
//!
//! A value is read once, checked, and kept as a [`Secret`]. Errors name the reference, never the value. Must not know what
//! a secret is for. Product 3.4.

pub mod env;
pub mod file;

use doorward_core::secret::Secret;
use env::Variables;
use std::fmt;
use std::path::{Component, Path, PathBuf};
use zeroize::Zeroize as _;

/// The kind of a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `env:NAME`: a variable of the environment at start.
    Env,
    /// `file:PATH`: a whole file.
    File,
    /// `cred:NAME`: a file in the service manager's credentials directory (`$CREDENTIALS_DIRECTORY`, systemd.exec(5)).
    Cred,
}

/// A reference to a secret, checked for its grammar. It may be printed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    kind: Kind,
    text: String,
}

/// Why a text is not a reference. The text is not repeated: a secret typed in its place would be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadReference {
    /// None of the known kinds.
    #[error("a secret is written as env:NAME, file:PATH or cred:NAME")]
    Kind,
    /// Not a variable name: `[A-Za-z_][A-Za-z0-9_]*`, at most 255 bytes.
    #[error("env: is followed by the name of a variable")]
    Variable,
    /// Not an absolute path without `.`, `..` and control characters, at most 4,096 bytes.
    #[error("file: is followed by an absolute path without '.' or '..'")]
    Path,
    /// Not a file name: `[A-Za-z0-9._-]+`, not beginning with a dot, at most 255 bytes.
    #[error("cred: is followed by the name of a credential")]
    Name,
}

/// Why a reference gave no secret.
#[derive(Debug, thiserror::Error)]
#[error("{reference}: {cause}")]
pub struct NoSecret {
    reference: Reference,
    cause: Cause,
}

/// What was wrong at the end of a reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// The variable is not set, or the file or directory does not exist.
    #[error("there is nothing of this name")]
    Missing,
    /// Nothing but a newline, or not even that.
    #[error("it is empty")]
    Empty,
    /// More than 64 KiB.
    #[error("it is larger than 64 KiB")]
    TooLarge,
    /// Not UTF-8.
    #[error("it is not UTF-8 text")]
    NotText,
    /// A control character other than the one final newline.
    #[error("it holds control characters")]
    Control,
    /// A directory, pipe, socket or device.
    #[error("it is not a regular file")]
    NotAFile,
    /// A symbolic link whose directory or target others could exchange.
    #[error("a symbolic link on the way could be exchanged by another user")]
    Link,
    /// Group or others may read or write it.
    #[error("its mode {0:04o} lets others read or write it; use 0600 or 0400")]
    Mode(u32),
    /// It belongs to another user.
    #[error("it belongs to user {0}, not to this process or root")]
    Owner(u32),
    /// `cred:` without `$CREDENTIALS_DIRECTORY`.
    #[error("the service manager has set no credentials directory")]
    NoCredentials,
    /// The operating system refused.
    #[error("it cannot be read: {0}")]
    Io(std::io::ErrorKind),
}

/// Whether others may read what was read. Nobody else may write it in either case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Openness {
    /// Its owner alone.
    Closed,
    /// Group or others as well, with this mode: good for what holds no secret.
    Open(u32),
}

/// Where references are looked up. Holds the environment as it was at start.
#[derive(Debug)]
pub struct Sources {
    variables: Variables,
}

/// Bytes of a secret at most.
pub const MAX_SECRET: usize = 64 * 1024;

// === impl Reference ===

impl Reference {
    /// Checks a reference as it is written in the configuration.
    ///
    /// # Errors
    /// [`BadReference`].
    pub fn parse(text: &str) -> Result<Self, BadReference> {
        let (kind, rest) = text.split_once(':').ok_or(BadReference::Kind)?;
        match kind {
            "env" => Self::new(Kind::Env, rest),
            "file" => Self::new(Kind::File, rest),
            "cred" => Self::new(Kind::Cred, rest),
            _ => Err(BadReference::Kind),
        }
    }

    /// A reference from its parts.
    ///
    /// # Errors
    /// [`BadReference`] if `text` does not fit the kind.
    pub fn new(kind: Kind, text: &str) -> Result<Self, BadReference> {
        match kind {
            Kind::Env if !is_variable(text) => Err(BadReference::Variable),
            Kind::File if !is_plain_path(text) => Err(BadReference::Path),
            Kind::Cred if !is_file_name(text) => Err(BadReference::Name),
            Kind::Env | Kind::File | Kind::Cred => Ok(Self { kind, text: text.to_owned() }),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Env => "env",
            Kind::File => "file",
            Kind::Cred => "cred",
        };
        write!(f, "{kind}:{}", self.text)
    }
}

// === impl NoSecret ===

impl NoSecret {
    /// Which reference.
    #[must_use]
    pub const fn reference(&self) -> &Reference {
        &self.reference
    }

    /// What was wrong.
    #[must_use]
    pub const fn cause(&self) -> &Cause {
        &self.cause
    }
}

// === impl Sources ===

impl Sources {
    /// Over the environment as it was at start.
    #[must_use]
    pub const fn new(variables: Variables) -> Self {
        Self { variables }
    }

    /// The secret behind a reference, without its final newline. Files are read anew each time.
    ///
    /// # Errors
    /// [`NoSecret`].
    pub fn secret(&self, reference: &Reference) -> Result<Secret<String>, NoSecret> {
        let found = match reference.kind {
            Kind::Env => self.variables.value(&reference.text),
            Kind::File => file::read(Path::new(&reference.text), file::Keeper::Anyone),
            Kind::Cred => self.credential(&reference.text),
        };
        found.and_then(text_of).map_err(|cause| NoSecret { reference: reference.clone(), cause })
    }

    /// The environment as it was at start.
    #[must_use]
    pub const fn variables(&self) -> &Variables {
        &self.variables
    }

    /// The document behind a reference, with its line ends: a credential file. Whether others may read it is said beside it.
    ///
    /// # Errors
    /// [`NoSecret`].
    pub fn document(&self, reference: &Reference) -> Result<(Vec<u8>, Openness), NoSecret> {
        let found = match reference.kind {
            Kind::Env => self.variables.value(&reference.text).map(|bytes| (bytes, Openness::Closed)),
            Kind::File => file::document(Path::new(&reference.text)),
            Kind::Cred => self.credential(&reference.text).map(|bytes| (bytes, Openness::Closed)),
        };
        let whole = found.and_then(|(bytes, openness)| if bytes.len() > MAX_SECRET { Err(Cause::TooLarge) } else { Ok((bytes, openness)) });
        whole.map_err(|cause| NoSecret { reference: reference.clone(), cause })
    }

    fn credential(&self, name: &str) -> Result<Vec<u8>, Cause> {
        let directory = self.variables.credentials_directory().ok_or(Cause::NoCredentials)?;
        let path: PathBuf = directory.join(name);
        file::read(&path, file::Keeper::ServiceManager)
    }
}

/// Text without its one final newline (`\n` or `\r\n`); what cannot be a header value or a password is refused.
fn text_of(bytes: Vec<u8>) -> Result<Secret<String>, Cause> {
    let mut text = String::from_utf8(bytes).map_err(|error| {
        error.into_bytes().zeroize();
        Cause::NotText
    })?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    let secret = Secret::new(text);
    let text = secret.expose();
    if text.len() > MAX_SECRET {
        return Err(Cause::TooLarge);
    }
    if text.is_empty() {
        return Err(Cause::Empty);
    }
    if text.chars().any(char::is_control) {
        return Err(Cause::Control);
    }
    Ok(secret)
}

fn is_variable(text: &str) -> bool {
    let first = text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    first && text.len() <= 255 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn is_file_name(text: &str) -> bool {
    let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    !text.is_empty() && !text.starts_with('.') && text.len() <= 255 && text.bytes().all(known)
}

fn is_plain_path(text: &str) -> bool {
    let plain = |part: Component<'_>| matches!(part, Component::RootDir | Component::Normal(_));
    let dots = text.split('/').any(|part| part == "." || part == "..");
    text.starts_with('/')
        && text.len() <= 4096
        && !text.ends_with('/')
        && !dots
        && !text.chars().any(char::is_control)
        && Path::new(text).components().all(plain)
}

#[cfg(test)]
mod tests;
