//! Attacks REG-01, AZ-06 and AZ-07 on the grammar and the match.

use super::*;
use crate::id::ClientId;
use crate::oauth::client::{ClientAuth, Devices, DocumentSource, Parts};
use crate::time::Timestamp;

fn schemes(list: &[&str]) -> Schemes {
    Schemes::new(list.iter().map(|scheme| (*scheme).to_owned()).collect()).expect("schemes")
}

fn client(uris: &[&str]) -> Client {
    let schemes = schemes(&["cursor"]);
    let redirects = uris.iter().map(|uri| Registered::new(uri, &schemes).expect(uri)).collect();
    Client::configured(ClientId::new("c1").expect("id"), "C".to_owned(), redirects, ClientAuth::None)
}

fn published(id: &str, host: &str, uris: &[&str]) -> Client {
    let identity = Identity::Published { host: host.to_owned(), source: DocumentSource::Live, checked: Timestamp::from_millis(1) };
    let redirects = uris.iter().map(|uri| Registered::new(uri, &schemes(&["cursor"])).expect(uri)).collect();
    Client::new(Parts {
        id: ClientId::new(id).expect("id"),
        name: "P".to_owned(),
        identity,
        redirects,
        auth: ClientAuth::None,
        devices: Devices::Unnamed,
    })
}

#[test]
fn reg_01_dangerous_redirect_uris_are_not_registered() {
    let long = format!("https://good.test/{}", "a".repeat(64 * 1024));
    for bad in [
        "",
        " ",
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "javascript://good.test/%0aalert(1)",
        "data:text/html,x",
        "vbscript:x",
        "blob:https://good.test/x",
        "about:blank",
        "view-source:https://good.test/",
        "file:///etc/passwd",
        "ftp://good.test/cb",
        "http://evil.test/cb",
        "http://10.0.0.1/cb",
        "http://127.0.0.2/cb",
        "http://127.1/cb",
        "http://0x7f.1/cb",
        "http://0.0.0.0/cb",
        "http://2130706433/cb",
        "http://127.0.0.1./cb",
        "http://localhost./cb",
        "http://LOCALHOST/cb",
        "http://[::]/cb",
        "http://[::ffff:127.0.0.1]/cb",
        "http://[0:0:0:0:0:0:0:1]/cb",
        "http://localhost.evil.test/cb",
        "http://127.0.0.1.evil.test/cb",
        "http://127.0.0.1@evil.test/cb",
        "http://127.0.0.1:80@evil.test/cb",
        "http://127.0.0.1:0/cb",
        "http://127.0.0.1:65536/cb",
        "http://127.0.0.1:/cb",
        "http://127.0.0.1:+1/cb",
        "http://127.0.0.1:080/cb",
        "http:127.0.0.1/cb",
        "http:/127.0.0.1/cb",
        "http:///127.0.0.1/cb",
        "https://evil.test/cb#f",
        "https://evil.test/cb#",
        "https://user:pw@good.test/cb",
        "https://user@good.test/cb",
        "https://good.test/../cb",
        "https://good.test/a/..",
        "https://good.test/./cb",
        "https://good.test/%2e%2e/cb",
        "https://good.test/.%2E/cb",
        "//evil.test/cb",
        "/cb",
        "cb",
        "https:good.test/cb",
        "https:/good.test/cb",
        "https://",
        "https:///cb",
        "https://good.test\\@evil.test/",
        "https://good.test/a\\b",
        "https://good.test /cb",
        "https://good.test/c b",
        "https://good.test/c\tb",
        "https://good.test/cb\r\nSet-Cookie: a=b",
        "https://good.test/%zz",
        "https://good.test/%",
        "https://good.test/\"><script>",
        "https://gооd.test/cb",
        "https://good.test/é",
        "https://good。test/cb",
        "https://*.good.test/cb",
        "https://good.test/*",
        "https://good.test:443:1/cb",
        "https://good.test:4a/cb",
        "https://-good.test/cb",
        "https://good..test/cb",
        "https://.good.test/cb",
        "https://good.test./cb",
        "https://Good.test/cb",
        "HTTPS://good.test/cb",
        "https://0.0.0.0/cb",
        "https://010.0.0.1/cb",
        "https://[::1/cb",
        "https://[::1]x/cb",
        "https://%67ood.test/cb",
        "vscode://x",
        "cursor://x",
        "com.example.app:/cb",
        &long,
    ] {
        assert!(Registered::new(bad, &Schemes::default()).is_err(), "{bad}");
    }
}

