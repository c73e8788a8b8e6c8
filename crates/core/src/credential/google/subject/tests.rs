//! Subject tokens of files, of answers and of AWS.

use super::*;
use serde_json::{Value, json};

fn keys_of(session: Option<&str>) -> Keys {
    let secret = Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned());
    Keys { id: "AKIDEXAMPLE".to_owned(), secret, session: session.map(|text| Secret::new(text.to_owned())) }
}

#[test]
fn a_subject_token_stands_alone_or_in_the_member_that_the_file_names() {
    let read = |text: &str, format: &Format| token(&Bytes::from(text.to_owned()), format).map(|token| token.expose().clone());
    assert_eq!(read("a.b.c\n", &Format::Text), Ok("a.b.c".to_owned()));
    let json = Format::Json("id".to_owned());
    assert_eq!(read(r#"{"id":"a.b.c"}"#, &json), Ok("a.b.c".to_owned()));
    for bad in ["", "\n", "a b", "a\nb", "ä", &"a".repeat(LONGEST + 1)] {
        assert_eq!(read(bad, &Format::Text), Err(NoSubject::Token), "{bad:?}");
    }
    for bad in [r#"{"other":"canary"}"#, r#"{"id":1}"#, "canary", r#"{"id":"a","id":"b"}"#] {
        let error = read(bad, &json).expect_err("refused");
        assert_eq!(error, NoSubject::Form, "{bad}");
        assert!(!format!("{error} {error:?}").contains("canary"), "the subject token is in no error (18.2, defect 7)");
    }
}

#[test]
fn aws_signs_the_audience_and_names_its_own_host() {
    let now = Timestamp::from_millis(1_440_938_160_000);
    let audience = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/x";
    let signed = signed_request(audience, "us-east-1", &keys_of(Some("session")), now).expect("signed");
    assert!(!signed.expose().contains([' ', '+', '"']), "percent-encoded throughout");
    let text: String =
        url::form_urlencoded::parse(format!("x={}", signed.expose()).as_bytes()).map(|(_, value)| value.into_owned()).collect();
    let whole: Value = serde_json::from_str(&text).expect("json");
    assert_eq!(whole["url"], json!("https://sts.us-east-1.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15"));
    assert_eq!((&whole["method"], &whole["body"]), (&json!("POST"), &json!("")));
    let header = |name: &str| {
        let all = whole["headers"].as_array().expect("headers");
        all.iter().find(|pair| pair["key"] == name).map(|pair| pair["value"].as_str().expect("text").to_owned())
    };
    assert_eq!(header("x-goog-cloud-target-resource").as_deref(), Some(audience));
    assert_eq!(header("x-amz-date").as_deref(), Some("20150830T123600Z"));
    assert_eq!(header("x-amz-security-token").as_deref(), Some("session"));
    let authorization = header("Authorization").expect("signed");
    let names = "SignedHeaders=host;x-amz-date;x-amz-security-token;x-goog-cloud-target-resource,";
    assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/sts/aws4_request"), "{authorization}");
    assert!(authorization.contains(names), "{authorization}");
    let other = signed_request("//iam.googleapis.com/other", "us-east-1", &keys_of(Some("session")), now).expect("signed");
    assert_ne!(signed.expose(), other.expose(), "a signature for one provider is none for another");
    assert!(matches!(signed_request(audience, "us-east-1.evil.test/", &keys_of(None), now), Err(NoSubject::Region)));
}

#[test]
fn cld_03_the_metadata_service_of_aws_is_asked_in_a_session_and_its_words_are_held_to_their_form() {
    let aws = Aws {
        region_url: None,
        keys_url: Some("http://169.254.169.254/latest/meta-data/iam/security-credentials/".to_owned()),
        session_url: None,
    };
    assert_eq!(keys_url(&aws, "my-role\n"), Ok("http://169.254.169.254/latest/meta-data/iam/security-credentials/my-role".to_owned()));
    for bad in ["", "a/b", "../x", "a?b", "a\nb", &"a".repeat(65)] {
        assert_eq!(keys_url(&aws, bad), Err(NoSubject::Keys), "{bad:?}");
    }
    assert_eq!(region_of("us-east-1b\n"), Ok("us-east-1".to_owned()));
    assert_eq!(region_of("eu-west-2"), Ok("eu-west-2".to_owned()));
    for bad in ["", "evil.test", "us-east-1.evil.test/a", "<html>"] {
        assert_eq!(region_of(bad), Err(NoSubject::Region), "{bad}");
    }
    let good = json!({"Code": "Success", "AccessKeyId": "A", "SecretAccessKey": "B", "Token": "C"});
    assert!(keys(&Bytes::from(good.to_string())).is_ok());
    for member in ["AccessKeyId", "SecretAccessKey", "Token"] {
        for wrong in [json!(null), json!(""), json!("a b"), json!(1)] {
            let mut changed = good.clone();
            changed[member] = wrong.clone();
            assert!(keys(&Bytes::from(changed.to_string())).is_err(), "{member} {wrong}");
        }
    }
    let session = imds_session("http://169.254.169.254/latest/api/token");
    assert_eq!((session.method.as_str(), session.to), ("PUT", To::Imds));
    let ask = imds("http://169.254.169.254/latest/x", &Secret::new("canary".to_owned()));
    assert!(!format!("{ask:?}").contains("canary"));
    assert_eq!(
        ask.headers.first().map(|(name, value)| (name.as_str(), value.expose().as_str())),
        Some(("x-aws-ec2-metadata-token", "canary"))
    );
}
