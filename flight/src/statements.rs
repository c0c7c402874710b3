//! Queries and updates, prepared or not.
//!
//! A question is only described when it is announced, and asked when its rows are fetched.
//! A statement with effects runs once, when it is announced, whether its rows are fetched
//! or not.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use arrow_flight::sql::{
    ActionCreatePreparedStatementResult, CommandPreparedStatementQuery, ProstMessageExt,
    TicketStatementQuery,
};
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use opentelemetry::Context;
use opentelemetry::context::FutureExt;
use parking_lot::Mutex;
use prost::Message;
use sheafdb::{Description, Output, ScalarValue, Session};
use tonic::Status;

use crate::outgoing::Outgoing;
use crate::sessions::{Client, Sessions};
use crate::shape::{Shape, encoded};
use crate::status;
use crate::tickets::{Handle, StatementTicket};
use crate::waiting::WaitingRows;

/// Rows of parameters that a statement may be bound to; updates take more, as they come.
const BOUND_MAX: usize = 100_000;

/// The values of a statement's parameters: one or more rows of them.
type Bound = Arc<[Vec<ScalarValue>]>;

/// A prepared statement of a client.
pub(crate) struct Prepared {
    prepared: sheafdb::Prepared,
    views: bool,
    state: Mutex<State>,
}

struct State {
    description: Description,
    /// The types of parameters that it was last described with.
    types: Vec<DataType>,
    /// Bound parameters; no rows when nothing was bound.
    bound: Bound,
}

/// What was announced: the columns, and the tickets for the rows.
pub(crate) struct Announced {
    pub(crate) schema: Arc<Schema>,
    pub(crate) tickets: Vec<Bytes>,
}

/// Announces the rows of a statement's text.
pub(crate) async fn announce(
    sessions: &Sessions,
    client: &Client,
    sql: String,
) -> Result<Announced, Status> {
    let prepared = client.session.prepare(&sql).map_err(status::of_error)?;
    let described = prepared.describe().await.map_err(status::of_error)?;
    if described.has_effects {
        let output = prepared.run(Vec::new()).await.map_err(status::of_error)?;
        return keep(sessions, client, vec![output]);
    }
    let shape = shape_of(&described, client.wants_views());
    let endpoints = endpoints_of(client, &described);
    if endpoints > 1 {
        let asked = Asked { prepared, shape: shape.clone(), trace: Context::current() };
        let rows = stream::once(asked.rows(Vec::new())).try_flatten();
        return wait(sessions, client, shape, rows, endpoints);
    }
    let ticket = StatementTicket::Query { handle: Handle::random()?, sql };
    Ok(Announced { schema: Arc::clone(shape.schema()), tickets: vec![packed(&ticket)] })
}

/// The columns of a statement's text, without running it.
pub(crate) async fn columns(client: &Client, sql: &str) -> Result<Arc<Schema>, Status> {
    let prepared = client.session.prepare(sql).map_err(status::of_error)?;
    let described = prepared.describe().await.map_err(status::of_error)?;
    Ok(Arc::clone(shape_of(&described, client.wants_views()).schema()))
}

/// The rows of a ticket.
pub(crate) async fn fetch(
    sessions: &Arc<Sessions>,
    client: &Client,
    ticket: &[u8],
) -> Result<Outgoing, Status> {
    match StatementTicket::decode(ticket)? {
        StatementTicket::Query { handle, sql } => {
            let output = client.session.query(&sql).await.map_err(status::of_error)?;
            Ok(outgoing(sessions, handle, client.wants_views(), output))
        }
        StatementTicket::Result { handle, endpoint } => {
            let gone = || {
                Status::not_found(
                    "[02000] the rows were fetched already, were cancelled, or waited too long",
                )
            };
            let waiting = sessions.results.get(&handle).ok_or_else(gone)?;
            let rows = Arc::clone(&waiting).read(endpoint).ok_or_else(gone)?;
            if waiting.all_are_read() {
                sessions.results.remove(&handle);
            }
            Ok(Outgoing::new(waiting.shape.clone(), sessions.on_their_way.list(handle, rows)))
        }
        StatementTicket::Nothing => {
            Ok(Outgoing::new(Shape::new(&Schema::empty(), false), stream::empty()))
        }
    }
}