#[test]
fn reg_01_what_real_clients_register_is_accepted_and_kept_as_it_is() {
    for good in [
        "http://127.0.0.1/callback",
        "http://localhost/callback",
        "http://[::1]/cb",
        "http://127.0.0.1:33418/",
        "http://127.0.0.1:43123",
        "http://localhost:3118/callback",
        "https://vscode.dev/redirect",
        "https://claude.ai/api/mcp/auth_callback",
        "https://good.test/cb?x=1",
        "https://good.test",
        "https://good.test:8443/c_b/%20-~(1);a=b/.../..a",
        "https://xn--bcher-kva.test/cb",
    ] {
        assert_eq!(Registered::new(good, &Schemes::default()).expect(good).as_str(), good);
    }
}

#[test]
fn reg_01_schemes_of_applications_are_for_the_administrator_to_allow() {
    let allowed = schemes(&["cursor", "com.example.app"]);
    for good in ["cursor://anysphere.cursor-mcp/oauth/callback", "com.example.app:/cb", "com.example.app:///cb"] {
        let registered = Registered::new(good, &allowed).expect(good);
        assert!(registered.is_loopback(), "an application on this computer: {good}");
    }
    for bad in ["cursors://x", "cursor:x", "Cursor://x", "cursor://u@x/", "cursor://x/#f", "cursor://x/../y", "vscode://x"] {
        assert!(Registered::new(bad, &allowed).is_err(), "{bad}");
    }
    for never in ["javascript", "data", "file", "http", "https", "about", "blob", "vbscript", "intent", "", "Cursor", "a b", "1a", "a:"] {
        assert_eq!(Schemes::new(vec!["cursor".to_owned(), never.to_owned()]), Err(BadScheme), "{never}");
    }
}

#[test]
fn az_06_only_the_very_same_bytes_match() {
    let web = client(&["https://good.test/cb?x=1", "https://good.test/second"]);
    for bad in [
        "https://good.test/cb?x=1&y=2",
        "https://good.test/cb",
        "https://good.test/cb?",
        "https://good.test/cb/?x=1",
        "https://good.test/cb?x=1/",
        "https://good.test/CB?x=1",
        "https://good.test/%63b?x=1",
        "https://good%2etest/cb?x=1",
        "https://good.test/cb;?x=1",
        "https://good.test:443/cb?x=1",
        "https://good.test:8443/cb?x=1",
        "http://good.test/cb?x=1",
        "https://www.good.test/cb?x=1",
        "https://good.test.evil.test/cb?x=1",
        "https://good.test/cb?x=1&x=2",
        "https://good.test/cb?x=1#f",
        "https://good.test/cb?x=1#",
        "https://good.test\\/cb?x=1",
        "https://good。test/cb?x=1",
        "https://u@good.test/cb?x=1",
        "https://GOOD.test/cb?x=1",
        "https://good.test/third",
        " https://good.test/cb?x=1",
        "https://good.test/cb?x=1 ",
        "https://good.test/cb?x=1\n",
        "https://good.test/a/../cb?x=1",
        "//good.test/cb?x=1",
        "",
    ] {
        assert_eq!(check(&web, Some(bad)), Err(BadRedirect::NotRegistered), "{bad}");
    }
    for good in ["https://good.test/cb?x=1", "https://good.test/second"] {
        assert_eq!(check(&web, Some(good)).expect(good).as_str(), good);
    }
}

#[test]
fn az_06_none_is_enough_only_where_there_is_one() {
    assert_eq!(check(&client(&["https://good.test/a", "https://good.test/b"]), None), Err(BadRedirect::Missing));
    assert_eq!(check(&client(&[]), None), Err(BadRedirect::Missing));
    assert_eq!(check(&client(&["https://good.test/a"]), None).expect("one").as_str(), "https://good.test/a");
}

