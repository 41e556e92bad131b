//! Tests of `select`, one a row of the reference.
