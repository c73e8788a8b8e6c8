//! MCP: sse.
