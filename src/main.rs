//! kube-verdict: a service proxy for Kubernetes nodes and bare machines.

fn main() {}
