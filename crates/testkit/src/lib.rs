//! Fixtures and hostile peers of Doorward; used by tests only.
//!
//! - [`fixture`]: a well-behaved MCP server of both eras on the public SDK (binary `doorward-fixture`).

pub mod fixture;
