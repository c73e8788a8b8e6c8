//! Text from files, made inert: control, bidirectional and invisible characters are escaped, long text is cut. Everything
//! that a report shows goes through here.

/// Longer pieces of files are cut in reports.
const LONGEST: usize = 240;

/// Text that cannot draw, reorder or hide on a terminal or a page.
#[must_use]
pub fn inert(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(LONGEST * 2));
    for (at, c) in text.chars().enumerate() {
        if at == LONGEST {
            out.push_str("...");
            break;
        }
        if strange(c) { out.extend(c.escape_unicode()) } else { out.push(c) }
    }
    out
}

/// Whether a terminal or a page may treat this character as more than a glyph.
#[must_use]
pub fn strange(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_files_cannot_draw() {
        assert_eq!(inert("a\u{1b}[2Jb\nc\u{202e}d\u{200b}"), "a\\u{1b}[2Jb\\u{a}c\\u{202e}d\\u{200b}");
        assert_eq!(inert("Grüße 日本"), "Grüße 日本");
        assert_eq!(inert(&"x".repeat(1000)).len(), 243);
    }
}
