//! What every scenario uses.

pub use crate::case::{Case, From, case};
pub use crate::config::{Config, Detect};
pub use crate::fate::{DROP, Expected, PASS, REJECT, dnat, snat};
pub use crate::manifest::{Endpoint, Objects, Service, Slice, at, node, service, service_cidr, slice};
pub use crate::mode::{Mode, is_about_ipvs, mode};
pub use crate::plan::{self, Family};
pub use crate::scenario::Scenario;
