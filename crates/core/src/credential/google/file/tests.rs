//! Credential files as Google writes them, and as somebody else might.

use super::*;
use crate::credential::google::places::{Endpoints, Loopback};
use crate::credential::google::sign::tests::PAIR;
use proptest::prelude::*;
use serde_json::{Value, json};

fn parse(value: &Value) -> Result<CredentialFile, BadFile> {
    CredentialFile::parse(&Bytes::from(value.to_string()), &Places::google())
}

fn refused(value: &Value) -> BadFile {
    parse(value).map(|_| ()).expect_err("refused")
}

fn user() -> Value {
    json!({"type": "authorized_user", "client_id": "c.apps.googleusercontent.com", "client_secret": "canary-s", "refresh_token": "canary-r",
        "quota_project_id": "q", "universe_domain": "googleapis.com", "account": ""})
}

fn account() -> Value {
    json!({"type": "service_account", "client_email": "a@p.iam.gserviceaccount.com", "private_key_id": "k1", "private_key": PAIR.1,
        "project_id": "p", "token_uri": "https://oauth2.googleapis.com/token", "client_x509_cert_url": "https://evil.test/ignored"})
}

fn impersonated(source: &Value) -> Value {
    json!({"type": "impersonated_service_account", "source_credentials": source, "delegates": ["projects/-/serviceAccounts/m@p.iam.gserviceaccount.com"],
        "service_account_impersonation_url": "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/t@p.iam.gserviceaccount.com:generateAccessToken"})
}

fn external(source: &Value) -> Value {
    json!({"type": "external_account", "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/x",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "token_url": "https://sts.googleapis.com/v1/token", "credential_source": source})
}

fn aws() -> Value {
    let base = "http://169.254.169.254/latest";
    let mut file = external(&json!({
        "environment_id": "aws1",
        "region_url": format!("{base}/meta-data/placement/availability-zone"),
        "url": format!("{base}/meta-data/iam/security-credentials"),
        "imdsv2_session_token_url": format!("{base}/api/token"),
        "regional_cred_verification_url": "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15",
    }));
    file["subject_token_type"] = json!("urn:ietf:params:aws:token-type:aws4_request");
    file
}

fn with(mut file: Value, name: &str, value: Value) -> Value {
    file[name] = value;
    file
}

#[test]
fn each_kind_is_read_and_nothing_of_it_is_printed() {
    let file = json!({"file": "/run/token", "format": {"type": "json", "subject_token_field_name": "id"}});
    let all = [
        (user(), "authorized_user", None),
        (account(), "service_account", Some("a@p.iam.gserviceaccount.com")),
        (impersonated(&user()), "impersonated_service_account", Some("t@p.iam.gserviceaccount.com")),
        (external(&file), "external_account", None),
        (aws(), "external_account", None),
        (
            json!({"type": "external_account_authorized_user", "client_id": "c", "client_secret": "canary-s", "refresh_token": "canary-r",
                "audience": "x", "token_url": "https://sts.googleapis.com/v1/oauthtoken", "token_info_url": "https://sts.googleapis.com/v1/introspect"}),
            "external_account_authorized_user",
            None,
        ),
    ];
    for (value, word, own) in all {
        let file = parse(&value).unwrap_or_else(|error| panic!("{word}: {error}"));
        assert_eq!((file.kind.word(), file.account().map(Account::as_str)), (word, own));
        let shown = format!("{file:?}");
        assert!(!shown.contains("canary") && !shown.contains("PRIVATE"), "{shown}");
    }
    assert_eq!(parse(&user()).expect("a file").quota_project.as_deref(), Some("q"));
    assert_eq!(parse(&account()).expect("a file").project.as_deref(), Some("p"));
}

