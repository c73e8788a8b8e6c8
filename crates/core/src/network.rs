//! What kind of network an address lies in. Pure; knows no configuration.
//!
//! Follows the IANA special-purpose registries for IPv4 and IPv6, and reads IPv4 addresses inside IPv6 ones as what they
//! reach. What is not known to be global unicast is never connected to. Attacks SSRF-01.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The reach of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// Global unicast: the internet.
    Public,
    /// Private use, shared address space, benchmarking, unique local: only where the administrator opened it.
    Private,
    /// This machine.
    Loopback,
    /// Nothing a gateway may ever talk to: metadata services, link-local, unspecified, multicast, reserved, documentation
    /// and transition prefixes.
    Never,
}

impl Network {
    /// Where `ip` lies.
    #[must_use]
    pub const fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => v4(ip),
            IpAddr::V6(ip) => v6(ip),
        }
    }
}

/// Whether a cloud keeps the metadata service of this machine at `ip`: Google and AWS, over IPv4 and IPv6. They are [`Network::Never`] for
/// all but those who ask for credentials there (credentials 6.7 and 9.3).
#[must_use]
pub const fn is_metadata(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => matches!(ip.octets(), [169, 254, 169, 254]),
        IpAddr::V6(ip) => matches!(ip.segments(), [0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254] | [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254]),
    }
}

const fn v4(ip: Ipv4Addr) -> Network {
    match ip.octets() {
        // Metadata services outside 169.254/16: Azure's wire server, Alibaba (inside the shared space), Oracle (192.0.0.192).
        [168, 63, 129, 16] | [100, 100, 100, 200] => Network::Never,
        [127, ..] => Network::Loopback,
        [10, ..] | [192, 168, ..] | [198, 18 | 19, ..] => Network::Private,
        [172, b, ..] if b & 0xf0 == 16 => Network::Private,
        [100, b, ..] if b & 0xc0 == 64 => Network::Private,
        // This network, link-local, protocol assignments, documentation, 6to4 relays, multicast, reserved, broadcast.
        [0, ..] | [169, 254, ..] | [192, 0, 0 | 2, _] | [192, 88, 99, _] | [198, 51, 100, _] | [203, 0, 113, _] | [224..=255, ..] => {
            Network::Never
        }
        _ => Network::Public,
    }
}

const fn v6(ip: Ipv6Addr) -> Network {
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Network::Loopback,
        // Metadata services of AWS and Google inside the unique local range.
        [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254] | [0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254] => Network::Never,
        // ISATAP: the IPv4 address of a tunnel end as interface identifier.
        [_, _, _, _, 0 | 0x0200, 0x5efe, _, _] => Network::Never,
        [a, ..] if a & 0xfe00 == 0xfc00 => Network::Private,
        // NAT64, well-known prefix: reaches the IPv4 address inside (RFC 6052), and only global ones lie behind it.
        [0x0064, 0xff9b, 0, 0, 0, 0, high, low] => {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            match v4(Ipv4Addr::new(a, b, c, d)) {
                Network::Public => Network::Public,
                _ => Network::Never,
            }
        }
        // Protocol assignments with Teredo, documentation, 6to4, documentation.
        [0x2001, 0..=0x01ff, ..] | [0x2001, 0x0db8, ..] | [0x2002, ..] | [0x3fff, 0..=0x0fff, ..] => Network::Never,
        [a, ..] if a & 0xe000 == 0x2000 => Network::Public,
        // Outside 2000::/3 nothing is global unicast: unspecified, mapped, compatible, 64:ff9b:1::/48, discard,
        // segment routing, link-local, site-local, multicast.
        _ => Network::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Network {
        Network::of(text.parse().expect(text))
    }

    #[test]
    fn ssrf_01_special_addresses_are_never_public() {
        for never in [
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "169.254.170.2",
            "168.63.129.16",
            "100.100.100.200",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.250",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::ffff:127.0.0.1",
            "::ffff:7f00:1",
            "::ffff:8.8.8.8",
            "::127.0.0.1",
            "::8.8.8.8",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b::7f00:1",
            "64:ff9b::a00:1",
            "64:ff9b:1::",
            "64:ff9b:1::808:808",
            "100::1",
            "2001::1",
            "2001:0:4136:e378::1",
            "2001:10::1",
            "2001:20::1",
            "2001:1ff::1",
            "2001:db8::1",
            "2002:a9fe:a9fe::",
            "2002:808:808::1",
            "3fff::1",
            "5f00::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "2600::5efe:7f00:1",
            "2600::200:5efe:a00:1",
            "4000::1",
            "8000::1",
        ] {
            assert_eq!(of(never), Network::Never, "{never}");
        }
        for private in [
            "10.0.0.1",
            "10.255.255.255",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "198.18.0.1",
            "198.19.255.255",
            "fc00::1",
            "fd12:3456::1",
        ] {
            assert_eq!(of(private), Network::Private, "{private}");
        }
        for loopback in ["127.0.0.1", "127.255.255.255", "::1"] {
            assert_eq!(of(loopback), Network::Loopback, "{loopback}");
        }
        for public in [
            "8.8.8.8",
            "1.1.1.1",
            "172.15.255.255",
            "172.32.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "223.255.255.1",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "2a00:1450::1",
            "64:ff9b::808:808",
            "2001:200::1",
        ] {
            assert_eq!(of(public), Network::Public, "{public}");
        }
    }
}
