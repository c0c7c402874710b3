//! Predicates mean what the expressions they come from mean.
