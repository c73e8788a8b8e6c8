//! `--explain`: the pages of the rules, out of `docs/scan.md`, which is part of the program.

const MANUAL: &str = include_str!("../../../docs/scan.md");

/// The page of a rule, in any case of letters. `None` if there is no such rule.
#[must_use]
pub fn explain(id: &str) -> Option<&'static str> {
    page(ids().find(|known| known.eq_ignore_ascii_case(id))?)
}

/// The ids of all rules, those for servers included, in the order of the manual.
pub fn ids() -> impl Iterator<Item = &'static str> {
    MANUAL.lines().filter(|line| line.starts_with("## DW")).filter_map(|line| line.get(3..8))
}

/// The section whose heading begins with an id.
fn page(id: &str) -> Option<&'static str> {
    let start = MANUAL.find(&format!("\n## {id}"))? + 1;
    let rest = MANUAL.get(start..)?;
    let end = rest.get(3..)?.find("\n## ").map_or(rest.len(), |end| end + 4);
    rest.get(..end).map(str::trim_end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::RULES;

    #[test]
    fn every_rule_has_a_page_and_every_page_a_rule() {
        for rule in RULES {
            let page = explain(rule.id).unwrap_or_else(|| panic!("docs/scan.md: no section {}", rule.id));
            assert!(
                page.starts_with(&format!("## {}: {}", rule.id, rule.title)),
                "docs/scan.md: {}: the title is {:?}",
                rule.id,
                rule.title
            );
            let severity = format!("Severity: {}.", rule.severity.name());
            assert!(page.contains(&severity), "docs/scan.md: {}: say {severity:?}", rule.id);
            for part in ["**Wrong**", "**Right**"] {
                assert!(page.contains(part), "docs/scan.md: {}: say {part}", rule.id);
            }
        }
        // Pages from DW101 on are those of servers; `crates/probe/tests/it/rules.rs` holds them to its rules.
        let of_files: Vec<&str> = ids().filter(|id| id.starts_with("DW0")).collect();
        assert_eq!(of_files, RULES.map(|rule| rule.id));
        assert_eq!(explain("dw001"), explain("DW001"));
        assert!(explain("DW999").is_none());
    }
}
