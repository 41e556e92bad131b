//! From flags and a configuration file to settings that are in effect.
//!
//! Two levels: `file` is what a `KubeProxyConfiguration` may say, field by field, and what [`flags`] are written
//! into; [`Effective`] is what this daemon does about it. In between: `defaults`, `validate` (reference §15.4),
//! feature `gates` (§18) and `later`, which names what is set and does nothing. Nothing outside of this room
//! reads a configuration field.
//!
//! Reading is in two steps so that all but the first is pure: [`load`] reads the file, [`from_text`] the rest.
//! Two questions remain for later: whether the host is one that the configuration is for ([`suspicious`]), and
//! whether the file is still what was read ([`changed`]).

mod client;
mod conntrack;
mod defaults;
mod detect;
pub mod duration;
mod effective;
mod error;
mod families;
mod file;
pub mod flags;
mod gates;
mod ipvs;
mod later;
mod load;
mod logging;
mod mode;
mod node_ports;
mod serving;
mod state;
pub mod upstream;
mod validate;
mod watch;
mod write;

pub use client::Client;
pub use conntrack::Conntrack;
pub use detect::DetectLocal;
pub use duration::{GoDuration, positive};
pub use effective::Effective;
pub use error::{ConfigError, FieldError};
pub use families::{Families, suspicious};
pub use flags::Flags;
pub use ipvs::Ipvs;
pub use load::{Loaded, Message, Source, defaults, from_text, load, log};
pub use logging::Logging;
pub use serving::Serving;
pub use state::State;
pub use watch::{Changed, changed};
pub use write::Configuration;

#[cfg(test)]
mod tests;
