//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::benchmark::Benchmark;
use crate::failure::{Failure, Result};
use crate::folders;

/// TPC-H and TPC-DS on Sheaf beside its peers.
#[derive(Debug, Parser)]
#[command(name = "sheaf-tpch", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write the benchmark's Parquet files; those that are there stay.
    Gen(GenArgs),
    /// Load the files into a Sheaf database.
    Load(LoadArgs),
    /// Run queries on Sheaf.
    Run(RunArgs),
    /// Run queries on Sheaf and its peers, one process per engine, and check answers.
    Compare(CompareArgs),
    /// Sheaf as one of the processes of `compare`: requests and replies are JSON lines.
    #[command(hide = true)]
    Engine,
}

/// Which data.
#[derive(Clone, Debug, Args)]
pub struct Data {
    /// The benchmark.
    #[arg(long, value_enum, default_value = "tpch")]
    pub benchmark: Benchmark,
    /// Scale factor: about the gigabytes of the data as text.
    #[arg(long, default_value_t = 1.0, value_parser = scale_factor)]
    pub sf: f64,
}

/// `sheaf-tpch gen`
#[derive(Debug, Args)]
pub struct GenArgs {
    /// Which data.
    #[command(flatten)]
    pub data: Data,
    /// The folder for the files, instead of one in the cache.
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Threads; all cores without it.
    #[arg(long, value_parser = threads)]
    pub threads: Option<usize>,
}

/// `sheaf-tpch load`
#[derive(Debug, Args)]
pub struct LoadArgs {
    /// Which data.
    #[command(flatten)]
    pub data: Data,
    /// The folder of the Parquet files, instead of the one in the cache.
    #[arg(long = "data", value_name = "DIR")]
    pub folder: Option<PathBuf>,
    /// The database to make, instead of the one in the cache, which is replaced.
    #[arg(long)]
    pub db: Option<PathBuf>,
    /// Declare primary keys.
    #[arg(long)]
    pub keys: bool,
}

/// `sheaf-tpch run`
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Which data.
    #[command(flatten)]
    pub data: Data,
    /// The database, instead of the one in the cache.
    #[arg(long)]
    pub db: Option<PathBuf>,
    /// What to run on it.
    #[command(flatten)]
    pub work: Work,
}

/// `sheaf-tpch compare`
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// Which data.
    #[command(flatten)]
    pub data: Data,
    /// The peers, separated by commas; the last line is about the first.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "duckdb")]
    pub peer: Vec<Peer>,
    /// What every engine runs.
    #[command(flatten)]
    pub work: Work,
    /// Load every engine's database again: a database that is there is used otherwise.
    #[arg(long)]
    pub reload: bool,
    /// Seconds that a query may take on an engine, all its runs together.
    #[arg(long, default_value_t = 900)]
    pub timeout: u64,
    /// Write a plot of the ratios to this file (SVG).
    #[arg(long, value_name = "FILE.svg")]
    pub plot: Option<PathBuf>,
}

/// What is run, and how.
#[derive(Clone, Debug, Args)]
pub struct Work {
    /// Queries, as in 1,5-7; all without it.
    #[arg(long, value_name = "LIST")]
    pub query: Option<String>,
    /// Hot runs of each query after the cold one; the best counts.
    #[arg(long, default_value_t = 3)]
    pub runs: usize,
    /// Threads of each engine; all cores without it.
    #[arg(long, value_parser = threads)]
    pub threads: Option<usize>,
    /// Memory that each engine may take, as in 4GB, for those that have such a setting.
    #[arg(long, value_name = "SIZE")]
    pub memory_limit: Option<String>,
    /// Databases with primary keys.
    #[arg(long)]
    pub keys: bool,
    /// Write the figures to this file.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// An engine beside Sheaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Peer {
    /// DuckDB, its own file.
    Duckdb,
    /// DuckDB, its own file, with the large tables loaded in the order of their dates.
    DuckdbClustered,
    /// Polars' SQL over the Parquet files.
    Polars,
    /// DataFusion over the Parquet files.
    DatafusionParquet,
    /// ClickHouse in the process, MergeTree tables.
    Chdb,
    /// Tableau's Hyper, its own file.
    Hyper,
}

impl Peer {
    /// The name as it is in commands, in paths and in the peers' script.
    pub fn name(self) -> &'static str {
        match self {
            Self::Duckdb => "duckdb",
            Self::DuckdbClustered => "duckdb-clustered",
            Self::Polars => "polars",
            Self::DatafusionParquet => "datafusion-parquet",
            Self::Chdb => "chdb",
            Self::Hyper => "hyper",
        }
    }
}

impl Work {
    /// Threads to use.
    pub fn threads(&self) -> usize {
        self.threads.unwrap_or_else(cores)
    }
}

impl GenArgs {
    /// Threads to use.
    pub fn threads(&self) -> usize {
        self.threads.unwrap_or_else(cores)
    }

    /// The folder to write to.
    pub fn folder(&self) -> Result<PathBuf> {
        match &self.out {
            Some(folder) => Ok(folder.clone()),
            None => folders::data(self.data.benchmark, self.data.sf),
        }
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn threads(text: &str) -> Result<usize> {
    match text.parse() {
        Ok(threads @ 1..=1024) => Ok(threads),
        _ => Err(Failure::new("a number from 1 to 1024")),
    }
}

fn scale_factor(text: &str) -> Result<f64> {
    match text.parse::<f64>() {
        Ok(sf) if (0.001..=10_000.0).contains(&sf) => Ok(sf),
        _ => Err(Failure::new("a number from 0.001 to 10000")),
    }
}
