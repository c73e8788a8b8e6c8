//! What every page promises, whatever it is filled with. Snapshots show each whole; `scripts/pages` looks at them in a browser.

use super::Frame;
use super::assets::{SETUP_SCRIPT, STYLE, script_href, style_href};
use super::consent::{ConsentPage, Destination, UncheckedPage};
use super::handoff::{HandOffPage, Outcome};
use super::headers::{Class, Transport, headers};
use super::payloads::PAYLOADS;
use super::samples::{plainly, samples};
use super::text::{CLAIMED, Claimed, Hidden, Place, TECHNICAL, Target, segment};
use std::fmt::Write as _;
use std::path::Path;

/// Elements that a page may have.
const ELEMENTS: [&str; 49] = [
    "!doctype", "nav", "html", "head", "meta", "title", "link", "script", "body", "a", "header", "main", "section", "svg", "path",
    "circle", "p", "strong", "code", "span", "bdi", "h1", "h2", "h3", "form", "input", "button", "label", "fieldset", "legend", "div",
    "ul", "ol", "li", "dl", "dt", "dd", "details", "summary", "select", "option", "textarea", "pre", "table", "thead", "tbody", "tr", "th",
    "td",
];

/// The tags of a page, their attributes with values emptied, in order: what a browser builds a tree from. Text is left out.
fn skeleton(html: &str) -> Vec<String> {
    let mut tags = Vec::new();
    let mut rest = html;
    while let Some((_, tag)) = rest.split_once('<') {
        let (mut shape, mut in_value, mut end) = (String::new(), false, tag.len());
        for (at, letter) in tag.char_indices() {
            match letter {
                '"' => {
                    in_value = !in_value;
                    shape.push('"');
                }
                '>' if !in_value => {
                    end = at;
                    break;
                }
                _ if in_value => {}
                _ => shape.push(letter),
            }
        }
        assert!(!in_value, "an attribute does not end: {tag:.80}");
        tags.push(shape);
        rest = tag.get(end..).unwrap_or_default();
    }
    tags
}

/// Values of an attribute, as they stand there.
fn values<'a>(html: &'a str, attribute: &str) -> Vec<&'a str> {
    let front = format!(" {attribute}=\"");
    html.split(&front as &str).skip(1).map(|rest| rest.split('"').next().unwrap_or_default()).collect()
}

#[test]
fn every_sample_is_what_it_was() {
    for sample in samples(&plainly) {
        // Not a change of every page with every change of the stylesheet.
        let html = sample.html.replace(style_href(), "/style.css?v=HASH").replace(script_href(), "/setup.js?v=HASH");
        insta::assert_snapshot!(sample.name, html);
    }
}

#[test]
fn reg_02_ui_03_no_text_of_forty_changes_the_tags_of_a_page() {
    let plain = samples(&plainly);
    for payload in PAYLOADS {
        for (hostile, plain) in samples(&|_| payload.to_owned()).iter().zip(&plain) {
            assert_eq!(skeleton(&hostile.html), skeleton(&plain.html), "{} with {payload:?}", plain.name);
        }
    }
}

#[test]
fn the_skeleton_sees_what_gets_through() {
    let plain = skeleton("<p title=\"a\">x</p>");
    for changed in ["<p title=\"a\"><b>x</p>", "<p title=\"\" onclick=\"a\">x</p>", "<p title=\"a\">x</p></p>", "<p title=a>x</p>"] {
        assert_ne!(skeleton(changed), plain, "{changed}");
    }
}

