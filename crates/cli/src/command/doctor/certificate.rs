//! The listener's certificate: readable, fitting its key, and how long it is valid (RFC 5280 4.1.2.5).

use super::Check;
use doorward_core::config::{Config, Tls};
use doorward_gateway::env::Env;
use doorward_gateway::listen::tls::{Oldest, Tls as Loaded};
use std::path::Path;

/// Fewer days than these are worth a look.
const SOON: i64 = 14;

pub(super) fn checks(config: &Config) -> Vec<Check> {
    let Tls::Here { cert, key, client_ca, .. } = &config.listen.tls else { return Vec::new() };
    let loaded = Loaded::load(cert, key, Oldest::V1_2);
    let loaded = match client_ca {
        Some(authorities) => loaded.and_then(|tls| tls.asking(authorities, &Env::system())),
        None => loaded,
    };
    if let Err(error) = loaded {
        return vec![Check::bad("certificate", error.to_string(), "listen.tls")];
    }
    vec![validity(cert)]
}

fn validity(cert: &Path) -> Check {
    let found = std::fs::read(cert).ok().and_then(|pem| first(&pem)).and_then(|der| times(&der));
    let Some((from, until)) = found else {
        return Check::note("certificate", "its dates cannot be read", "look at it with openssl x509 -noout -dates");
    };
    judge(from, until, jiff::Timestamp::now())
}

fn judge(from: jiff::Timestamp, until: jiff::Timestamp, now: jiff::Timestamp) -> Check {
    let days = (until.as_second() - now.as_second()).div_euclid(86_400);
    let help = "renew it, then send the gateway SIGHUP";
    if now < from {
        return Check::bad("certificate", format!("not valid before {from}"), "is the clock right?");
    }
    if now >= until {
        return Check::bad("certificate", format!("expired {until}"), help);
    }
    let text = format!("valid {days} days, until {until}");
    if days < SOON { Check::note("certificate", text, help) } else { Check::good("certificate", text) }
}

/// The first certificate of a PEM file.
fn first(pem: &[u8]) -> Option<Vec<u8>> {
    use base64::Engine as _;
    let text = std::str::from_utf8(pem).ok()?;
    let (_, rest) = text.split_once("-----BEGIN CERTIFICATE-----")?;
    let (body, _) = rest.split_once("-----END CERTIFICATE-----")?;
    let plain: String = body.split_whitespace().collect();
    base64::engine::general_purpose::STANDARD.decode(plain).ok()
}

/// `notBefore` and `notAfter`.
fn times(der: &[u8]) -> Option<(jiff::Timestamp, jiff::Timestamp)> {
    let (_, certificate, _) = element(der)?;
    let (_, mut rest, _) = element(certificate)?;
    // version [0] is optional; then serial, algorithm and issuer stand before the dates.
    if rest.first() == Some(&0xa0) {
        rest = element(rest)?.2;
    }
    for _ in 0..3 {
        rest = element(rest)?.2;
    }
    let (_, validity, _) = element(rest)?;
    let (tag, from, rest) = element(validity)?;
    let from = time(tag, from)?;
    let (tag, until, _) = element(rest)?;
    Some((from, time(tag, until)?))
}

/// Tag, content and what follows, of one DER element.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x83 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0_usize, |length, byte| (length << 8) | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

/// `UTCTime` with two digits of the year (1950 to 2049), or `GeneralizedTime`; both in UTC.
fn time(tag: u8, content: &[u8]) -> Option<jiff::Timestamp> {
    let text = std::str::from_utf8(content).ok()?.strip_suffix('Z')?;
    let text = match tag {
        0x17 => format!("{}{text}", if text.as_bytes().first()? >= &b'5' { "19" } else { "20" }),
        0x18 => text.to_owned(),
        _ => return None,
    };
    let part = |from: usize, to: usize| text.get(from..to);
    let (date, clock) = ((part(0, 4)?, part(4, 6)?, part(6, 8)?), (part(8, 10)?, part(10, 12)?, part(12, 14)?));
    format!("{}-{}-{}T{}:{}:{}Z", date.0, date.1, date.2, clock.0, clock.1, clock.2).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::Sign;

    #[test]
    fn the_dates_of_a_certificate_are_read() {
        // SEQUENCE { SEQUENCE { [0] {2}, 1, {}, {}, { UTCTime, GeneralizedTime } } }
        let dates = [b"\x17\x0d260101000000Z".as_slice(), b"\x18\x0f20500101000000Z".as_slice()].concat();
        let validity = [&[0x30, u8::try_from(dates.len()).expect("short")], dates.as_slice()].concat();
        let inner = [b"\xa0\x03\x02\x01\x02\x02\x01\x01\x30\x00\x30\x00".as_slice(), &validity].concat();
        let tbs = [&[0x30, u8::try_from(inner.len()).expect("short")], inner.as_slice()].concat();
        let der = [&[0x30, u8::try_from(tbs.len()).expect("short")], tbs.as_slice()].concat();
        let (from, until) = times(&der).expect("dates");
        assert_eq!((from.to_string(), until.to_string()), ("2026-01-01T00:00:00Z".to_owned(), "2050-01-01T00:00:00Z".to_owned()));
        for cut in 0..der.len() {
            assert_eq!(times(&der[..cut]), None, "{cut}");
        }
        let at = |text: &str| text.parse::<jiff::Timestamp>().expect("a time");
        assert_eq!(judge(from, until, at("2026-06-01T00:00:00Z")).sign, Sign::Good);
        assert_eq!(judge(from, until, at("2049-12-25T00:00:00Z")).sign, Sign::Note);
        assert_eq!(judge(from, until, until).sign, Sign::Bad);
        assert_eq!(judge(from, until, at("2025-12-31T00:00:00Z")).sign, Sign::Bad);
    }
}
