//! MCP: decode.
