//! The real program where things fail around it: two processes over one database, databases that fail, children, full logs.
#![cfg(test)]

#[expect(dead_code, reason = "not everything is needed here")]
#[path = "../it/house.rs"]
mod house;

mod children;
mod client;
mod clocks;
mod database;
mod memory;
mod packages;
mod people;
mod postgres;
mod proxy;
mod reload;
mod replicas;
mod retention;
mod streams;

use std::time::{Duration, Instant};

/// Asks again until it holds, at most this long.
pub(crate) fn within(limit: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    while !holds() {
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    true
}
