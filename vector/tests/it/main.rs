//! Behaviour of the vector crate, checked against plain double-precision code.

mod columns;
mod kernels;
mod nearest;
mod reference;