#[test]
fn reg_02_what_hides_or_turns_characters_does_not_come_out_of_a_claimed_text() {
    for (claim, shown) in [
        ("\u{202e}evil", "\u{fffd}evil"),
        ("Cl\u{200b}\u{200d}\u{ad}aude", "Cl\u{fffd}aude"),
        ("a\u{0}\u{1b}[31mb", "a\u{fffd}[31mb"),
        ("  two\r\n\t lines ", "two lines"),
        ("\u{2028}\u{85}", "\u{fffd}"),
        ("", "(no name)"),
        (" \n\t ", "(no name)"),
        ("e\u{301}\u{301}\u{301}\u{301}x", "e\u{301}\u{301}\u{fffd}x"),
        ("\u{301}x", "\u{fffd}x"),
        ("tag\u{e0041}\u{e0042}", "tag\u{fffd}"),
        ("שלום עולם", "שלום עולם"),
        ("Müller & Söhne", "Müller & Söhne"),
        ("日本語", "日本語"),
    ] {
        assert_eq!(Claimed::new(claim).cell(), shown, "{claim:?}");
    }
    let long = Claimed::new(&"ä".repeat(10_000));
    assert_eq!(long.cell().chars().count(), CLAIMED);
    assert!(long.cell().ends_with('…'));
    assert_eq!(Claimed::new(&"b".repeat(CLAIMED)).cell(), "b".repeat(CLAIMED), "what fits is not cut");
    for payload in PAYLOADS {
        let text = Claimed::new(payload);
        assert!(text.cell().chars().count() <= CLAIMED);
        assert!(!text.cell().chars().any(|letter| letter.is_control() || ('\u{200b}'..='\u{200f}').contains(&letter)), "{payload:?}");
        assert!(
            !text.cell().chars().any(|letter| ('\u{202a}'..='\u{202e}').contains(&letter) || ('\u{2066}'..='\u{2069}').contains(&letter))
        );
    }
}

#[test]
fn reg_02_a_claimed_text_cannot_end_its_own_quotation() {
    assert_eq!(Claimed::new("Claude” to read. “").quoted(), "“Claude' to read. '”");
    assert_eq!(Claimed::new("«a» \"b\" ＂c＂").quoted(), "“'a' 'b' 'c'”");
}

#[test]
fn reg_02_look_alikes_show_in_technical_values() {
    assert_eq!(Claimed::technical("https://clаude.ai/x y").cell(), "https://cl%D0%B0ude.ai/x%20y");
    assert_eq!(Claimed::technical("").cell(), "(none)");
    let long = Claimed::technical(&"é".repeat(10_000));
    assert!(long.cell().chars().count() <= TECHNICAL + 6 && long.cell().ends_with('…'));
}

#[test]
fn ui_03_pages_hold_no_script_no_style_and_no_event_of_their_own() {
    let mut filled = samples(&plainly);
    for payload in PAYLOADS {
        filled.extend(samples(&|_| payload.to_owned()));
    }
    for sample in &filled {
        for tag in skeleton(&sample.html) {
            let mut parts = tag.split_whitespace();
            let name = parts.next().unwrap_or_default().trim_start_matches('/').trim_end_matches('/');
            assert!(ELEMENTS.contains(&name), "{}: <{tag}>", sample.name);
            for attribute in parts {
                let key = attribute.split('=').next().unwrap_or_default();
                assert!(!key.starts_with("on") && key != "style" && key != "srcdoc" && key != "formaction", "{}: <{tag}>", sample.name);
            }
        }
        let scripts: Vec<&str> = values(&sample.html, "src");
        let allowed: &[&str] = if sample.class == Class::Setup { &[script_href()] } else { &[] };
        assert_eq!(scripts, allowed, "{}", sample.name);
        assert_eq!(sample.html.matches("<script").count(), allowed.len(), "{}", sample.name);
    }
}

