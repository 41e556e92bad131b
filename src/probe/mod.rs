//! Asks endpoints whether they are well, where nobody else does: on a machine without a cluster. In a cluster the
//! kubelet asks, and says so in EndpointSlices.
//!
//! ```text
//! source ──> Probed ──> the loop
//!            │    ▲
//!    targets ▼    │ answers
//!            tasks on the runtime for the outside
//! ```
//!
//! [`Probed`] stands between the source and the loop and speaks as the source does: objects in, objects out, and an
//! endpoint that is not well is `ready: false` in them, as a kubelet would have it. Nobody behind it knows that there
//! are health checks. What is asked when is in [`runner`] and [`attempt`]; what follows from answers is pure, in
//! [`book`] and [`pulse`]. How they are written is `docs/manifests.md`.

mod attempt;
mod book;
mod ignored;
mod metrics;
mod pulse;
mod runner;
mod source;

pub use ignored::Unprobed;
pub use metrics::ProbeMetrics;
pub use source::Probed;
