//! kube-verdict's own parts in this process, without a daemon around them: the table and the nftables backend with a world's
//! objects, for what can only be measured from inside: how near the kernel's own pace they are, and what a step of
//! theirs costs.

mod kernel;
mod null;
mod scene;

pub use kernel::measure as measure_kernel;
pub(crate) use kernel::{OPTIONS, batches, empty, sent};
pub use null::Null;
pub use scene::{Scene, empty_table, events};
