//! The benchmarks: their names, tables and number of queries.

use clap::ValueEnum;

use crate::tables::{self, Table};

/// A benchmark of the Transaction Processing Performance Council.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Benchmark {
    /// 8 tables, 22 queries.
    Tpch,
    /// 24 tables, 99 queries.
    Tpcds,
}

impl Benchmark {
    /// The name as it is in commands and in paths.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tpch => "tpch",
            Self::Tpcds => "tpcds",
        }
    }

    /// The name as people write it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Tpch => "TPC-H",
            Self::Tpcds => "TPC-DS",
        }
    }

    /// How many queries there are; they are numbered from 1.
    pub fn queries(self) -> usize {
        match self {
            Self::Tpch => 22,
            Self::Tpcds => 99,
        }
    }

    /// Its tables, large ones first.
    pub fn tables(self) -> Vec<Table> {
        match self {
            Self::Tpch => tables::tpch(),
            Self::Tpcds => tables::tpcds(),
        }
    }
}
