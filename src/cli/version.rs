//! `--version`. Under its own name the program prints its own version. Under kube-proxy's it prints a line of the
//! form that scripts look for, `Kubernetes v…`: the version that it stands in for, and, where semantic versioning
//! has the builder speak, who does.

use super::arguments::Arguments;
use crate::config::upstream;

/// What to print, if the version was asked for.
pub(super) fn asked_for(arguments: &Arguments) -> Option<String> {
    let own = env!("CARGO_PKG_VERSION");
    let text = match arguments.sources.flags().version?.as_str() {
        "raw" => format!("kube-verdict {own}, in place of Kubernetes v{}\n", upstream::VERSION),
        "true" | "1" | "t" | "T" | "TRUE" | "True" if arguments.is_kube_proxy => {
            format!("Kubernetes v{}+kube-verdict.{own}\n", upstream::VERSION)
        }
        "true" | "1" | "t" | "T" | "TRUE" | "True" => format!("kube-verdict {own}\n"),
        // A version to report, or false: nobody asked.
        _ => return None,
    };
    Some(text)
}
