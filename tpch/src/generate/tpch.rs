//! Rows of TPC-H, by `tpchgen`.

use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator,
    PartSuppGenerator, RegionGenerator, SupplierGenerator,
};
use tpchgen_arrow::{
    CustomerArrow, LineItemArrow, NationArrow, OrderArrow, PartArrow, PartSuppArrow, RegionArrow,
    SupplierArrow,
};

use super::Batches;
use crate::failure::{Failure, Result};

/// Rows of a table, about: `lineitem` has one to seven rows per order.
pub fn rows(table: &str, sf: f64) -> u64 {
    let at_one = match table {
        "lineitem" => 6_000_000.0,
        "orders" => 1_500_000.0,
        "partsupp" => 800_000.0,
        "part" => 200_000.0,
        "customer" => 150_000.0,
        "supplier" => 10_000.0,
        _ => 0.0,
    };
    (at_one * sf) as u64
}

/// The rows of part `part` of `of`.
pub fn batches(table: &str, sf: f64, part: u64, of: u64) -> Result<Batches> {
    let number = |n: u64| i32::try_from(n).map_err(|_| Failure::new("too many parts"));
    let (part, of) = (number(part)?, number(of)?);
    macro_rules! batches {
        ($arrow:ident, $generator:ident) => {
            Box::new($arrow::new($generator::new(sf, part, of)).map(Ok))
        };
    }
    Ok(match table {
        "lineitem" => batches!(LineItemArrow, LineItemGenerator),
        "orders" => batches!(OrderArrow, OrderGenerator),
        "partsupp" => batches!(PartSuppArrow, PartSuppGenerator),
        "part" => batches!(PartArrow, PartGenerator),
        "customer" => batches!(CustomerArrow, CustomerGenerator),
        "supplier" => batches!(SupplierArrow, SupplierGenerator),
        "nation" => batches!(NationArrow, NationGenerator),
        "region" => batches!(RegionArrow, RegionGenerator),
        other => return Err(Failure::new(format!("TPC-H has no table {other}"))),
    })
}
