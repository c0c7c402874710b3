//! A port of its own for those who watch over the server: `/health` says whether the
//! database answers, `/metrics` what it does, as Prometheus reads it. Neither tells what is
//! in the database.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use sheafdb::Database;
use sheafdb::core::MemoryUse;
use sheafdb::core::inspect::TableInfo;
use tokio::net::TcpListener;

use crate::connection::Places;

/// What Prometheus is told that the text is.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The port, which has its address.
pub struct Watch {
    listener: TcpListener,
    address: SocketAddr,
    router: Router,
}

impl Watch {
    /// Takes the address; port 0 is any that is free.
    pub async fn bind(
        database: Database,
        connections: Places,
        address: SocketAddr,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let mut registry = Registry::with_prefix("sheaf");
        registry.register_collector(Box::new(Watched { database: database.clone(), connections }));
        let router = Router::new()
            .route("/health", get(health).with_state(database))
            .route("/metrics", get(metrics).with_state(Arc::new(registry)));
        Ok(Self { listener, address, router })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until it is dropped.
    pub async fn serve(self) -> io::Result<()> {
        axum::serve(self.listener, self.router).await
    }
}

async fn health(State(database): State<Database>) -> Response {
    match database.store().health() {
        Ok(()) => "ok\n".into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response(),
    }
}

async fn metrics(State(registry): State<Arc<Registry>>) -> Response {
    let mut text = String::new();
    match encode(&mut text, &registry) {
        Ok(()) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// What is measured when somebody looks.
#[derive(Debug)]
struct Watched {
    database: Database,
    connections: Places,
}

impl Collector for Watched {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let (database, store) = (&self.database, self.database.store());
        let mut gauge = |name: &str, help: &str, value: usize| {
            let gauge = ConstGauge::new(value as i64);
            gauge.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
        };
        gauge("connections", "Connections that are open", self.connections.taken())?;
        gauge("statements_running", "Statements that run", database.statements().len())?;
        gauge("memory_limit_bytes", "Bytes that the database may use", store.memory().limit())?;
        let jobs = store.jobs().iter().filter(|job| job.duration_us.is_none()).count();
        gauge("jobs_running", "Flushes and merges that run", jobs)?;

        let tables = store.tables().map_err(|_| fmt::Error)?;
        let sum = |of: fn(&TableInfo) -> u64| tables.iter().map(of).sum::<u64>() as usize;
        gauge("tables", "Tables", tables.len())?;
        gauge("disk_bytes", "Bytes of segments on disk", sum(|table| table.disk_bytes))?;
        let debt = sum(|table| table.compaction_debt_rows);
        gauge("unmerged_rows", "Rows of segments that are to be merged", debt)?;

        let help = "Bytes in use, mapped files apart";
        let mut family =
            encoder.encode_descriptor("memory_bytes", help, None, MetricType::Gauge)?;
        for (name, by) in MemoryUse::ALL {
            let gauge = ConstGauge::new(store.memory().used(by) as i64);
            gauge.encode(family.encode_family(&[("use", name)])?)?;
        }

        let counts = database.statement_counts();
        let mut counter = |name: &str, help: &str, value: u64| {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)
        };
        counter(
            "statements",
            "Statements that began, those about single rows apart",
            counts.began,
        )?;
        counter("statements_failed", "Statements that ended with an error", counts.failed)?;
        counter("rows", "Rows that statements gave", counts.rows)
    }
}
