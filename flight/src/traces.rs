//! Traces of clients, which the statements of their calls are part of.

use opentelemetry::propagation::Extractor;
use opentelemetry::{Context, global};
use tonic::codegen::http::HeaderMap;

/// The trace that the headers of a call name, if they do and the program has said how that is
/// read ([`global::set_text_map_propagator`]).
pub(crate) fn named(headers: &HeaderMap) -> Context {
    global::get_text_map_propagator(|propagator| propagator.extract(&Headers(headers)))
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(|key| key.as_str()).collect()
    }
}
