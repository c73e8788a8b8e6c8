//! MCP: encode.
