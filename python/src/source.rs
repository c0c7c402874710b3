//! What names of a statement stand for in Python: Arrow data of other libraries, and queries.

use std::fmt;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchReader};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3_arrow::PySchema;
use pyo3_arrow::input::AnyRecordBatch;
use sheafdb::datafusion::catalog::{Session, TableProvider};
use sheafdb::datafusion::datasource::MemTable;
use sheafdb::datafusion::error::Result;
use sheafdb::datafusion::execution::{SendableRecordBatchStream, TaskContext};
use sheafdb::datafusion::logical_expr::{Expr, TableType};
use sheafdb::datafusion::physical_plan::ExecutionPlan;
use sheafdb::datafusion::physical_plan::stream::RecordBatchReceiverStream;
use sheafdb::datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use sheafdb::{Error, ErrorKind, Relation, Relations, Subquery};

use crate::batches::{self, Batches};
use crate::ending::{Inside, next_of};
use crate::parameters;

/// Rows of a batch that operators get at a time, of data that is in one piece.
const PIECE_ROWS: usize = 1 << 16;
/// Batches that wait between a stream and the query.
const WAITING_MAX: usize = 2;

/// Data with Arrow's PyCapsule interface as a relation.
#[pyclass(frozen, module = "sheafdb._sheafdb")]
pub struct Source {
    table: Arc<dyn TableProvider>,
}

#[pymethods]
impl Source {
    /// Data in memory, which is taken as it is now, without copying.
    #[staticmethod]
    fn held(py: Python<'_>, data: AnyRecordBatch) -> PyResult<Self> {
        let reader = data.into_reader()?;
        let schema = reader.schema();
        let batches = py.detach(|| reader.collect::<std::result::Result<Vec<_>, _>>());
        let batches = batches.map_err(|error| crate::errors::exception(py, &error.into()))?;
        Self::of(py, schema, &batches)
    }

    /// Rows that were computed.
    #[staticmethod]
    fn computed(py: Python<'_>, rows: &Batches) -> PyResult<Self> {
        Self::of(py, rows.arrow_schema().clone(), rows.batches())
    }

    /// Data that gives a stream each time that it is asked for one, so that each scan of each
    /// statement reads it from its beginning; or, if it can be read `once`, the first that comes.
    #[staticmethod]
    fn streamed(data: Bound<'_, PyAny>, once: bool) -> PyResult<Self> {
        if once {
            let reader = data.extract::<AnyRecordBatch>()?.into_reader()?;
            let (schema, from) = (reader.schema(), From::Reader(Mutex::new(Some(reader))));
            return Ok(Self { table: Arc::new(Streamed { schema, from: Arc::new(from) }) });
        }
        let schema = match data.hasattr("__arrow_c_schema__")? {
            true => data.extract::<PySchema>()?.into_inner(),
            false => data.extract::<AnyRecordBatch>()?.schema()?,
        };
        let from = Arc::new(From::Data(data.unbind()));
        Ok(Self { table: Arc::new(Streamed { schema, from }) })
    }

    #[getter]
    fn names(&self) -> Vec<String> {
        let schema = self.table.schema();
        batches::names(&schema).into_iter().map(str::to_owned).collect()
    }
}

impl Source {
    fn of(py: Python<'_>, schema: SchemaRef, batches: &[RecordBatch]) -> PyResult<Self> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let mut partitions = vec![Vec::new(); threads];
        // Neighbouring rows stay together.
        let pieces: Vec<RecordBatch> = batches.iter().flat_map(pieces).collect();
        let share = pieces.len().div_ceil(threads).max(1);
        for (number, piece) in pieces.into_iter().enumerate() {
            partitions[number / share].push(piece);
        }
        let table = MemTable::try_new(schema, partitions)
            .map_err(|error| crate::errors::exception(py, &error.into()))?;
        Ok(Self { table: Arc::new(table) })
    }

    /// The same as the engine has it.
    pub fn relation(&self) -> Relation {
        Relation::Table(Arc::clone(&self.table))
    }
}

fn pieces(batch: &RecordBatch) -> impl Iterator<Item = RecordBatch> + '_ {
    (0..batch.num_rows())
        .step_by(PIECE_ROWS)
        .map(|from| batch.slice(from, PIECE_ROWS.min(batch.num_rows() - from)))
}

/// A query as a relation of other queries.
#[pyclass(frozen, module = "sheafdb._sheafdb")]
pub struct Query {
    query: Arc<Subquery>,
}

#[pymethods]
impl Query {
    #[new]
    fn new(
        sql: String,
        parameters: Vec<Bound<'_, PyAny>>,
        relations: Vec<(String, Bound<'_, PyAny>)>,
    ) -> PyResult<Self> {
        let parameters = parameters::values(parameters)?;
        let relations = self::relations(relations)?;
        Ok(Self { query: Arc::new(Subquery { sql, parameters, relations }) })
    }
}

/// Named sources and queries as the engine has them.
pub fn relations(named: Vec<(String, Bound<'_, PyAny>)>) -> PyResult<Relations> {
    let relation = |(name, what): (String, Bound<'_, PyAny>)| {
        let relation = match what.cast::<Query>() {
            Ok(query) => Relation::Query(Arc::clone(&query.get().query)),
            Err(_) => what.cast::<Source>()?.get().relation(),
        };
        Ok((name, relation))
    };
    named.into_iter().map(relation).collect()
}

/// Data that comes as a stream.
#[derive(Clone)]
struct Streamed {
    schema: SchemaRef,
    from: Arc<From>,
}

type Reader = Box<dyn RecordBatchReader + Send>;

/// Where a stream comes from.
enum From {
    Data(Py<PyAny>),
    Reader(Mutex<Option<Reader>>),
}

impl Streamed {
    fn reader(&self) -> sheafdb::Result<Reader> {
        let failed = |text| Error::new(ErrorKind::FunctionFailed, text);
        match self.from.as_ref() {
            From::Reader(reader) => reader.lock().take().ok_or_else(|| {
                failed("the rows can be read once, and were read already".to_owned())
            }),
            From::Data(data) => {
                let _inside = Inside::enter()?;
                let reader =
                    Python::attach(|py| data.bind(py).extract::<AnyRecordBatch>()?.into_reader());
                reader.map_err(|error| {
                    failed(format!("the rows could not be read: {error}")).caused_by(error)
                })
            }
        }
    }
}

impl fmt::Debug for Streamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streamed").field("schema", &self.schema).finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for Streamed {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let rows: Vec<Arc<dyn PartitionStream>> = vec![Arc::new(self.clone())];
        let schema = Arc::clone(&self.schema);
        let no_order = std::iter::empty();
        let scan = StreamingTableExec::try_new(schema, rows, projection, no_order, false, limit)?;
        Ok(Arc::new(scan))
    }
}

impl PartitionStream for Streamed {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut stream = RecordBatchReceiverStream::builder(Arc::clone(&self.schema), WAITING_MAX);
        let (sender, source) = (stream.tx(), self.clone());
        stream.spawn_blocking(move || {
            let mut reader = source.reader()?;
            while let Some(batch) = next_of(&mut reader) {
                for piece in pieces(&batch?) {
                    if sender.blocking_send(Ok(piece)).is_err() {
                        return Ok(());
                    }
                }
            }
            Ok(())
        });
        stream.build()
    }
}
