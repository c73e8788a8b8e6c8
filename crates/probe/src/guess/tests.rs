//! Generators that hide behind a digest, as services write them, and some that are random.

use super::*;

const NOW: u64 = 1_790_000_000_123;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn of(mill: Mill, text: &str) -> Vec<u8> {
    let (made, length) = mill.grind(text.as_bytes());
    made[..length].to_vec()
}

fn dashed(hex: &str) -> String {
    let dash = |(at, letter): (usize, char)| if matches!(at, 8 | 12 | 16 | 20) { format!("-{letter}") } else { letter.to_string() };
    hex.chars().take(32).enumerate().map(dash).collect()
}

/// As `uuid.uuid5` and `uuid.UUID(bytes=.., version=4)` do.
fn uuid_of(bytes: &[u8], version: u8) -> String {
    let mut bytes = bytes[..16].to_vec();
    bytes[6] = bytes[6] & 0x0f | version << 4;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    dashed(&hex(&bytes))
}

/// One sample in a second and a bit; the clock of the server is `off` milliseconds ahead.
fn samples(off: u64, make: impl Fn(u64, u64) -> String) -> Vec<Sample> {
    let one = |count: u64| {
        let at = NOW + count * 1100;
        Sample { id: make(count + 7, at + off), from: at - 3, to: at + 4, date: Some((at + off) / 1000 * 1000) }
    };
    (0..20).map(one).collect()
}

#[test]
fn scn_01_ids_behind_a_digest_are_computed() {
    let names = ["alice@acme.example".to_owned()];
    let cases: Vec<(&str, &str, Vec<Sample>)> = vec![
        ("a counter", "SHA-256", samples(0, |n, _| hex(&of(Mill::Sha256, &n.to_string())))),
        ("a counter", "SHA-256", samples(0, |n, _| format!("sess_{}", hex(&of(Mill::Sha256, &n.to_string())[..16])))),
        ("a counter", "MD5", samples(0, |n, _| dashed(&hex(&of(Mill::Md5, &(n + 19_000).to_string()))))),
        ("a counter", "SHA-1", samples(0, |n, _| URL_SAFE_NO_PAD.encode(of(Mill::Sha1, &n.to_string())))),
        ("a counter", "SHA-512", samples(0, |n, _| STANDARD.encode(of(Mill::Sha512, &n.to_string())))),
        ("a counter", "MD5", samples(0, |n, _| uuid_of(&of(Mill::Md5, &n.to_string()), 4))),
        ("a word and a counter", "UUID version 5", samples(0, |n, _| uuid_of(&of(Mill::Named(5, Some(0x11)), &format!("session-{n}")), 5))),
        ("a counter", "UUID version 3", samples(0, |n, _| uuid_of(&of(Mill::Named(3, None), &n.to_string()), 3))),
        ("the time in seconds", "MD5", samples(0, |_, at| hex(&of(Mill::Md5, &(at / 1000).to_string())))),
        ("the time in seconds", "SHA-1", samples(86_400_000, |_, at| hex(&of(Mill::Sha1, &(at / 1000).to_string())))),
        ("the time in milliseconds", "SHA-256", samples(700, |_, at| hex(&of(Mill::Sha256, &at.to_string())))),
        ("the time in milliseconds", "SHA-256", samples(3_600_000, |_, at| hex(&of(Mill::Sha256, &at.to_string())))),
        ("the time in microseconds", "MD5", samples(1, |_, at| hex(&of(Mill::Md5, &(at * 1000 + 17).to_string())))),
        ("a user name and a counter", "SHA-1", samples(0, |n, _| hex(&of(Mill::Sha1, &format!("alice@acme.example:{n}"))))),
        ("a user name and the time", "SHA-256", samples(0, |_, at| hex(&of(Mill::Sha256, &format!("admin{}", at / 1000))))),
        ("a user name and the time", "SHA-256", samples(0, |_, at| hex(&of(Mill::Sha256, &format!("alice@acme.example-{at}"))))),
        ("the number of a process and a counter", "MD5", samples(0, |n, _| hex(&of(Mill::Md5, &format!("42-{n}"))))),
        ("the number of a process and the time", "MD5", samples(0, |_, at| hex(&of(Mill::Md5, &format!("17:{}", at / 1000))))),
    ];
    for (space, mill, samples) in cases {
        let found = recipe(&samples, &names, 3_000_000).unwrap_or_else(|| panic!("{space} by {mill}: not found"));
        assert!(found.contains(space) && found.contains(&format!("by {mill}:")), "{space} by {mill}: {found}");
        assert!(!samples.iter().any(|sample| found.contains(&sample.id)) && !found.contains("alice"), "{found}");
    }
}

#[test]
fn scn_01_random_ids_are_not_computed() {
    let seed = |n: u64, salt: &str| of(Mill::Sha256, &format!("a key that nobody knows {salt} {n}"));
    for (what, samples) in [
        ("hex", samples(0, |n, _| hex(&seed(n, "")))),
        ("uuid", samples(0, |n, _| uuid_of(&seed(n, "uuid"), 4))),
        ("base64", samples(0, |n, _| URL_SAFE_NO_PAD.encode(&seed(n, "base64")[..18]))),
        ("one of a counter among random ones", samples(0, |n, _| hex(&if n == 9 { of(Mill::Sha256, "9") } else { seed(n, "") }))),
        ("words", samples(0, |n, _| format!("no digest at all {n}"))),
        ("nothing", Vec::new()),
    ] {
        assert_eq!(recipe(&samples, &["alice".to_owned()], 60_000), None, "{what}");
    }
}

#[test]
fn no_more_is_tried_than_may_be() {
    let samples = samples(0, |n, _| hex(&of(Mill::Sha256, &n.to_string())));
    assert_eq!(recipe(&samples, &[], 7), None, "eight texts come before the second id");
    assert!(recipe(&samples, &[], 9).is_some());
}

#[test]
fn dates_of_http_are_read() {
    assert_eq!(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777_000));
    assert_eq!(http_date("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
    assert_eq!(http_date("Tue, 29 Feb 2028 23:59:59 GMT"), Some(1_835_481_599_000));
    for bad in
        ["", "yesterday", "Sun, 06 Nov 0000 08:49:37 GMT", "Sun, 99 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 99999999999999999999 08:49:37 GMT"]
    {
        assert_eq!(http_date(bad), None, "{bad}");
    }
}
