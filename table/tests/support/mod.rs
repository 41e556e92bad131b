//! What the property tests share: object sets drawn from a universe small enough for things to collide, and
//! a model of what a backend holds.

#![allow(dead_code, reason = "each test file uses its part")]

pub(crate) mod generate;
pub(crate) mod model;
pub(crate) mod oracle;
