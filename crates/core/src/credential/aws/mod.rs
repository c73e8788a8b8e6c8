//! Requests to Amazon Web Services: signatures. Must not know where keys come from. Credentials 11 and 9.6.

pub mod sigv4;