#[test]
fn az_07_only_the_port_of_a_loopback_address_is_free() {
    let native = client(&["http://127.0.0.1/cb", "http://[::1]/cb"]);
    for good in ["http://127.0.0.1:1/cb", "http://127.0.0.1:65535/cb", "http://127.0.0.1/cb", "http://[::1]:8080/cb"] {
        let target = check(&native, Some(good)).expect(good);
        assert_eq!(target.as_str(), good);
        assert!(target.is_loopback());
        assert_eq!(place(&native, &target), Place::ThisComputer);
    }
    for bad in [
        "http://127.0.0.1:0/cb",
        "http://127.0.0.1:65536/cb",
        "http://127.0.0.1:/cb",
        "http://127.0.0.1:01/cb",
        "http://127.0.0.1:-1/cb",
        "http://127.0.0.1:1:2/cb",
        "http://localhost/cb",
        "http://localhost:1/cb",
        "http://127.0.0.2:1/cb",
        "http://0.0.0.0:1/cb",
        "http://127.1:1/cb",
        "http://0x7f.1:1/cb",
        "http://127.0.0.1.:1/cb",
        "http://127.0.0.1:1@evil.test/cb",
        "https://127.0.0.1:1/cb",
        "https://127.0.0.1/cb",
        "http://127.0.0.1:1/CB",
        "http://127.0.0.1:1/cb/",
        "http://127.0.0.1:1/cb?x=1",
        "http://127.0.0.1:1/cb#f",
        "http://127.0.0.1:1",
        "http://[::1]:1/other",
        "http://[::ffff:127.0.0.1]:1/cb",
        "HTTP://127.0.0.1:1/cb",
    ] {
        assert_eq!(check(&native, Some(bad)), Err(BadRedirect::NotRegistered), "{bad}");
    }
}

#[test]
fn az_07_localhost_is_its_own_name_and_https_has_no_free_port() {
    let claude = client(&["http://localhost/callback"]);
    assert!(check(&claude, Some("http://localhost:61036/callback")).is_ok());
    assert!(check(&claude, Some("http://127.0.0.1:61036/callback")).is_err());
    let with_port = client(&["http://127.0.0.1:33418/"]);
    assert!(check(&with_port, Some("http://127.0.0.1:50000/")).is_ok());
    assert!(check(&with_port, Some("http://127.0.0.1:50000")).is_err());
    let web = client(&["https://localhost/cb", "https://127.0.0.1:4000/cb", "cursor://host:1/cb"]);
    for bad in ["https://localhost:8443/cb", "https://127.0.0.1:4001/cb", "cursor://host:2/cb"] {
        assert!(check(&web, Some(bad)).is_err(), "{bad}");
    }
}

#[test]
fn the_place_of_an_answer_is_green_only_for_the_publisher_itself() {
    let id = "https://good.test/c.json";
    let uris = [
        "https://good.test/cb",
        "https://app.good.test/cb",
        "https://evilgood.test/cb",
        "https://test/cb",
        "http://localhost/cb",
        "https://x.localhost/cb",
        "cursor://good.test/cb",
    ];
    let client = published(id, "good.test", &uris);
    let places = uris.map(|uri| place(&client, &check(&client, Some(uri)).expect(uri)));
    let here = Place::ThisComputer;
    assert_eq!(places, [Place::SamePublisher, Place::SamePublisher, Place::Elsewhere, Place::Elsewhere, here, here, here]);
    let named = client.approved();
    assert_eq!(place(&named, &check(&named, Some("https://evilgood.test/cb")).expect("listed")), Place::Elsewhere);
    assert_eq!(named.publisher(), Some("good.test"));
}

#[test]
fn a_consent_is_bound_to_name_redirects_and_way_to_prove() {
    let of = |name: &str, uris: &[&str], auth: ClientAuth| {
        let redirects = uris.iter().map(|uri| Registered::new(uri, &Schemes::default()).expect(uri)).collect();
        *Client::configured(ClientId::new("c").expect("id"), name.to_owned(), redirects, auth).fingerprint()
    };
    let (a, b) = ("https://good.test/a", "https://good.test/b");
    let first = of("N", &[a, b], ClientAuth::None);
    assert_eq!(first, of("N", &[b, a, b], ClientAuth::None), "a set");
    let keys = |text: &str| ClientAuth::PrivateKeyJwt(crate::oauth::client::Keys::Inline(text.to_owned()));
    let others =
        [of("M", &[a, b], ClientAuth::None), of("N", &[a], ClientAuth::None), of("N", &[a, b], keys("1")), of("N", &[a, b], keys("2"))];
    for (at, other) in others.iter().enumerate() {
        assert_ne!(first, *other);
        assert!(others.iter().skip(at + 1).all(|next| next != other));
    }
}
