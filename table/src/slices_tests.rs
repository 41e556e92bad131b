//! Tests of `slices`, one a row of the reference.
