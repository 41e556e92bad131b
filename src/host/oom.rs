//! How willingly the kernel ends this process when memory is short. Lowering it needs CAP_SYS_RESOURCE, which a
//! daemon with the fewest rights does not have: a failure is worth a word and no more, as in kube-proxy.

use super::tree::Tree;

const FILE: &str = "/proc/self/oom_score_adj";

/// Writes it if it is different.
///
/// # Errors
/// A line for the log.
pub(super) fn adjust(tree: &Tree, score: i32) -> Result<(), String> {
    let wanted = score.to_string();
    if tree.read(FILE).is_ok_and(|current| current == wanted) {
        return Ok(());
    }
    tree.write(FILE, &wanted).map_err(|error| {
        format!(
            "oom_score_adj stays as it is: writing {wanted} to {FILE} failed ({error}); it needs CAP_SYS_RESOURCE, \
             or set oomScoreAdj to what the supervisor sets"
        )
    })
}
