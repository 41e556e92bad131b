//! Against a real kube-apiserver and etcd.

mod configuration;
mod control_plane;
mod flows;
mod manifests;