/// Runs a statement's text for its effects; returns how many rows it changed.
pub(crate) async fn update(session: &Session, sql: &str) -> Result<i64, Status> {
    let output = session.query(sql).await.map_err(status::of_error)?;
    changed_rows(output).await
}

/// Prepares a statement.
pub(crate) async fn prepare(
    sessions: &Sessions,
    client: &Client,
    sql: &str,
) -> Result<ActionCreatePreparedStatementResult, Status> {
    let prepared = client.session.prepare(sql).map_err(status::of_error)?;
    let description = prepared.describe().await.map_err(status::of_error)?;
    let views = client.wants_views();
    let dataset_schema = match &description.columns {
        Some(_) => encoded(shape_of(&description, views).schema())?,
        None => Bytes::new(),
    };
    let parameter_schema = encoded(&parameters(&description))?;
    let handle = Handle::random()?;
    let types = description.parameters.iter().flatten().cloned().collect();
    let state = Mutex::new(State { description, types, bound: Arc::default() });
    sessions.prepared.put(handle, client.owner(), Prepared { prepared, views, state })?;
    Ok(ActionCreatePreparedStatementResult {
        prepared_statement_handle: handle.bytes(),
        dataset_schema,
        parameter_schema,
    })
}

/// The prepared statement with this handle.
pub(crate) fn prepared(
    sessions: &Sessions,
    handle: &[u8],
) -> Result<(Handle, Arc<Prepared>), Status> {
    let found =
        Handle::of(handle).and_then(|handle| Some((handle, sessions.prepared.get(&handle)?)));
    found.ok_or_else(|| {
        Status::not_found(
            "[26000] there is no such prepared statement: it was closed, or idle for long",
        )
    })
}

impl Prepared {
    /// Keeps the values of parameters for the next run.
    pub(crate) async fn bind(
        &self,
        rows: impl Stream<Item = Result<RecordBatch, Status>>,
    ) -> Result<(), Status> {
        let (types, bound) = values(rows).await?;
        // A plan is made for other types only, not for each run.
        let is_known = bound.is_empty() || self.state.lock().types == types;
        if !is_known {
            let described = self.prepared.describe_with(types.clone()).await;
            let description = described.map_err(status::of_error)?;
            let mut state = self.state.lock();
            (state.description, state.types) = (description, types);
        }
        self.state.lock().bound = bound;
        Ok(())
    }

    /// The columns of its rows.
    pub(crate) fn columns(&self) -> Arc<Schema> {
        Arc::clone(shape_of(&self.state.lock().description, self.views).schema())
    }

    /// Announces its rows with the parameters that were bound.
    pub(crate) async fn announce(
        &self,
        sessions: &Sessions,
        client: &Client,
        handle: Handle,
    ) -> Result<Announced, Status> {
        let (effects, endpoints) = {
            let described = &self.state.lock().description;
            (described.has_effects, endpoints_of(client, described))
        };
        if effects {
            let mut outputs = Vec::new();
            for row in self.take_bound().iter().cloned() {
                outputs.push(self.prepared.run(row).await.map_err(status::of_error)?);
            }
            return keep(sessions, client, outputs);
        }
        if endpoints > 1 {
            let (shape, rows) = self.rows();
            return wait(sessions, client, shape, rows.try_flatten(), endpoints);
        }
        let command = CommandPreparedStatementQuery { prepared_statement_handle: handle.bytes() };
        let ticket = command.as_any().encode_to_vec().into();
        Ok(Announced { schema: self.columns(), tickets: vec![ticket] })
    }

