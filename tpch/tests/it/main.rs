//! Tests come last.