#[test]
fn ui_03_links_lead_to_this_gateway_or_to_the_checked_target() {
    for payload in PAYLOADS {
        for sample in samples(&|_| payload.to_owned()) {
            for link in values(&sample.html, "href") {
                let ours = (link.starts_with('/') && !link.starts_with("//")) || link == "#main";
                let targets =
                    ["http://localhost:61036/", "https://chatgpt.com/", "cursor://anysphere.cursor-mcp/", "https://idp.acme.example/"];
                let handed = sample.name.starts_with("handoff") && targets.iter().any(|target| link.starts_with(target));
                assert!(ours || handed, "{}: {link}", sample.name);
            }
            for action in values(&sample.html, "action") {
                let known = [
                    "/setup",
                    "/oauth/consent",
                    "/device",
                    "/connect/linear",
                    "/me",
                    "/logout",
                    "/admin/clients",
                    "/admin/people",
                    "/admin/record",
                ]
                .contains(&action);
                assert!(
                    known || action.strip_prefix("/login/").is_some_and(|id| !id.contains(['/', '.', ' '])),
                    "{}: {action}",
                    sample.name
                );
            }
        }
    }
}

#[test]
fn ui_03_a_link_cannot_leave_the_gateway() {
    for path in [
        "//evil.test/",
        "/\\evil.test",
        "https://evil.test",
        "javascript:x",
        "",
        "x",
        "/a\\b",
        "/a b",
        "/a\tb",
        "/ä",
        "\t/x",
        "/\n/evil.test",
    ] {
        assert!(Place::new(path).is_none(), "{path:?}");
    }
    assert!(Place::new("/oauth/authorize?txn=a-b_c").is_some());
    assert_eq!(segment("../../x?y#z"), "%2E%2E%2F%2E%2E%2Fx%3Fy%23z");
}

#[test]
fn ui_03_no_target_runs_in_the_browser() {
    for address in [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        " javascript:alert(1)",
        "java\nscript:alert(1)",
        "\u{1}javascript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "blob:https://evil.test/x",
        "about:blank",
        "view-source:https://evil.test",
        "filesystem:https://evil.test/x",
        "/callback",
        "//evil.test",
        "callback",
        "",
        "http:",
        "https://",
    ] {
        assert!(Target::new(address).is_none(), "{address:?}");
    }
}

#[test]
fn ui_03_a_target_stays_one_address_in_a_refresh_and_in_a_link() {
    for (state, encoded) in [
        ("plain", "plain"),
        ("a\"b'c", "a%22b%27c"),
        ("a;b,c", "a;b,c"),
        ("a&b=c", "a&#38;b=c"),
        ("a b", "a%20b"),
        ("<b>", "%3Cb%3E"),
        ("ä日\u{202e}", "%C3%A4%E6%97%A5%E2%80%AE"),
        ("a\r\nb\t\0", "a%0D%0Ab%09%00"),
        ("a\\b^`{|}", "a%5Cb%5E%60%7B%7C%7D"),
        ("%22%zz", "%22%zz"),
    ] {
        for root in ["http://127.0.0.1:61036/callback", "http://[::1]:7/cb", "https://a.example/cb", "cursor://anysphere/cb"] {
            let page = HandOffPage {
                frame: Frame::team(&plainly),
                target: Target::new(&format!("{root}?state={state}")).expect("an address"),
                application: Claimed::new("x"),
                outcome: Outcome::Allowed,
            };
            let html = page.render();
            let wanted = format!("{root}?state={encoded}");
            assert_eq!(values(&html, "content").last(), Some(&format!("0;url={wanted}").as_str()), "{state:?}");
            assert!(values(&html, "href").contains(&wanted.as_str()), "{state:?}");
        }
    }
}

#[test]
fn az_05_pages_cannot_be_framed_and_scripts_run_on_setup_only() {
    let policy = |class| {
        let all = headers(class, Transport::Https);
        all.iter().find(|(name, _)| *name == "content-security-policy").map(|(_, value)| *value).expect("a policy")
    };
    for class in [Class::Page, Class::Setup] {
        for directive in ["default-src 'none'", "style-src 'self'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"] {
            assert!(policy(class).split("; ").any(|one| one == directive), "{class:?}: {directive}");
        }
        let all = headers(class, Transport::Http);
        for header in [("x-frame-options", "DENY"), ("cross-origin-opener-policy", "same-origin"), ("cache-control", "no-store")] {
            assert!(all.contains(&header), "{class:?}: {header:?}");
        }
    }
    assert!(policy(Class::Setup).ends_with("; script-src 'self'"));
    for class in [Class::Page, Class::Data, Class::Credential, Class::Metadata, Class::Asset] {
        assert!(!policy(class).contains("script-src"), "{class:?}");
        assert!(policy(class).contains("default-src 'none'") && policy(class).contains("frame-ancestors 'none'"), "{class:?}");
    }
}

