//! Scans: predicates mean what the expressions they come from mean, and tables
//! answer like tables.

mod conversion;
mod fixture;
mod plans;
mod queries;