    /// Asks it with the parameters that were bound, one row of them after the other.
    pub(crate) async fn fetch(
        &self,
        sessions: &Arc<Sessions>,
        handle: Handle,
    ) -> Result<Outgoing, Status> {
        let (shape, runs) = self.rows();
        let mut runs = Box::pin(runs);
        // The first is run at once: an error of the statement is one of the call.
        let first = runs.try_next().await?;
        let rows = stream::iter(first.map(Ok)).chain(runs).try_flatten();
        Ok(Outgoing::new(shape, sessions.on_their_way.list(handle, rows)))
    }

    /// Its rows with each row of the parameters that were bound, asked for when it is polled.
    fn rows(&self) -> (Shape, impl Stream<Item = Result<Rows, Status>> + Send + use<>) {
        let state = self.state.lock();
        let (shape, bound) = (shape_of(&state.description, self.views), Arc::clone(&state.bound));
        drop(state);
        let (prepared, trace) = (self.prepared.clone(), Context::current());
        let asked = Asked { prepared, shape: shape.clone(), trace };
        let runs = stream::iter(0..bound.len().max(1)).then(move |run| {
            let row = bound.get(run).cloned().unwrap_or_default();
            asked.clone().rows(row)
        });
        (shape, runs)
    }

    /// Runs it for its effects, once for each row of parameters, of which there may be more
    /// than fit in memory; returns how many rows it changed.
    pub(crate) async fn update(
        &self,
        rows: impl Stream<Item = Result<RecordBatch, Status>>,
    ) -> Result<i64, Status> {
        let mut rows = std::pin::pin!(rows);
        let (mut changed, mut any) = (0, false);
        while let Some(batch) = rows.next().await {
            let batch = batch?;
            for row in 0..batch.num_rows() {
                any = true;
                changed += self.run(values_of(&batch, row)?).await?;
            }
        }
        if !any {
            for row in self.take_bound().iter().cloned() {
                changed += self.run(row).await?;
            }
        }
        Ok(changed)
    }

    async fn run(&self, row: Vec<ScalarValue>) -> Result<i64, Status> {
        changed_rows(self.prepared.run(row).await.map_err(status::of_error)?).await
    }

    /// The parameters of a run with effects, which are used once.
    fn take_bound(&self) -> Bound {
        match std::mem::take(&mut self.state.lock().bound) {
            none if none.is_empty() => Arc::new([Vec::new()]),
            bound => bound,
        }
    }
}

/// How rows with these columns go out; none for statements without.
fn shape_of(description: &Description, views: bool) -> Shape {
    match &description.columns {
        Some(columns) => Shape::new(columns, views),
        None => Shape::new(&Schema::empty(), views),
    }
}

/// `$1`, `$2`… as a schema; a type that is open is Null.
fn parameters(description: &Description) -> Schema {
    let fields = description.parameters.iter().enumerate().map(|(i, data_type)| {
        let data_type = data_type.clone().unwrap_or(DataType::Null);
        Field::new(format!("${}", i + 1), data_type, true)
    });
    let open = Schema::new(fields.collect::<Vec<_>>());
    Schema::clone(Shape::new(&open, false).schema())
}

/// Keeps the rows of a statement that ran, once or more, until they are fetched.
fn keep(sessions: &Sessions, client: &Client, outputs: Vec<Output>) -> Result<Announced, Status> {
    let Some(columns) = outputs.iter().find_map(Output::schema) else {
        let tickets = vec![packed(&StatementTicket::Nothing)];
        return Ok(Announced { schema: Arc::new(Schema::empty()), tickets });
    };
    let shape = Shape::new(columns, client.wants_views());
    wait(sessions, client, shape, stream::iter(outputs).map(rows_of).flatten(), 1)
}

/// Keeps rows for the readers of so many endpoints.
fn wait(
    sessions: &Sessions,
    client: &Client,
    shape: Shape,
    rows: impl Stream<Item = Result<RecordBatch, Status>> + Send + 'static,
    endpoints: u8,
) -> Result<Announced, Status> {
    let schema = Arc::clone(shape.schema());
    let handle = Handle::random()?;
    sessions.results.put(handle, client.owner(), WaitingRows::new(shape, rows, endpoints))?;
    let ticket = |endpoint| packed(&StatementTicket::Result { handle, endpoint });
    Ok(Announced { schema, tickets: (0..endpoints).map(ticket).collect() })
}