#[test]
fn ui_08_every_class_of_answer_has_its_headers() {
    for class in [Class::Page, Class::Setup, Class::Data, Class::Credential, Class::Metadata, Class::Asset] {
        let plain = headers(class, Transport::Http);
        let names: std::collections::BTreeSet<&str> = plain.iter().map(|(name, _)| *name).collect();
        assert_eq!(names.len(), plain.len(), "{class:?}: a header twice");
        assert!(plain.contains(&("x-content-type-options", "nosniff")) && plain.contains(&("referrer-policy", "no-referrer")), "{class:?}");
        let sharing = if class == Class::Metadata { "cross-origin" } else { "same-origin" };
        assert!(plain.contains(&("cross-origin-resource-policy", sharing)), "{class:?}");
        assert!(!names.contains("strict-transport-security"), "{class:?}");
        let safe = headers(class, Transport::Https);
        assert!(safe.contains(&("strict-transport-security", "max-age=31536000")), "{class:?}");
        assert_eq!(safe.len(), plain.len() + 1, "{class:?}");
    }
    let credential = headers(Class::Credential, Transport::Http);
    assert!(credential.contains(&("cache-control", "no-store")) && credential.contains(&("pragma", "no-cache")));
}

#[test]
fn ui_08_every_page_says_how_it_is_written() {
    for sample in samples(&plainly) {
        assert!(sample.html.starts_with("<!doctype html>\n<html lang=\"en\">"), "{}", sample.name);
        let charset = sample.html.find("<meta charset=\"utf-8\">").expect("a charset");
        assert!(charset < 200 && !sample.html.contains("<title> "), "{}", sample.name);
        assert_eq!(sample.html.matches("<h1").count(), 1, "{}", sample.name);
        assert!(values(&sample.html, "href").contains(&style_href()), "{}", sample.name);
    }
    assert!(STYLE.lines().count() <= 400 && !STYLE.contains("url(") && !STYLE.contains("@import"));
    assert!(!SETUP_SCRIPT.contains("innerHTML") && SETUP_SCRIPT.contains("replaceState"));
}

