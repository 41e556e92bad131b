//! A real control plane for tests: etcd and kube-apiserver in a namespace of their own, linked to the nodes that
//! ask for it. No controllers run: slices, Nodes and load balancer addresses are what a test writes.

mod api;
mod control_plane;
mod kubeconfig;
mod programs;

pub use api::{Api, ApiError, path_of};
pub use control_plane::{ControlPlane, SERVICE_CIDRS};
pub use kubeconfig::{ADMIN, Kubeconfig};
pub use programs::program;
