//! From flags and a configuration file to settings that are in effect.
//!
//! Two levels: `file` is what a `KubeProxyConfiguration` may say, field by field; [`Effective`] is what this
//! daemon does about it. In between: `validate` (reference §15.4), feature `gates` (§18) and `later`,
//! which names what is set and not in effect yet. Nothing outside of this room reads a configuration field.
//!
//! Reading is in two steps so that all but the first is pure: [`load`] reads the file, [`from_text`] the rest.

mod client;
mod conntrack;
mod detect;
pub mod duration;
mod effective;
mod error;
mod file;
mod gates;
mod later;
mod load;
mod mode;
mod node_ports;
mod serving;
mod validate;

pub use client::Client;
pub use conntrack::Conntrack;
pub use detect::DetectLocal;
pub use duration::GoDuration;
pub use effective::Effective;
pub use error::{ConfigError, FieldError};
pub use load::{Flags, Loaded, Message, defaults, from_text, load};
pub use serving::Serving;

#[cfg(test)]
mod tests;