#[test]
fn az_05_cancel_comes_before_every_other_decision() {
    for (name, page) in ConsentPage::samples(&plainly) {
        let html = page.render();
        let form = html.rsplit("<form").next().unwrap_or_default();
        let decisions: Vec<&str> = form.split("name=\"decision\" value=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let remote = page.application.answer.destination == Destination::ThisComputer;
        let wanted: &[&str] = if remote { &["cancel", "allow", "remote", "report"] } else { &["cancel", "allow", "report"] };
        assert_eq!(decisions, wanted, "{name}");
        let first = form.split("<button").nth(1).unwrap_or_default();
        assert!(first.contains("value=\"cancel\""), "{name}: Enter presses the first button");
        assert!(!form.split("value=\"allow\"").next().unwrap_or_default().rsplit('<').next().unwrap_or_default().contains("autofocus"));
    }
}

#[test]
fn az_11_only_reading_is_ticked_beforehand_and_what_is_not_given_is_shown() {
    for (name, page) in ConsentPage::samples(&plainly) {
        let html = page.render();
        let ticked = html.split("name=\"grant\" value=\"").skip(1).filter_map(|rest| rest.split_once('>').map(|(tag, _)| tag));
        for tag in ticked.filter(|tag| tag.contains(" checked")) {
            assert!(tag.split('"').next().is_some_and(|value| value.ends_with(":read")), "{name}: {tag}");
        }
        for scope in &page.refused_scopes {
            assert!(html.contains(&format!("<code>{}</code>", scope.cell())), "{name}");
        }
        for shown in [&page.details.client_id, &page.details.redirect_uri, &page.details.resource, &page.application.answer.origin] {
            assert!(html.contains(shown.cell()), "{name}: {}", shown.cell());
        }
    }
    let local = &ConsentPage::samples(&plainly)[0].1;
    assert!(local.servers[0].classes.iter().all(|row| row.ticked), "the handler asked for all three to be ticked");
}

#[test]
fn a_different_site_needs_its_own_tick_and_no_other_does() {
    for (name, page) in ConsentPage::samples(&plainly) {
        let needs = page.application.answer.destination == Destination::DifferentSite;
        assert_eq!(page.render().contains("name=\"site\" value=\"understood\" required"), needs, "{name}");
    }
}

#[test]
fn an_application_that_could_not_be_checked_has_nothing_to_press() {
    let html = UncheckedPage::sample(&plainly).render();
    for nothing in ["<form", "<button", "<input", "decision", "Allow", "refresh"] {
        assert!(!html.contains(nothing), "{nothing}");
    }
}

#[test]
fn every_form_is_a_post_with_the_token_of_its_page() {
    for sample in samples(&plainly) {
        for form in sample.html.split("<form ").skip(1) {
            // A search changes nothing: it has no token that would stand in an address, and nothing to decide.
            let form = form.split("</form>").next().unwrap_or_default();
            if sample.name.starts_with("admin-") && form.contains("method=\"get\"") {
                assert!(!form.contains("csrf") && !form.contains("name=\"action\"") && !form.contains("hidden"), "{}", sample.name);
                continue;
            }
            assert!(form.split('>').next().is_some_and(|tag| tag.contains("method=\"post\"")), "{}", sample.name);
            assert!(form.split("</form>").next().is_some_and(|form| form.contains("name=\"csrf\" value=\"c5rf\"")), "{}", sample.name);
        }
    }
}

#[test]
fn tickets_tokens_and_codes_are_in_no_debug_line() {
    let mut lines = format!("{:?}", Hidden::new("s3cret".to_owned()));
    for (_, page) in HandOffPage::samples(&|_| "s3cret".to_owned()) {
        let _ = write!(lines, "{:?}", page.target);
    }
    let _ = write!(lines, "{:?}", Place::new("/oauth/authorize?txn=s3cret").expect("a place"));
    assert!(lines.contains("/oauth/authorize"), "{lines}");
    assert!(!lines.contains("s3cret") && !lines.contains("code="), "{lines}");
}

/// Writes every page, the headers, the stylesheet and the script below `DOORWARD_PAGES`, for `scripts/pages`.
#[test]
#[ignore = "writes files for scripts/pages"]
fn write_pages() {
    let folder = std::env::var("DOORWARD_PAGES").expect("a folder in DOORWARD_PAGES");
    let folder = Path::new(&folder);
    let mut index = Vec::new();
    let mut put = |name: String, kind: &str, class: Class, html: &str| {
        std::fs::write(folder.join(format!("{name}.html")), html).expect("written");
        let headers: serde_json::Map<String, serde_json::Value> =
            headers(class, Transport::Http).into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        index.push(serde_json::json!({ "name": name, "kind": kind, "setup": class == Class::Setup, "headers": headers }));
    };
    for sample in samples(&plainly) {
        put(sample.name.to_owned(), "sample", sample.class, &sample.html);
    }
    for (number, payload) in PAYLOADS.iter().enumerate() {
        for sample in samples(&|_| (*payload).to_owned()) {
            put(format!("{}.{number:02}", sample.name), "hostile", sample.class, &sample.html);
        }
    }
    std::fs::write(folder.join("style.css"), STYLE).expect("written");
    std::fs::write(folder.join("setup.js"), SETUP_SCRIPT).expect("written");
    let index = serde_json::json!({ "pages": index, "style": style_href(), "script": script_href() });
    std::fs::write(folder.join("index.json"), index.to_string()).expect("written");
}
