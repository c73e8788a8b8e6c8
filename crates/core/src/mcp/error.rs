//! MCP: error.
