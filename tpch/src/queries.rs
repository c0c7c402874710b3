//! The text of the queries. TPC-H is written out here; TPC-DS is asked of the DuckDB
//! package that carries it, and kept in the cache.

use crate::benchmark::Benchmark;
use crate::compare::venv;
use crate::failure::{Failure, Result};

/// A query of a benchmark.
#[derive(Clone, Debug)]
pub struct Query {
    /// Its number in the specification.
    pub number: usize,
    /// Its text, without a semicolon.
    pub sql: String,
}

/// The queries with these numbers, at a scale factor.
pub fn queries(benchmark: Benchmark, sf: f64, numbers: &[usize]) -> Result<Vec<Query>> {
    let texts = match benchmark {
        Benchmark::Tpch => (1..=TPCH.len()).map(|number| tpch(number, sf)).collect(),
        Benchmark::Tpcds => venv::tpcds_queries()?,
    };
    numbers
        .iter()
        .map(|number| match texts.get(number - 1) {
            Some(sql) => Ok(Query { number: *number, sql: sql.clone() }),
            None => Err(Failure::new(format!("{} has no query {number}", benchmark.title()))),
        })
        .collect()
}

/// The text of a TPC-H query. The fraction of query 11 shrinks as data grows, so that
/// the answer stays about as long.
fn tpch(number: usize, sf: f64) -> String {
    let text = TPCH[number - 1].trim_end();
    match number {
        11 => text.replace("0.0001", &format!("{:.10}", 0.0001 / sf)),
        _ => text.to_owned(),
    }
}

macro_rules! texts {
    ($($number:literal),*) => {
        [$(include_str!(concat!("../queries/tpch/q", $number, ".sql"))),*]
    };
}

const TPCH: [&str; 22] = texts![
    "01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11", "12", "13", "14", "15", "16",
    "17", "18", "19", "20", "21", "22"
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fraction_of_query_11_follows_the_scale_factor() {
        assert!(tpch(11, 1.0).contains("* 0.0001000000\n"));
        assert!(tpch(11, 10.0).contains("* 0.0000100000\n"));
        assert!(!tpch(6, 10.0).ends_with('\n'));
    }
}
