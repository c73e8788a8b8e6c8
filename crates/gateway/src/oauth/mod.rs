//! The front office: OAuth clients, and the endpoints that they talk to. House 11.

pub mod clients;
pub mod fetch;
pub mod register;
