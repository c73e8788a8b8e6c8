//! The auditor, live.
