//! The tour's chapters: one database, looked at from each side.

pub mod columnar;
pub mod hot;
pub mod similar;
pub mod sizes;
pub mod time;
pub mod together;
