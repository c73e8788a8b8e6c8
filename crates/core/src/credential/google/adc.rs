//! Application default credentials: where the credentials of this installation are, in one order and without a second guess.
//!
//! A file that is there and broken is an error, never a reason to look further: the next place may know the gateway as somebody else
//! (credentials 9.1). A total function of what the environment and the file system were; reads neither.

use std::path::{Path, PathBuf};

/// The variables that count, as they were at start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// `GOOGLE_APPLICATION_CREDENTIALS`: a credential file.
    pub application_credentials: Option<String>,
    /// `CLOUDSDK_CONFIG`: the directory of gcloud.
    pub cloudsdk_config: Option<String>,
    /// `HOME`.
    pub home: Option<String>,
    /// `GOOGLE_CLOUD_QUOTA_PROJECT`.
    pub quota_project: Option<String>,
    /// `GOOGLE_CLOUD_PROJECT`.
    pub project: Option<String>,
    /// `GCLOUD_PROJECT`, its older name.
    pub older_project: Option<String>,
    /// `GCE_METADATA_HOST`, or `GCE_METADATA_ROOT`, its older name.
    pub metadata_host: Option<String>,
    /// `NO_GCE_CHECK`: `true` where there is no metadata server.
    pub no_gce_check: Option<String>,
}

/// Whether a file is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Nothing of this name.
    Absent,
    /// Something is, or nobody can tell: then it counts as there and has to be readable.
    There,
}

/// Where the credentials are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolved {
    /// In this file.
    File {
        /// Its absolute path.
        path: PathBuf,
        /// Who says so.
        by: By,
    },
    /// At the metadata server.
    Metadata,
}

/// Who says where a credential file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// `GOOGLE_APPLICATION_CREDENTIALS`.
    Variable,
    /// `gcloud auth application-default login`.
    Gcloud,
}

/// Why there are no credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Nowhere {
    /// `GOOGLE_APPLICATION_CREDENTIALS` depends on the working directory.
    #[error("GOOGLE_APPLICATION_CREDENTIALS is not an absolute path")]
    Relative,
    /// So does `CLOUDSDK_CONFIG`.
    #[error("CLOUDSDK_CONFIG is not an absolute path")]
    RelativeDirectory,
    /// No file, and `NO_GCE_CHECK` says that there is no metadata server.
    #[error("there is no credential file, and NO_GCE_CHECK says that there is no metadata server")]
    Nothing,
}

/// The file that `gcloud auth application-default login` writes.
const WELL_KNOWN: &str = "application_default_credentials.json";

/// Where the credentials are. `there` is asked for at most one path, that of the file of gcloud.
///
/// # Errors
/// [`Nowhere`].
pub fn resolve(surroundings: &Surroundings, there: impl FnOnce(&Path) -> Presence) -> Result<Resolved, Nowhere> {
    if let Some(text) = filled(surroundings.application_credentials.as_deref()) {
        let path = PathBuf::from(text);
        return if path.is_absolute() { Ok(Resolved::File { path, by: By::Variable }) } else { Err(Nowhere::Relative) };
    }
    let directory = match (filled(surroundings.cloudsdk_config.as_deref()), filled(surroundings.home.as_deref())) {
        (Some(text), _) if !Path::new(text).is_absolute() => return Err(Nowhere::RelativeDirectory),
        (Some(text), _) => Some(PathBuf::from(text)),
        (None, Some(home)) => Some(Path::new(home).join(".config/gcloud")).filter(|path| path.is_absolute()),
        (None, None) => None,
    };
    if let Some(path) = directory.map(|directory| directory.join(WELL_KNOWN))
        && there(&path) == Presence::There
    {
        return Ok(Resolved::File { path, by: By::Gcloud });
    }
    if surroundings.no_gce_check.as_deref().is_some_and(|text| text.eq_ignore_ascii_case("true")) {
        return Err(Nowhere::Nothing);
    }
    Ok(Resolved::Metadata)
}

/// Whose quota and bill a call is on: the variable before the configuration, before the credential file (credentials 9.1).
#[must_use]
pub fn quota_project<'a>(surroundings: &'a Surroundings, configured: Option<&'a str>, in_file: Option<&'a str>) -> Option<&'a str> {
    [surroundings.quota_project.as_deref(), configured, in_file].into_iter().find_map(filled)
}

