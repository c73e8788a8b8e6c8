//! The stylesheet of all pages and the one script of `/setup`, compiled in. Served with a hash of their content in the query, so that
//! they may be kept for ever and a new version is fetched at once.

use std::sync::LazyLock;

/// Served at `/style.css` as `text/css; charset=utf-8`.
pub const STYLE: &str = include_str!("../../templates/style.css");
/// Served at `/setup.js` as `text/javascript; charset=utf-8`.
pub const SETUP_SCRIPT: &str = include_str!("../../templates/setup.js");

/// Served at `/favicon.ico` as `image/svg+xml`: the mark of the pages, in a colour that shows on light and on dark.
pub const ICON: &str = concat!(
    r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="#3f83c8" stroke-width="2">"##,
    r##"<path d="M5 22V4.6c0-.5.3-.9.8-1L15 1.4c.5-.1 1 .3 1 .8V22"/><path d="M16 5h3v17M2 22h20"/><circle cx="12.6" cy="12.4" r="1.2"/></svg>"##
);

static STYLE_HREF: LazyLock<String> = LazyLock::new(|| format!("/style.css?v={}", hash(STYLE)));
static SCRIPT_HREF: LazyLock<String> = LazyLock::new(|| format!("/setup.js?v={}", hash(SETUP_SCRIPT)));

/// `/style.css?v=<hash>`.
#[must_use]
pub fn style_href() -> &'static str {
    &STYLE_HREF
}

/// `/setup.js?v=<hash>`.
#[must_use]
pub fn script_href() -> &'static str {
    &SCRIPT_HREF
}

/// 64 bits of SHA-256 in hexadecimal: tells versions apart and proves nothing.
fn hash(text: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    digest.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
