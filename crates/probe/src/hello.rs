//! The first words of old TLS: a ClientHello of 1.0 or 1.1 as bytes, and whether a server takes it up (RFC 4346, RFC 8996). No
//! handshake is finished and no secret is agreed upon. Pure.

/// A version that nobody should speak any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Old {
    Tls10,
    Tls11,
}

/// Suites that servers of that time know: ECDHE and RSA with AES and 3DES.
const SUITES: [u16; 8] = [0xc014, 0xc013, 0xc00a, 0xc009, 0x0035, 0x002f, 0x000a, 0x0005];

// === impl Old ===

impl Old {
    pub(crate) const ALL: [Self; 2] = [Self::Tls10, Self::Tls11];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Tls10 => "TLS 1.0",
            Self::Tls11 => "TLS 1.1",
        }
    }

    const fn number(self) -> [u8; 2] {
        match self {
            Self::Tls10 => [3, 1],
            Self::Tls11 => [3, 2],
        }
    }

    /// The bytes that offer this version and no newer one. None if the name is too long for one.
    pub(crate) fn hello(self, host: &str, random: &[u8; 32]) -> Option<Vec<u8>> {
        let mut extensions = Vec::new();
        if host.parse::<std::net::IpAddr>().is_err() {
            let name = sized(host.as_bytes())?;
            let list = sized(&[&[0], name.as_slice()].concat())?;
            extensions.extend_from_slice(&[0, 0]);
            extensions.extend(sized(&list)?);
        }
        // Curves and point formats, without which elliptic suites are not chosen.
        extensions.extend_from_slice(&[0, 10, 0, 6, 0, 4, 0, 23, 0, 24, 0, 11, 0, 2, 1, 0]);
        let suites: Vec<u8> = SUITES.iter().flat_map(|suite| suite.to_be_bytes()).collect();
        let body = [&self.number()[..], random, &[0], &sized(&suites)?, &[1, 0], &sized(&extensions)?].concat();
        let length = u32::try_from(body.len()).ok()?.to_be_bytes();
        let handshake = [&[1], length.get(1..)?, &body].concat();
        Some([&[22, 3, 1], sized(&handshake)?.as_slice()].concat())
    }

    /// Whether this is a ServerHello that takes the offer up.
    pub(crate) fn taken_up(self, answer: &[u8]) -> bool {
        answer.first() == Some(&22) && answer.get(5) == Some(&2) && answer.get(9..11) == Some(&self.number()[..])
    }
}

/// With its length in two bytes before it.
fn sized(bytes: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(bytes.len()).ok()?;
    Some([&length.to_be_bytes()[..], bytes].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_says_its_lengths_and_an_alert_is_no_answer() {
        let hello = Old::Tls11.hello("mcp.test", &[7; 32]).expect("bytes");
        assert_eq!(usize::from(hello[3]) << 8 | usize::from(hello[4]), hello.len() - 5);
        assert_eq!(usize::from(hello[7]) << 8 | usize::from(hello[8]), hello.len() - 9);
        assert!(!Old::Tls11.taken_up(&[21, 3, 2, 0, 2, 2, 70]));
        assert!(Old::Tls11.taken_up(&[22, 3, 2, 0, 81, 2, 0, 0, 77, 3, 2, 1]));
        assert!(!Old::Tls10.taken_up(&[22, 3, 3, 0, 81, 2, 0, 0, 77, 3, 3, 1]));
    }
}
