//! The one written form of a tool's name across servers: `<server>__<tool>`, split by one injective function (RPC-11).

use crate::id::{ServerName, ToolName};

const SEPARATOR: &str = "__";

/// The written form. Server names hold no `_`, so that the first separator always splits.
#[must_use]
pub fn written(server: &ServerName, tool: &str) -> String {
    format!("{server}{SEPARATOR}{tool}")
}

/// Server and tool of a written form; `None` if it is none.
#[must_use]
pub fn split(text: &str) -> Option<(ServerName, ToolName)> {
    let (server, tool) = text.split_once(SEPARATOR)?;
    Some((ServerName::new(server).ok()?, ToolName::new(tool).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rpc_11_a_server_cannot_borrow_the_separator() {
        assert!(split("a__b__c").is_some_and(|(server, tool)| server.as_str() == "a" && tool.as_str() == "b__c"));
        for bad in ["a_b__c", "__c", "a__", "A__b", "a b__c", "ab"] {
            assert!(split(bad).is_none(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn rpc_11_writing_and_splitting_are_inverse(server in "[a-z0-9][a-z0-9-]{0,30}", tool in "[!-~]{1,40}") {
            let server = ServerName::new(&server).expect("grammar");
            let (again, name) = split(&written(&server, &tool)).expect("splits");
            prop_assert_eq!(again, server);
            prop_assert_eq!(name.as_str(), tool);
        }
    }
}
