//! The library behind the `watershed` command; the system tests use its handles too.
//!
//! Dependencies point down this list.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "printing is what a command does")]

pub mod check;
pub mod demo;
pub mod features;
pub mod query;
pub mod rule_tests;
pub mod simulator;
pub mod tsdb;

pub mod client;
pub mod ready;

pub mod programs;

pub mod peers;
pub mod ports;
pub mod process;
