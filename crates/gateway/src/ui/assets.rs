//! The stylesheet of all pages and the one script of `/setup`, compiled in. Served with a hash of their content in the query, so that
//! they may be kept for ever and a new version is fetched at once.

use std::sync::LazyLock;

/// Served at `/style.css` as `text/css; charset=utf-8`.
pub const STYLE: &str = include_str!("../../templates/style.css");
/// Served at `/setup.js` as `text/javascript; charset=utf-8`.
pub const SETUP_SCRIPT: &str = include_str!("../../templates/setup.js");

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
