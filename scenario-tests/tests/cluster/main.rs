//! Against a real kube-apiserver and etcd.

mod control_plane;
mod manifests;
mod metrics;
