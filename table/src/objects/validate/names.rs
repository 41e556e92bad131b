//! Names of objects: they end in logs, in keys and in the kernel's comments, so only DNS names pass.

use super::Findings;
use crate::objects::Object;

const MAX_SUBDOMAIN: usize = 253;
const MAX_LABEL: usize = 63;

pub(super) fn check(object: &Object, findings: &mut Findings) {
    let metadata = object.metadata();
    name("metadata.name", &metadata.name, MAX_SUBDOMAIN, findings);
    if object.kind().is_namespaced() {
        name("metadata.namespace", &metadata.namespace, MAX_LABEL, findings);
    }
}

/// A DNS label, or with `limit` at [`MAX_SUBDOMAIN`] several with dots between.
fn name(field: &str, name: &str, limit: usize, findings: &mut Findings) {
    if name.is_empty() {
        findings.add(field, "is empty: every object needs one");
    } else if name.len() > limit {
        findings.add(field, format!("is {} characters long: shorten it to {limit}", name.len()));
    } else if limit == MAX_LABEL && !is_label(name) || !name.split('.').all(is_label) {
        findings.add(
            field,
            format!("{name:?} is not a DNS name: use lower-case letters, digits and - (not first or last)"),
        );
    }
}

/// Whether `text` is a DNS label in lower case.
pub(super) fn is_label(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !text.is_empty() && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}
