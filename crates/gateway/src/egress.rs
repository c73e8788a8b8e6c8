//! The only door out: every outbound connection is resolved, vetted and pinned here.
