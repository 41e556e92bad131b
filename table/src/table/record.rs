//! What the table keeps of one Service.

use std::fmt;

use crate::derive::Derived;
use crate::objects::Metadata;
use crate::service::Service;
use crate::slices::Slices;

/// Namespace and name, of a Service or a slice.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Name {
    pub(crate) namespace: Box<str>,
    pub(crate) name: Box<str>,
}

impl Name {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Name { namespace: metadata.namespace.clone(), name: metadata.name.clone() }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A Service, its slices and what was derived of them last. Any of the three may be missing.
#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) service: Option<Service>,
    pub(crate) slices: Slices,
    pub(crate) derived: Derived,
}

impl Record {
    /// Whether nothing is left of it.
    pub(super) fn is_empty(&self) -> bool {
        self.service.is_none() && self.slices.is_empty() && self.derived.claims.is_empty()
    }
}
