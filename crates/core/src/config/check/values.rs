//! Single values: addresses, hosts, networks, paths, sizes, rates, durations, texts. Each complaint names the form that is wanted.

use super::{Checker, path_of};
use crate::config::schema::{escaped, written};
use crate::config::units::{self, Rate, Size};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// Text for people is not longer than this, in bytes.
const MAX_WORDS: usize = 1_000;

/// What upstream servers may be in once it is listed.
const PRIVATE: [&str; 7] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7", "127.0.0.0/8", "::1/128"];

pub(super) const fn loopback_default() -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8417)
}

/// True for `localhost` and the loopback addresses, as URLs write them.
pub(super) fn is_loopback_host(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// True for a network inside the private ranges.
pub(super) fn is_private(net: &IpNet) -> bool {
    PRIVATE.iter().filter_map(|range| range.parse::<IpNet>().ok()).any(|range| range.contains(net))
}

impl Checker<'_> {
    pub(super) fn socket(&mut self, path: &[&str], text: &str) -> Option<SocketAddr> {
        let loopback =
            text.strip_prefix("localhost:").and_then(|port| port.parse().ok()).map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let address = text.parse().ok().or(loopback);
        if address.is_none() {
            let message = format!("{} is not an address and port", written(&path_of(path)));
            let help = "write 127.0.0.1:8417 or [::1]:8417; host names are not looked up here".to_owned();
            self.bad(path, ("config.address", message, "not address:port", help));
        }
        address
    }

    pub(super) fn networks(
        &mut self,
        path: &[&str],
        items: &[String],
        mut accepts: impl FnMut(&mut Self, &[&str], IpNet) -> bool,
    ) -> Vec<IpNet> {
        self.each(path, items, |checker, path, text| {
            let complaint = match (text.parse::<IpNet>(), text.parse::<IpAddr>()) {
                (Ok(net), _) if net.trunc() == net => return accepts(checker, path, net).then_some(net),
                (Ok(net), _) => {
                    ("config.network", format!("{net} is an address inside a network"), "not a network", format!("write {}", net.trunc()))
                }
                (_, Ok(ip)) => ("config.network", format!("{ip} has no length"), "not a network", format!("write {}", IpNet::from(ip))),
                _ => {
                    ("config.network", format!("\"{}\" is not a network", escaped(text)), "not a network", "write 10.20.0.0/16".to_owned())
                }
            };
            checker.bad(path, complaint);
            None
        })
    }

    pub(super) fn proxy_range(&mut self, path: &[&str], net: IpNet) -> bool {
        let least = if matches!(net, IpNet::V4(_)) { 8 } else { 16 };
        let narrow = net.prefix_len() >= least || is_private(&net);
        if !narrow {
            let message = format!("{net} trusts the forwarded headers of half the internet");
            let help = "list only the networks that your proxies are in".to_owned();
            self.bad(path, ("config.proxy_untrusted", message, "too wide", help));
        }
        narrow
    }

    pub(super) fn host(&mut self, path: &[&str], text: &str) -> Option<String> {
        let url = Url::parse(&format!("http://{text}/")).ok();
        let plain = !text.is_empty() && !text.contains(['/', '@', '?', '#', '*', ' ']) && !text.contains(char::is_control);
        let good = plain && url.is_some_and(|url| url.host_str().is_some_and(|host| text.to_ascii_lowercase().starts_with(host)));
        if !good {
            let message = format!("\"{}\" is not a host name", escaped(text));
            let help = "write it as clients send it: mcp.internal or mcp.internal:8443; no patterns".to_owned();
            self.bad(path, ("config.host", message, "not a host", help));
        }
        good.then(|| text.to_ascii_lowercase())
    }

    pub(super) fn origin(&mut self, path: &[&str], text: &str) -> Option<String> {
        let url = Url::parse(text).ok();
        let web = |url: &Url| url.scheme() == "https" || url.scheme() == "http" && is_loopback_host(url.host_str().unwrap_or_default());
        let good = url.as_ref().is_some_and(|url| web(url) && url.origin().ascii_serialization() == text);
        if !good {
            let message = format!("\"{}\" is not a browser origin", escaped(text));
            let help = "write it as browsers send it: https://app.acme.example; no path, no pattern, never null".to_owned();
            self.bad(path, ("config.origin", message, "not an origin", help));
        }
        good.then(|| text.to_owned())
    }

    /// A path, relative to the file that it stands in.
    pub(super) fn path(&mut self, path: &[&str], text: &str) -> Option<PathBuf> {
        let name = written(&path_of(path));
        if text.is_empty() || text.contains('\0') {
            self.bad(path, ("config.empty", format!("{name} is empty"), "empty", "name a file, or leave the key out".to_owned()));
            return None;
        }
        let whole = self.base(path).join(text);
        if whole.is_absolute() {
            return Some(whole);
        }
        let message = format!("{name} is relative, and there is no file that it could be relative to");
        self.bad(path, ("config.relative_path", message, "relative", "write the whole path, from /".to_owned()));
        None
    }

    /// Text for people: not empty, on one line.
    pub(super) fn words(&mut self, path: &[&str], text: Option<String>) -> Option<String> {
        let text = text?;
        let why = if text.trim().is_empty() {
            Some(("config.empty", "is empty", "write something, or leave the key out"))
        } else if text.contains(char::is_control) {
            Some(("config.text", "holds control characters", "one line of plain text"))
        } else if text.len() > MAX_WORDS {
            Some(("config.text", "is too long", "at most 1000 bytes"))
        } else {
            None
        };
        let Some((id, what, help)) = why else { return Some(text) };
        self.bad(path, (id, format!("{} {what}", written(&path_of(path))), what, help.to_owned()));
        None
    }

    pub(super) fn size(&mut self, path: &[&str], text: Option<String>, default: Size, range: RangeInclusive<u64>) -> Size {
        let Some(text) = text else { return default };
        let (least, most) = (Size::bytes(*range.start()), Size::bytes(*range.end()));
        match Size::parse(&text) {
            Some(size) if range.contains(&size.as_bytes()) => return size,
            Some(size) => self.out_of_range(path, &size.to_string(), &least.to_string(), &most.to_string()),
            None => self.form(path, &text, "a size", "a number and B, KiB, MiB or GiB: \"4MiB\""),
        }
        default
    }

    pub(super) fn span(&mut self, path: &[&str], text: Option<String>, default: Duration, seconds: RangeInclusive<u64>) -> Duration {
        let Some(text) = text else { return default };
        let ends = [*seconds.start(), *seconds.end()].map(|end| units::written(Duration::from_secs(end)));
        match units::duration(&text) {
            Some(span) if seconds.contains(&span.as_secs()) => return span,
            Some(span) => {
                let [least, most] = &ends;
                self.out_of_range(path, &units::written(span), least, most);
            }
            None => self.form(path, &text, "a duration", "a number and s, m, h or d: \"30s\""),
        }
        default
    }

    pub(super) fn rate(&mut self, path: &[&str], text: Option<String>) -> Option<Rate> {
        let text = text?;
        let rate = Rate::parse(&text);
        if rate.is_none() {
            self.form(path, &text, "a rate", "a number and /s, /m or /h: \"300/m\"");
        }
        rate
    }

    fn form(&mut self, path: &[&str], text: &str, what: &str, wanted: &str) {
        let message = format!("{} is not {what}: \"{}\"", written(&path_of(path)), escaped(text));
        self.bad(path, ("config.form", message, "wrong form", format!("write {wanted}")));
    }

    pub(super) fn out_of_range(&mut self, path: &[&str], value: &str, least: &str, most: &str) {
        let message = format!("{} cannot be {value}", written(&path_of(path)));
        self.bad(path, ("config.out_of_range", message, "out of range", format!("from {least} to {most}")));
    }
}
