//! MCP: names.
