//! What a call is about, as the record may name it: a name as it is, an address without what opens it.

use super::event::cap;
use std::borrow::Cow;

/// What stands in place of a secret.
const HIDDEN: &str = "[hidden]";

/// The target of a call. Of an address the user information (RFC 3986 section 3.2.1), and the values of its query that are
/// named after secrets, are left out: callers choose addresses of resources, and the record is read by others.
pub(super) fn named(target: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = target.split_once("://") else { return cap(target) };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map(|(_, host)| host);
    let (path, query) = path.split_at(path.find(['?', '#']).unwrap_or(path.len()));
    let mut out = format!("{scheme}://");
    if let Some(host) = host {
        out.push_str(HIDDEN);
        out.push('@');
        out.push_str(host);
    } else {
        out.push_str(authority);
    }
    out.push_str(path);
    for part in query.split_inclusive(['&', ';', '?', '#']) {
        match part.split_once('=') {
            Some((name, value)) if is_secret(name) => {
                out.push_str(name);
                out.push('=');
                out.push_str(HIDDEN);
                out.extend(value.chars().next_back().filter(|last| matches!(last, '&' | ';' | '?' | '#')));
            }
            _ => out.push_str(part),
        }
    }
    if out == target { cap(target) } else { Cow::Owned(cap(&out).into_owned()) }
}

fn is_secret(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    ["key", "secret", "token", "passw", "pwd", "sig", "auth", "credential", "session", "code"].iter().any(|word| lower.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pol_04_the_address_of_a_resource_is_recorded_without_what_opens_it() {
        for (target, recorded) in [
            ("postgres://svc:Winter77rain@db.internal:5432/app", "postgres://[hidden]@db.internal:5432/app"),
            ("https://token@a.example", "https://[hidden]@a.example"),
            ("https://a.example/c?sv=1&sig=abc%3D&x=2#access_token=def", "https://a.example/c?sv=1&sig=[hidden]&x=2#access_token=[hidden]"),
            ("https://a.example/@scope/p?q=a@b", "https://a.example/@scope/p?q=a@b"),
            ("x://a:b@c:d@e/f?api_key=1;b=2", "x://[hidden]@e/f?api_key=[hidden];b=2"),
            ("read_file", "read_file"),
            ("file:///etc/hosts", "file:///etc/hosts"),
        ] {
            assert_eq!(named(target), recorded);
        }
    }
}
