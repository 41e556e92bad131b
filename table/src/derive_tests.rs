//! Tests of `derive`, one a row of the reference.
