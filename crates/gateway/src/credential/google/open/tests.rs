//! Who Doorward is at Google, by variables and files as they are at start.

use super::*;
use crate::egress::EgressSettings;
use crate::env::Env;
use crate::sources::env::Variables;
use crate::tasks::Tasks;
use doorward_core::config::google::Yields;
use doorward_core::credential::google::Scopes;
use std::ffi::OsString;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

const PERSON: &str =
    r#"{"type":"authorized_user","client_id":"c","client_secret":"canary-s","refresh_token":"canary-r","quota_project_id":"q"}"#;

struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("doorward-google-{}-{name}", std::process::id()));
        std::fs::DirBuilder::new().mode(0o700).recursive(true).create(&path).expect("a directory");
        Self(path)
    }

    fn file(&self, name: &str, content: &str, mode: u32) -> String {
        use std::io::Write as _;
        let path = self.0.join(name);
        let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&path).expect("a file");
        file.write_all(content.as_bytes()).expect("written");
        path.display().to_string()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _left = std::fs::remove_dir_all(&self.0);
    }
}

/// Who Doorward is with these variables, and whose quota it uses.
fn with(source: &GoogleSource, variables: &[(&str, &str)]) -> Result<(String, Option<String>), Unopened> {
    let pairs = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let (sources, tasks, env) = (Sources::new(Variables::new(pairs)), Tasks::new(), Env::system());
    let egress = Egress::new(EgressSettings::new(tasks)).expect("a door");
    let places = Places::google();
    let opening = Opening { sources: &sources, egress: &egress, env: &env, places: &places, patience: Duration::from_secs(1) };
    let yields = Yields::Access(Scopes::cloud());
    let credential = GoogleCredential { source: source.clone(), yields, quota_project: None };
    let origin = Origin::new("https://a.googleapis.com".to_owned());
    let opened = opening.broker(&ServerName::new("a").expect("a name"), &credential, origin)?;
    Ok((opened.broker.source.described(), opened.quota_project))
}

fn adc(variables: &[(&str, &str)]) -> Result<(String, Option<String>), Unopened> {
    with(&GoogleSource::Adc, variables)
}

#[tokio::test]
async fn cld_02_a_broken_file_never_falls_through_to_the_machine() {
    let directory = Directory::new("order");
    let home = directory.0.display().to_string();
    let machine = "the account of this machine";
    assert_eq!(adc(&[("HOME", &home)]).expect("nothing there").0, machine);
    let good = directory.file("good.json", PERSON, 0o600);
    let found = adc(&[("HOME", &home), ("GOOGLE_APPLICATION_CREDENTIALS", &good)]).expect("a file");
    assert_eq!(found, ("authorized_user".to_owned(), Some("q".to_owned())));
    let found = adc(&[("GOOGLE_APPLICATION_CREDENTIALS", &good), ("GOOGLE_CLOUD_QUOTA_PROJECT", "other")]).expect("a file");
    assert_eq!(found.1.as_deref(), Some("other"));
    let broken = directory.file("application_default_credentials.json", "{\"type\":", 0o600);
    for variables in [
        vec![("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/at/all.json")],
        vec![("GOOGLE_APPLICATION_CREDENTIALS", broken.as_str())],
        vec![("GOOGLE_APPLICATION_CREDENTIALS", "relative.json")],
        vec![("CLOUDSDK_CONFIG", home.as_str())],
        vec![("CLOUDSDK_CONFIG", "relative")],
        vec![("NO_GCE_CHECK", "true")],
    ] {
        let error = adc(&variables).expect_err("refused").to_string();
        assert!(!error.contains("canary"), "{variables:?}: {error}");
    }
    std::fs::remove_file(&broken).expect("removed");
    std::os::unix::fs::symlink("/nowhere/at/all.json", &broken).expect("a link");
    assert!(adc(&[("CLOUDSDK_CONFIG", &home)]).is_err(), "a link that leads nowhere is there, and broken");
}

#[tokio::test]
async fn cld_03_the_environment_does_not_move_the_metadata_server() {
    for good in ["metadata.google.internal", "169.254.169.254", "[fd20:ce::254]"] {
        assert!(with(&GoogleSource::Metadata, &[("GCE_METADATA_HOST", good)]).is_ok(), "{good}");
    }
    for bad in ["evil.test", "127.0.0.1:80", "169.254.169.254@evil.test"] {
        for name in ["GCE_METADATA_HOST", "GCE_METADATA_ROOT"] {
            assert!(matches!(with(&GoogleSource::Metadata, &[(name, bad)]), Err(Unopened::MetadataHost)), "{name}={bad}");
        }
    }
}

#[tokio::test]
async fn cld_02_a_file_with_a_secret_is_closed_and_one_without_may_be_read() {
    let directory = Directory::new("modes");
    let open = directory.file("open.json", PERSON, 0o644);
    let error = adc(&[("GOOGLE_APPLICATION_CREDENTIALS", &open)]).expect_err("refused");
    assert!(matches!(error, Unopened::Open(_, 0o644)), "{error}");
    let workload = r#"{"type":"external_account","audience":"//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/x",
        "subject_token_type":"urn:ietf:params:oauth:token-type:jwt","token_url":"https://sts.googleapis.com/v1/token",
        "credential_source":{"file":"/var/run/token"}}"#;
    let open = directory.file("workload.json", workload, 0o644);
    assert_eq!(adc(&[("GOOGLE_APPLICATION_CREDENTIALS", &open)]).expect("no secret").0, "external_account");
    let writable = directory.file("writable.json", workload, 0o666);
    std::fs::set_permissions(&writable, std::os::unix::fs::PermissionsExt::from_mode(0o666)).expect("set");
    assert!(adc(&[("GOOGLE_APPLICATION_CREDENTIALS", &writable)]).is_err(), "others could write it");
}