/// Which project this installation belongs to, as far as anybody says so without being asked; the metadata server comes last.
#[must_use]
pub fn project<'a>(surroundings: &'a Surroundings, in_file: Option<&'a str>) -> Option<&'a str> {
    [surroundings.project.as_deref(), surroundings.older_project.as_deref(), in_file].into_iter().find_map(filled)
}

/// A variable that is set to nothing is none.
fn filled(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(value: &str) -> Option<String> {
        Some(value.to_owned())
    }

    fn at(surroundings: &Surroundings, presence: Presence) -> Result<Resolved, Nowhere> {
        resolve(surroundings, |_| presence)
    }

    #[test]
    fn the_order_is_the_variable_then_gcloud_then_the_metadata_server() {
        let mut around = Surroundings { home: text("/home/a"), ..Surroundings::default() };
        assert_eq!(at(&around, Presence::Absent), Ok(Resolved::Metadata));
        let gcloud = PathBuf::from("/home/a/.config/gcloud/application_default_credentials.json");
        assert_eq!(at(&around, Presence::There), Ok(Resolved::File { path: gcloud, by: By::Gcloud }));
        around.cloudsdk_config = text("/etc/gcloud");
        let elsewhere = PathBuf::from("/etc/gcloud/application_default_credentials.json");
        assert_eq!(at(&around, Presence::There), Ok(Resolved::File { path: elsewhere, by: By::Gcloud }));
        around.application_credentials = text("");
        assert_eq!(at(&around, Presence::Absent), Ok(Resolved::Metadata), "an empty variable is none");
        around.application_credentials = text("/run/key.json");
        let file = Resolved::File { path: PathBuf::from("/run/key.json"), by: By::Variable };
        assert_eq!(at(&around, Presence::Absent), Ok(file.clone()), "whether it is there is for whoever reads it");
        assert_eq!(at(&around, Presence::There), Ok(file));
    }

    #[test]
    fn what_depends_on_the_working_directory_or_is_nowhere_is_refused() {
        let relative = Surroundings { application_credentials: text("key.json"), ..Surroundings::default() };
        assert_eq!(at(&relative, Presence::There), Err(Nowhere::Relative));
        let directory = Surroundings { cloudsdk_config: text("gcloud"), ..Surroundings::default() };
        assert_eq!(at(&directory, Presence::There), Err(Nowhere::RelativeDirectory));
        let nothing = Surroundings { no_gce_check: text("True"), ..Surroundings::default() };
        assert_eq!(at(&nothing, Presence::Absent), Err(Nowhere::Nothing));
    }

    #[test]
    fn projects_have_an_order_too() {
        let mut around = Surroundings::default();
        assert_eq!(quota_project(&around, Some("mine"), Some("file")), Some("mine"));
        assert_eq!(quota_project(&around, None, Some("file")), Some("file"));
        assert_eq!(project(&around, Some("file")), Some("file"));
        around.older_project = text("older");
        around.quota_project = text("variable");
        assert_eq!(quota_project(&around, Some("mine"), Some("file")), Some("variable"));
        assert_eq!(project(&around, Some("file")), Some("older"));
        around.project = text("newer");
        assert_eq!(project(&around, Some("file")), Some("newer"));
    }

    fn any() -> impl Strategy<Value = Option<String>> {
        proptest::option::of("(/?[a-z./]{0,8})|true")
    }

    proptest! {
        /// Whatever the surroundings are: a named file is that file or an error, and gcloud's file is never passed over when it is there.
        #[test]
        fn nothing_falls_through(named in any(), sdk in any(), home in any(), gce in any(), is_there: bool) {
            let around = Surroundings {
                application_credentials: named.clone(),
                cloudsdk_config: sdk,
                home,
                no_gce_check: gce,
                ..Surroundings::default()
            };
            let presence = if is_there { Presence::There } else { Presence::Absent };
            let mut asked = false;
            let resolved = resolve(&around, |_| { asked = true; presence });
            match (named.filter(|text| !text.is_empty()), resolved) {
                (Some(named), Ok(Resolved::File { path, by: By::Variable })) => prop_assert_eq!(path, PathBuf::from(named)),
                (Some(_), Err(Nowhere::Relative)) => {}
                (Some(named), other) => prop_assert!(false, "{} led to {:?}", named, other),
                (None, Ok(Resolved::Metadata)) => prop_assert!(!(asked && is_there)),
                (None, _) => {}
            }
        }
    }
}
