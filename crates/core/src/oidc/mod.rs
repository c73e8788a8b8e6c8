//! Signing in at an identity provider (OpenID Connect Core 1.0, authorization code flow): what counts as the provider's word.
//!
//! Everything that a provider says is read strictly and judged here: its metadata, its keys, its tokens. Nothing here asks it: texts
//! come in, with the time. The chain of proofs is [`jose::Signed`] (a key of the provider signed this), then [`token::Vouched`] (this
//! provider vouches for this person, to us, in this sign-in), then [`admission::Admitted`] (such a person may come in).

pub mod admission;
pub mod answer;
pub(crate) mod callback;
pub(crate) mod envelope;
pub mod grant;
pub mod jose;
pub mod journey;
pub mod keys;
pub mod logout;
pub mod provider;
pub mod token;

#[cfg(test)]
mod tests;
