//! Signature version 4: a request with a body, signed for one service in one region at one second.
//!
//! Follows "Signature Version 4 signing process" of the AWS General Reference; the tests hold it against its published examples.
//! Must not know sockets, and reads no clock. Header names come in lower case, and the query already percent-encoded (RFC 3986).

use crate::secret::{Secret, hex, sha256};
use crate::time::Timestamp;
use aws_lc_rs::hmac;
use std::fmt;

/// Access keys of an account or of a session.
pub struct Keys {
    /// `AWS_ACCESS_KEY_ID`: names the keys, is no secret.
    pub id: String,
    /// `AWS_SECRET_ACCESS_KEY`.
    pub secret: Secret<String>,
    /// `AWS_SESSION_TOKEN` of temporary keys.
    pub session: Option<Secret<String>>,
}

/// What a signature is for.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// The region, such as `us-east-1`: checked before ([`is_region`]).
    pub region: &'a str,
    /// The service, such as `sts`.
    pub service: &'a str,
    /// When it is signed; the service believes it for some minutes.
    pub at: Timestamp,
}

/// A request to be signed. `Host` and `X-Amz-Date` are among the headers already.
#[derive(Debug, Clone, Copy)]
pub struct Signable<'a> {
    /// The method, upper case.
    pub method: &'a str,
    /// The path, percent-encoded; `/` for none.
    pub path: &'a str,
    /// Name and value of each parameter, percent-encoded.
    pub query: &'a [(&'a str, &'a str)],
    /// Name in lower case, and value, of each header; all are signed.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body.
    pub body: &'a [u8],
}

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// The value of `Authorization` for a request.
#[must_use]
pub fn authorization(request: &Signable<'_>, keys: &Keys, scope: &Scope<'_>) -> Secret<String> {
    let mut headers: Vec<(&str, String)> = request.headers.iter().map(|(name, value)| (*name, tidy(value))).collect();
    headers.sort_by_key(|(name, _)| *name);
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let mut query: Vec<String> = request.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    query.sort_unstable();
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let body = hex(&sha256(request.body));
    let canonical = format!("{}\n{}\n{}\n{lines}\n{names}\n{body}", request.method, request.path, query.join("&"));
    let stamp = stamp(scope.at);
    let day: String = stamp.chars().take(8).collect();
    let within = format!("{day}/{}/{}/aws4_request", scope.region, scope.service);
    let to_sign = format!("{ALGORITHM}\n{stamp}\n{within}\n{}", hex(&sha256(canonical.as_bytes())));
    let first = Secret::new(format!("AWS4{}", keys.secret.expose()).into_bytes());
    let steps = [day.as_str(), scope.region, scope.service, "aws4_request"];
    let key = steps.iter().fold(first, |key, step| Secret::new(keyed(key.expose(), step)));
    let signature = hex(&keyed(key.expose(), &to_sign));
    Secret::new(format!("{ALGORITHM} Credential={}/{within}, SignedHeaders={names}, Signature={signature}", keys.id))
}

/// `X-Amz-Date`: `20150830T123600Z`.
#[must_use]
pub fn stamp(at: Timestamp) -> String {
    let text = at.to_string();
    let whole = text.split('.').next().unwrap_or_default();
    format!("{}Z", whole.chars().filter(|c| !matches!(c, '-' | ':')).collect::<String>())
}

/// Whether a text can be the name of a region: it becomes part of a host (credentials 6.7), so `us-east-1.evil.test/` is none.
#[must_use]
pub fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let letters = |part: &&str| part.len() >= 2 && part.bytes().all(|byte| byte.is_ascii_lowercase());
    match parts.as_slice() {
        [first, middle @ .., number] => {
            text.len() <= 32
                && letters(first)
                && first.len() <= 5
                && !middle.is_empty()
                && middle.iter().all(letters)
                && (1..=2).contains(&number.len())
                && number.bytes().all(|byte| byte.is_ascii_digit())
        }
        _ => false,
    }
}

/// Without blanks around, and one for each run of them inside.
fn tidy(value: &str) -> String {
    value.split([' ', '\t']).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

fn keyed(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("temporary", &self.session.is_some()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2015-08-30T12:36:00Z, the time of the published test suite.
    const AT: Timestamp = Timestamp::from_millis(1_440_938_160_000);

    fn keys() -> Keys {
        let secret = Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned());
        Keys { id: "AKIDEXAMPLE".to_owned(), secret, session: None }
    }

    fn signed(request: &Signable<'_>, region: &str, service: &str) -> String {
        authorization(request, &keys(), &Scope { region, service, at: AT }).expose().clone()
    }

    /// The suite `aws-sig-v4-test-suite` of the AWS General Reference: `get-vanilla`, `post-vanilla` and so on.
    #[test]
    fn the_published_examples_come_out_byte_for_byte() {
        let vanilla = [("host", "example.amazonaws.com"), ("x-amz-date", "20150830T123600Z")];
        let sorted = [("my-header1", "value1"), ("host", "example.amazonaws.com"), ("x-amz-date", "20150830T123600Z")];
        let cased = [("my-header1", "VALUE1"), ("host", "example.amazonaws.com"), ("x-amz-date", "20150830T123600Z")];
        let query = [("Param2", "value2"), ("Param1", "value1")];
        let of = |method, query, headers| Signable { method, path: "/", query, headers, body: b"" };
        for (request, signature) in [
            (of("GET", &[], &vanilla), "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
            (of("POST", &[], &vanilla), "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
            (of("GET", &query, &vanilla), "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"),
            (of("POST", &[], &sorted), "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"),
            (of("POST", &[], &cased), "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"),
        ] {
            let text = signed(&request, "us-east-1", "service");
            assert!(text.ends_with(&format!("Signature={signature}")), "{request:?}: {text}");
        }
        let iam = [
            ("content-type", "application/x-www-form-urlencoded; charset=utf-8"),
            ("host", "iam.amazonaws.com"),
            ("x-amz-date", "20150830T123600Z"),
        ];
        let query = [("Action", "ListUsers"), ("Version", "2010-05-08")];
        let text = signed(&Signable { method: "GET", path: "/", query: &query, headers: &iam, body: b"" }, "us-east-1", "iam");
        let whole = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, \
            SignedHeaders=content-type;host;x-amz-date, Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7";
        assert_eq!(text, whole);
    }

    #[test]
    fn cld_05_a_region_is_a_region_and_no_host() {
        for good in ["us-east-1", "eu-central-2", "us-gov-west-1", "ap-southeast-12", "us-iso-east-1"] {
            assert!(is_region(good), "{good}");
        }
        let bad =
            ["us-east-1.evil.test/", "us-east", "us-1", "US-east-1", "us-east-1 ", "", "-", "us--1", "us-east-123", "u-east-1", "global"];
        for bad in bad {
            assert!(!is_region(bad), "{bad}");
        }
    }

    #[test]
    fn times_are_written_as_the_service_wants_them_and_keys_are_not_printed() {
        assert_eq!(stamp(AT), "20150830T123600Z");
        assert_eq!(format!("{:?}", keys()), "Keys { temporary: false, .. }");
        assert_eq!(tidy("  a   b\t c "), "a b c");
    }
}
