//! Where a secret is, never what it is (product 3.4). Owns the grammar of references; reading them is the sources' work.

use crate::secret::Secret;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A place that a secret is read from at start.
#[derive(Clone)]
pub enum SecretRef {
    /// `env:NAME`.
    Env(String),
    /// `file:PATH`: the whole file without its final newline; nobody but its owner may read it.
    File(PathBuf),
    /// `cred:NAME`: a file of that name in the directory that systemd gives (`CREDENTIALS_DIRECTORY`).
    Cred(String),
    /// `plain:TEXT`: the text itself. Named at every start; never printed.
    Plain(Arc<Secret<String>>),
}

/// Why a text is not a reference. The text is not repeated: it may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadRef {
    /// No known scheme: a secret was typed where a reference belongs.
    Literal,
    /// A scheme that is planned and not there yet.
    Unready(&'static str),
    /// The rest does not fit the scheme.
    Form {
        /// The scheme.
        scheme: &'static str,
        /// What it wants.
        wants: &'static str,
    },
}

/// Schemes that are documented and not there yet.
const UNREADY: [&str; 5] = ["keyring", "vault", "gcp-sm", "aws-sm", "azure-kv"];
const UNREADY_KEYS: [&str; 4] = ["gcp-kms", "aws-kms", "vault-transit", "azure-kv-key"];

impl SecretRef {
    /// Reads a reference; relative paths are relative to `base`.
    ///
    /// # Errors
    /// [`BadRef`].
    pub fn parse(text: &str, base: &Path) -> Result<Self, BadRef> {
        let Some((scheme, rest)) = text.split_once(':') else { return Err(BadRef::Literal) };
        if let Some(unready) = UNREADY.iter().chain(&UNREADY_KEYS).find(|known| **known == scheme) {
            return Err(BadRef::Unready(unready));
        }
        let rest = if scheme == "plain" { rest } else { rest.strip_prefix("//").unwrap_or(rest) };
        match scheme {
            "env" if is_variable(rest) => Ok(Self::Env(rest.to_owned())),
            "env" => Err(BadRef::Form { scheme: "env", wants: "env:NAME, with letters, digits and _" }),
            "file" if rest.is_empty() || rest.contains('\0') => Err(BadRef::Form { scheme: "file", wants: "file:PATH" }),
            "file" => Ok(Self::File(base.join(rest))),
            "cred" if is_credential(rest) => Ok(Self::Cred(rest.to_owned())),
            "cred" => Err(BadRef::Form { scheme: "cred", wants: "cred:NAME, a file name without /" }),
            "plain" if rest.is_empty() => Err(BadRef::Form { scheme: "plain", wants: "plain:TEXT, and not nothing" }),
            "plain" => Ok(Self::Plain(Arc::new(Secret::new(rest.to_owned())))),
            _ => Err(BadRef::Literal),
        }
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Cred(name) => write!(f, "cred:{name}"),
            Self::Plain(_) => f.write_str("plain:(hidden)"),
        }
    }
}

impl fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretRef({self})")
    }
}

/// Two literals are equal only if they are one: secrets are not compared.
impl PartialEq for SecretRef {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Env(a), Self::Env(b)) | (Self::Cred(a), Self::Cred(b)) => a == b,
            (Self::File(a), Self::File(b)) => a == b,
            (Self::Plain(a), Self::Plain(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

impl Eq for SecretRef {}

/// The name of an environment variable: letters, digits and `_`, not a digit first.
pub(super) fn is_variable(name: &str) -> bool {
    let letter = |b: u8| b.is_ascii_alphabetic() || b == b'_';
    name.bytes().next().is_some_and(letter) && name.len() <= 255 && name.bytes().all(|b| letter(b) || b.is_ascii_digit())
}

fn is_credential(name: &str) -> bool {
    !name.is_empty() && name.len() <= 255 && name != "." && name != ".." && !name.contains(|c: char| c == '/' || c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<SecretRef, BadRef> {
        SecretRef::parse(text, Path::new("/etc/doorward"))
    }

    #[test]
    fn references_say_where_and_literals_are_refused() {
        assert_eq!(parse("file:key"), Ok(SecretRef::File("/etc/doorward/key".into())));
        assert_eq!(parse("file:///run/key"), Ok(SecretRef::File("/run/key".into())));
        assert_eq!(parse("env:A_1").map(|r| r.to_string()), Ok("env:A_1".to_owned()));
        assert_eq!(parse("cred:kek").map(|r| r.to_string()), Ok("cred:kek".to_owned()));
        for literal in ["", "hunter2", "ghp_abc", "http://x", "ENV:X", " env:X"] {
            assert_eq!(parse(literal), Err(BadRef::Literal), "{literal:?}");
        }
        for bad in ["env:", "env:1A", "env:A-B", "env:A B", "file:", "cred:", "cred:a/b", "cred:..", "plain:"] {
            assert!(matches!(parse(bad), Err(BadRef::Form { .. })), "{bad:?}");
        }
        assert_eq!(parse("vault:kv/x#y"), Err(BadRef::Unready("vault")));
        assert_eq!(parse("gcp-kms:projects/x"), Err(BadRef::Unready("gcp-kms")));
    }

    #[test]
    fn a_literal_is_never_printed() {
        let plain = parse("plain:hunter2").expect("valid");
        assert!(!format!("{plain} {plain:?}").contains("hunter2"));
    }
}