/// How many endpoints the rows of a question have. Where they have an order, it is that of
/// one stream.
fn endpoints_of(client: &Client, description: &Description) -> u8 {
    match description.is_ordered {
        true => 1,
        false => client.kept.endpoints.load(Ordering::Relaxed),
    }
}

fn packed(ticket: &StatementTicket) -> Bytes {
    let ticket = TicketStatementQuery { statement_handle: ticket.encode() };
    ticket.as_any().encode_to_vec().into()
}

fn outgoing(sessions: &Arc<Sessions>, handle: Handle, views: bool, output: Output) -> Outgoing {
    let schema = output.schema().map_or_else(Schema::empty, |schema| Schema::clone(schema));
    Outgoing::new(Shape::new(&schema, views), sessions.on_their_way.list(handle, rows_of(output)))
}

/// The rows of a statement.
type Rows = BoxStream<'static, Result<RecordBatch, Status>>;

/// A question that was announced.
#[derive(Clone)]
struct Asked {
    prepared: sheafdb::Prepared,
    shape: Shape,
    /// What the statement is part of.
    trace: Context,
}

impl Asked {
    /// Its rows with these parameters.
    async fn rows(self, row: Vec<ScalarValue>) -> Result<Rows, Status> {
        let output = self.prepared.run(row).with_context(self.trace).await;
        let output = output.map_err(status::of_error)?;
        match output.schema() {
            Some(columns) if !self.shape.fits(columns) => Err(Status::failed_precondition(
                "[0A000] the columns of the query have changed since it was announced: ask again",
            )),
            _ => Ok(rows_of(output)),
        }
    }
}

/// The rows of a statement; none of one that gives none.
fn rows_of(output: Output) -> Rows {
    let stream = match output {
        Output::Rows { stream, .. } => Some(stream),
        Output::Done { .. } => None,
    };
    stream::iter(stream).flatten().map_err(status::of_error).boxed()
}

/// How many rows a statement changed; those that it returns are taken for it.
async fn changed_rows(output: Output) -> Result<i64, Status> {
    match output {
        Output::Done { tag, .. } => Ok(tag.rows.map_or(0, |rows| rows as i64)),
        Output::Rows { mut stream, .. } => {
            let mut count = 0;
            while let Some(batch) = stream.next().await {
                count += batch.map_err(status::of_error)?.num_rows() as i64;
            }
            Ok(count)
        }
    }
}

/// Types and values of parameters.
async fn values(
    rows: impl Stream<Item = Result<RecordBatch, Status>>,
) -> Result<(Vec<DataType>, Bound), Status> {
    let mut rows = std::pin::pin!(rows);
    let (mut types, mut bound) = (Vec::new(), Vec::new());
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        if bound.len() + batch.num_rows() > BOUND_MAX {
            return Err(Status::resource_exhausted(format!(
                "[54000] a query takes {BOUND_MAX} rows of parameters at most: ingest them into a \
                 table, and join it"
            )));
        }
        for row in 0..batch.num_rows() {
            bound.push(values_of(&batch, row)?);
        }
        types = batch.columns().iter().map(|column| plain_type(column.data_type())).collect();
    }
    Ok((types, bound.into()))
}

fn values_of(batch: &RecordBatch, row: usize) -> Result<Vec<ScalarValue>, Status> {
    let value = |column: &Arc<dyn Array>| {
        let value = ScalarValue::try_from_array(column, row).map_err(status::internal)?;
        Ok(match value {
            ScalarValue::Dictionary(_, value) => *value,
            value => value,
        })
    };
    batch.columns().iter().map(value).collect()
}

fn plain_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Dictionary(_, value) => plain_type(value),
        other => other.clone(),
    }
}
