#![cfg(test)]
//! The whole corridor under attack, over real sockets, with a real store and a real record. One module per area of attacks.
//!
//! Vocabulary: a [`house::House`] is a gateway with its state directory and a second handle on its store; a [`house::Key`]
//! is what a user holds; an [`wire::Ask`] is one HTTP request, byte by byte; a [`wire::Reply`] is everything that came
//! back. Every case ends with [`house::House::close`], which verifies the record and looks for canaries where no secret
//! belongs.

mod accounts;
mod admin;
mod attempts;
mod attested;
mod backwards;
mod blocked;
mod certificates;
mod consent;
mod described;
mod desk;
mod devices;
mod dpop;
mod enterprise;
mod eras;
mod evasions;
mod exchange;
mod faults;
mod flow;
mod google;
mod hostile;
mod house;
mod identity;
mod likeness;
mod load;
mod logout;
mod machines;
mod messages;
mod opaque;
mod passthrough;
mod policy;
mod property;
mod providers;
mod reasons;
mod record;
mod registration;
mod remembered;
mod schemas;
mod screening;
mod scripted;
mod session_ids;
mod sessions;
mod slow;
mod speak;
mod states;
mod strangers;
mod tasks;
mod tokens;
mod upkeep;
mod waiting;
mod walk;
mod wire;
