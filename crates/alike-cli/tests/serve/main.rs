//! `alike serve` as a process: signals, kills, sockets that behave badly.

#![allow(clippy::unwrap_used)]
#![cfg(unix)]

mod client;
mod faults;
mod nightly;
mod process;
mod tenants;
#[allow(dead_code)]
#[path = "../cli/world.rs"]
mod world;
