//! What others did to the ruleset since we looked: whether it can be that our tables are not as we left them.
//!
//! Each transaction of anybody's, ours too, counts the ruleset's generation up by one. Those of others that are
//! heard of and are not about our tables, and our own, are counted here; while the kernel is at the generation
//! that this comes to, our tables are ours. A kernel that does not tell what others do leaves only that.

use crate::kernel::{Author, Kernel, Note};

/// What was heard of others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// how many transactions changed our tables
    pub changes: usize,
    /// who sent the last of them
    pub author: Option<Author>,
    /// something was not heard: our tables may have changed or not
    pub has_gaps: bool,
}

impl Heard {
    /// Nothing that concerns us.
    pub fn is_nothing(&self) -> bool {
        self.changes == 0 && !self.has_gaps
    }
}

#[derive(Debug, Default)]
pub(super) struct Others {
    /// the generation that the ruleset has if nobody else changed our tables since we looked; None: a look is due
    expected: Option<u32>,
    /// something was committed, and since then nothing is heard
    is_deaf: bool,
    heard: Heard,
}

impl Others {
    /// A look is due.
    pub(super) fn distrust(&mut self) {
        self.expected = None;
    }

    /// Everything is about to be looked at: what was before no longer matters.
    pub(super) fn look(&mut self, kernel: &mut impl Kernel) {
        kernel.resume();
        while kernel.hear().is_some() {}
        *self = Others { expected: kernel.generation().ok(), ..Others::default() };
    }

    /// A batch of ours was sent.
    pub(super) fn wrote(&mut self, is_real: bool, listens: bool) {
        if is_real {
            self.expected = after(self.expected, 1);
        }
        self.is_deaf = listens;
    }

    /// A batch of ours is about to be sent: what was before it is taken in, so that generations follow each other.
    pub(super) fn before_writing(&mut self, kernel: &mut impl Kernel) {
        if !self.is_deaf {
            self.attend(kernel);
        }
    }

    /// Takes in what others did.
    pub(super) fn attend(&mut self, kernel: &mut impl Kernel) {
        if std::mem::take(&mut self.is_deaf) {
            kernel.resume();
            // Asked before anything is heard: what is not counted by now may be heard in part.
            if self.expected.is_some() && !self.left_alone(kernel) {
                self.miss();
            }
        }
        while let Some(note) = kernel.hear() {
            self.take_in(note);
        }
    }

    /// Whether the kernel is at the generation that all we know of comes to.
    pub(super) fn left_alone(&self, kernel: &mut impl Kernel) -> bool {
        self.expected.is_some() && kernel.generation().ok() == self.expected
    }

    /// What was heard since the last time.
    pub(super) fn take(&mut self) -> Heard {
        std::mem::take(&mut self.heard)
    }

    fn take_in(&mut self, note: Note) {
        let Note::Transaction { generation, is_about_us, author } = note else {
            return self.miss();
        };
        // None: a look is due as it is.
        let expected = self.expected;
        if expected.is_some_and(|expected| generation.wrapping_sub(expected).cast_signed() <= 0) {
            // From before we looked.
            return;
        }
        if is_about_us {
            self.expected = None;
            self.heard.changes += 1;
            self.heard.author = author;
        } else if after(expected, 1) == Some(generation) {
            self.expected = Some(generation);
        } else if expected.is_some() {
            self.miss();
        }
    }

    fn miss(&mut self) {
        self.expected = None;
        self.heard.has_gaps = true;
    }
}

/// The generation so many batches after this one, if it is known: the kernel's counter skips 0.
pub(super) fn after(generation: Option<u32>, batches: u32) -> Option<u32> {
    generation.map(|from| (0..batches).fold(from, |generation, _| generation.checked_add(1).unwrap_or(1)))
}
