//! What a server tells of its statements: logs, and traces where somebody collects them.

use std::io::IsTerminal;

use opentelemetry::global;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::filter::{EnvFilter, LevelFilter, filter_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::args::LogFormat;
use crate::message::Failure;

/// Where spans are sent is told by these variables, as OpenTelemetry has them for all programs.
const COLLECTORS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

/// What the engine knows its statements by.
const STATEMENTS: &str = "sheaf::statement";

/// Sends what is left when it is dropped.
pub struct Telemetry(Option<SdkTracerProvider>);

/// Logs to the standard error output what the variable `SHEAF_LOG` asks for, and sends a span
/// of each statement to a collector of OpenTelemetry, where one is named: in the client's own
/// trace, where it has one. Spans are sent by the runtime that this is called in.
pub fn start(format: LogFormat) -> Result<Telemetry, Failure> {
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .with_env_var("SHEAF_LOG")
        .from_env_lossy();
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    let provider = provider()?;
    let spans = provider.as_ref().map(|provider| {
        let only = filter_fn(|about| about.is_span() && about.target() == STATEMENTS);
        tracing_opentelemetry::layer().with_tracer(provider.tracer("sheaf")).with_filter(only)
    });
    tracing_subscriber::registry().with(lines.with_filter(filter)).with(spans).init();
    Ok(Telemetry(provider))
}

fn provider() -> Result<Option<SdkTracerProvider>, Failure> {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if !COLLECTORS.iter().any(|name| is_set(name)) {
        return Ok(None);
    }
    let exporter = SpanExporter::builder().with_tonic().build();
    let exporter =
        exporter.map_err(|error| Failure::Other(format!("cannot send traces: {error}")))?;
    let mut resource = Resource::builder();
    if !is_set("OTEL_SERVICE_NAME") {
        resource = resource.with_service_name("sheaf");
    }
    // Clients name their trace in the header `traceparent`.
    global::set_text_map_propagator(TraceContextPropagator::new());
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter);
    Ok(Some(provider.with_resource(resource.build()).build()))
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.0.as_ref().map(SdkTracerProvider::shutdown) {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}
