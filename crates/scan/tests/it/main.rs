//! The auditor as a whole: homes and projects are built in a scratch directory, scanned, and the whole output is looked at.
#![cfg(test)]

mod corpus;
mod house;
mod inputs;
mod output;
mod rules;
mod stage;
