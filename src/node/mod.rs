//! Who this node is: its [`name`], its [`interfaces`]' addresses, and, if there is one, its Node
//! object (reference §1.4, §10.1). [`ThisNode`] puts them together into what the table wants to know.

mod follow;
pub mod interfaces;
pub mod name;
mod primary;
mod this;

pub use follow::follow;
pub use interfaces::Interfaces;
pub use this::{Fixed, Reliance, ThisNode, Unknown};
