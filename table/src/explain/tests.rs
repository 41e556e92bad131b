//! Packets, and what is said of them.
