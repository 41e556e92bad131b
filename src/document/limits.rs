//! What a document may cost. Each limit is far above what a real file needs and far below what would hurt.

/// Bytes in one file. 10,000 Services with their EndpointSlices are about 12 MB.
pub const FILE_BYTES: u64 = 64 << 20;

/// Collections inside collections. Kubernetes objects nest about ten deep, their managed fields twenty.
pub const DEPTH: usize = 100;

/// Values in one document. 5,000 EndpointSlices of 50 endpoints in one `List` are about 3 million.
pub const VALUES: usize = 8_000_000;

/// Values that anchors, aliases and merge keys may copy in one document: generous for sharing labels among
/// objects, and where an alias bomb ends.
pub const COPIED_VALUES: usize = 100_000;
