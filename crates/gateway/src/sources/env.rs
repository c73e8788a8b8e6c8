//! `env:NAME`: variables of the environment as it was at start. Read once; nothing here asks the process again.

use super::Cause;
use doorward_core::secret::Secret;
use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

/// A snapshot of the environment. The values cannot be printed, and are wiped when it is dropped.
pub struct Variables {
    values: HashMap<String, Secret<Vec<u8>>>,
}

impl Variables {
    /// From `std::env::vars_os()` at start, or from what a test says. Names that are not UTF-8 are left out.
    #[must_use]
    pub fn new(pairs: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let named = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, Secret::new(value.into_vec())));
        Self { values: pairs.into_iter().filter_map(named).collect() }
    }

    pub(super) fn value(&self, name: &str) -> Result<Vec<u8>, Cause> {
        self.values.get(name).map(|value| value.expose().clone()).ok_or(Cause::Missing)
    }

    /// A variable that is no secret, such as a region or the place of a file. `None` where it is not set, or not UTF-8.
    #[must_use]
    pub fn word(&self, name: &str) -> Option<String> {
        self.values.get(name).and_then(|value| String::from_utf8(value.expose().clone()).ok())
    }

    pub(super) fn credentials_directory(&self) -> Option<PathBuf> {
        let value = self.values.get("CREDENTIALS_DIRECTORY")?;
        let path = PathBuf::from(OsString::from_vec(value.expose().clone()));
        path.is_absolute().then_some(path)
    }
}

/// The number of variables only.
impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Variables({})", self.values.len())
    }
}
