//! kube-verdict: a service proxy for Kubernetes nodes and bare machines.

use std::process::ExitCode;

fn main() -> ExitCode {
    kube_verdict::cli::main()
}
