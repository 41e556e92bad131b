//! What may happen to the objects.

/// One change, of one Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// One endpoint is replaced by another: of this Service, the one at this place.
    Replace {
        /// the Service's number
        service: u32,
        /// the endpoint's place among the Service's endpoints
        endpoint: u32,
    },
    /// A Service of one endpoint comes into being, with its slice.
    Create {
        /// its number, behind all that exist from the start
        service: u32,
    },
    /// A Service goes, and its slice.
    Delete {
        /// the Service's number
        service: u32,
    },
}

impl Change {
    /// The Service that it is about.
    pub fn service(self) -> u32 {
        match self {
            Change::Replace { service, .. } | Change::Create { service } | Change::Delete { service } => {
                service
            }
        }
    }
}