#[test]
fn which_files_must_be_closed_to_others() {
    let no_secret = external(&json!({"file": "/run/token"}));
    assert!(!parse(&no_secret).expect("a file").holds_a_secret());
    assert!(!parse(&impersonated(&no_secret)).expect("a file").holds_a_secret());
    let with_client = with(with(no_secret, "client_id", json!("c")), "client_secret", json!("s"));
    for secret in [user(), account(), impersonated(&user()), with_client] {
        assert!(parse(&secret).expect("a file").holds_a_secret());
    }
}

#[test]
fn cld_02_nothing_is_run_and_no_foreign_host_is_asked() {
    assert_eq!(refused(&external(&json!({"executable": {"command": "/bin/evil"}}))), BadFile::Executable);
    assert_eq!(refused(&external(&json!({"executable": null}))), BadFile::Executable);
    assert_eq!(refused(&external(&json!({"file": "/run/token", "executable": {"command": "/bin/evil"}}))), BadFile::Executable);
    assert_eq!(refused(&external(&json!({"certificate": {"use_default_certificate_config": true}}))), BadFile::Certificate);
    let place = |file: &Value| match refused(file) {
        BadFile::Place(field, _) => field,
        other => panic!("{other}"),
    };
    for evil in ["https://evil.test/token", "http://169.254.169.254/token", "https://oauth2.googleapis.com.evil.test/token"] {
        assert_eq!(place(&with(user(), "token_uri", json!(evil))), "token_uri");
        assert_eq!(place(&with(account(), "token_uri", json!(evil))), "token_uri");
        assert_eq!(place(&with(external(&json!({"file": "/t"})), "token_url", json!(evil))), "token_url");
        assert_eq!(place(&external(&json!({"url": evil}))), "url");
        assert_eq!(
            place(&with(external(&json!({"file": "/t"})), "service_account_impersonation_url", json!(evil))),
            "service_account_impersonation_url"
        );
        assert_eq!(
            place(&with(impersonated(&user()), "service_account_impersonation_url", json!(evil))),
            "service_account_impersonation_url"
        );
        let mut hostile = aws();
        hostile["credential_source"]["url"] = json!(evil);
        assert_eq!(place(&hostile), "url");
    }
    for universe in ["evil.test", "googleapis.com.evil.test"] {
        for file in [user(), account(), external(&json!({"file": "/t"}))] {
            assert_eq!(refused(&with(file, "universe_domain", json!(universe))), BadFile::Universe);
        }
        assert_eq!(refused(&impersonated(&with(user(), "universe_domain", json!(universe)))), BadFile::Universe);
    }
    let mut hostile = aws();
    hostile["credential_source"]["regional_cred_verification_url"] = json!("https://sts.{region}.evil.test?Action=GetCallerIdentity");
    assert!(matches!(refused(&hostile), BadFile::Field(_)));
    hostile = aws();
    hostile["credential_source"].as_object_mut().expect("object").remove("imdsv2_session_token_url");
    assert!(matches!(refused(&hostile), BadFile::Missing(_)), "the first version of the metadata service is not asked");
}

#[test]
fn cld_02_impersonated_accounts_do_not_stand_in_one_another() {
    let mut nested = impersonated(&user());
    for depth in 0..10 {
        nested = impersonated(&nested);
        let error = refused(&nested);
        assert!(matches!(error, BadFile::Nested | BadFile::Form), "{depth}: {error}");
    }
}

