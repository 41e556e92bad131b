//! Whether two versions of an object are the same, at the cost of eight bytes instead of the other version.
//!
//! A directory of 10,000 Services with ten endpoints each is 10 MB of objects. The table keeps what it needs
//! of them; a second copy here would only serve to compare.

use std::fmt::{self, Write};
use std::hash::{DefaultHasher, Hasher};

use kube_verdict_table::objects::Object;

/// Stands for one version of an object, within one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint(u64);

impl Fingerprint {
    /// The derived `Debug` form says everything that `PartialEq` compares.
    pub(super) fn of(object: &Object) -> Self {
        let mut hashing = Hashing(DefaultHasher::new());
        // Hashing cannot fail, so neither can writing to it.
        let _ = write!(hashing, "{object:?}");
        Fingerprint(hashing.0.finish())
    }
}

impl Fingerprint {
    /// Becomes another, which no version has but by a chance of one in 2⁶⁴.
    pub(super) fn forget(&mut self) {
        self.0 = self.0.wrapping_add(1);
    }
}

struct Hashing(DefaultHasher);

impl Write for Hashing {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}
