//! Rules of kube-proxy's shape: they are what the real kube-proxy writes, and they work. Needs root; the real kube-proxy and a
//! control plane for it are built if they are not there.

mod alike;
mod peer;
mod served;
mod text;