#[test]
fn fields_that_are_missing_twice_or_of_another_kind_are_named() {
    for (file, fields) in [
        (user(), vec!["type", "client_id", "client_secret", "refresh_token"]),
        (account(), vec!["type", "client_email", "private_key"]),
        (impersonated(&user()), vec!["type", "source_credentials", "service_account_impersonation_url"]),
        (external(&json!({"file": "/t"})), vec!["type", "audience", "subject_token_type", "token_url", "credential_source"]),
    ] {
        for field in fields {
            let mut less = file.clone();
            less.as_object_mut().expect("object").remove(field);
            assert_eq!(refused(&less).to_string(), format!("{field} is missing"));
            for wrong in [json!(1), json!([]), json!(""), json!("a\nb"), json!("ä")] {
                assert!(parse(&with(file.clone(), field, wrong.clone())).is_err(), "{field}: {wrong}");
            }
        }
    }
    let twice = user().to_string().replacen('{', r#"{"refresh_token":"other","#, 1);
    assert_eq!(CredentialFile::parse(&Bytes::from(twice), &Places::google()).map(|_| ()), Err(BadFile::Form));
    for bad in ["", "[]", "null", "{}x", "\u{feff}{}"] {
        assert_eq!(CredentialFile::parse(&Bytes::from(bad), &Places::google()).map(|_| ()), Err(BadFile::Form), "{bad}");
    }
    let huge = with(user(), "x", json!("a".repeat(LARGEST)));
    assert_eq!(refused(&huge), BadFile::Form);
    for unknown in ["gdch_service_account", "api_key", "Service_Account", "x"] {
        assert_eq!(refused(&with(user(), "type", json!(unknown))), BadFile::Type);
    }
    assert!(matches!(refused(&with(account(), "client_email", json!("118234567890123456789"))), BadFile::Field("client_email")));
    assert!(matches!(refused(&with(account(), "private_key", json!("x"))), BadFile::Key(_)));
}

#[test]
fn sources_of_subject_tokens_are_one_of_those_that_are_offered() {
    for bad in [
        json!({}),
        json!({"file": "token"}),
        json!({"file": "/t", "url": "https://token.corp.example/"}),
        json!({"file": "/t", "format": {"type": "xml"}}),
        json!({"file": "/t", "format": {"type": "json"}}),
        json!({"file": "/t", "format": "json"}),
        json!({"environment_id": "aws2"}),
        json!([]),
    ] {
        assert!(parse(&external(&bad)).is_err(), "{bad}");
    }
    let endpoints = Endpoints { subject_token_hosts: vec!["token.corp.example".to_owned()], ..Endpoints::default() };
    let places = Places::new(&endpoints, Loopback::Refused).expect("places");
    let url = |headers: Value| {
        let file = external(&json!({"url": "https://token.corp.example/t", "headers": headers}));
        CredentialFile::parse(&Bytes::from(file.to_string()), &places).map(|_| ())
    };
    assert_eq!(url(json!({"Metadata": "true"})), Ok(()));
    for headers in [json!({"Host": "evil.test"}), json!({"a b": "c"}), json!({"a": "b\r\nc"}), json!({"a": 1}), json!([]), json!({"": "x"})]
    {
        assert!(url(headers.clone()).is_err(), "{headers}");
    }
    let mixed = with(external(&json!({"file": "/t"})), "subject_token_type", json!("urn:ietf:params:aws:token-type:aws4_request"));
    assert!(parse(&mixed).is_err(), "the type of AWS is for its own source alone");
    for lifetime in
        [json!({"token_lifetime_seconds": 59}), json!({"token_lifetime_seconds": 3601}), json!({"token_lifetime_seconds": "600"})]
    {
        let mut file = external(&json!({"file": "/t"}));
        file["service_account_impersonation_url"] = impersonated(&user())["service_account_impersonation_url"].clone();
        file["service_account_impersonation"] = lifetime.clone();
        assert!(parse(&file).is_err(), "{lifetime}");
    }
}

proptest! {
    /// Whatever a file says: no panic, and no error repeats a value of it.
    #[test]
    fn no_value_gets_into_an_error(field in "[a-z_]{1,24}", value in "\\PC{0,40}", which in 0usize..4) {
        let file = [user(), account(), impersonated(&user()), external(&json!({"file": "/t"}))][which].clone();
        let changed = with(file, &field, json!(format!("canary-value{value}")));
        if let Err(error) = parse(&changed) {
            let shown = format!("{error} {error:?}");
            prop_assert!(!shown.contains("canary-value"), "{}", shown);
        }
    }
}
