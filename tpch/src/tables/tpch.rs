//! The 8 tables of TPC-H.

use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator,
    PartSuppGenerator, RegionGenerator, SupplierGenerator,
};
use tpchgen_arrow::{
    CustomerArrow, LineItemArrow, NationArrow, OrderArrow, PartArrow, PartSuppArrow,
    RecordBatchIterator, RegionArrow, SupplierArrow,
};

use super::Table;

/// The tables, large ones first.
pub fn tables() -> Vec<Table> {
    // The schema is asked of a generator: no row is made.
    macro_rules! table {
        ($name:literal, $arrow:ident, $generator:ident, [$($key:literal),*]) => {
            Table {
                name: $name,
                schema: $arrow::new($generator::new(1.0, 1, 1)).schema().clone(),
                key: &[$($key),*],
            }
        };
    }
    vec![
        table!("lineitem", LineItemArrow, LineItemGenerator, ["l_orderkey", "l_linenumber"]),
        table!("orders", OrderArrow, OrderGenerator, ["o_orderkey"]),
        table!("partsupp", PartSuppArrow, PartSuppGenerator, ["ps_partkey", "ps_suppkey"]),
        table!("part", PartArrow, PartGenerator, ["p_partkey"]),
        table!("customer", CustomerArrow, CustomerGenerator, ["c_custkey"]),
        table!("supplier", SupplierArrow, SupplierGenerator, ["s_suppkey"]),
        table!("nation", NationArrow, NationGenerator, ["n_nationkey"]),
        table!("region", RegionArrow, RegionGenerator, ["r_regionkey"]),
    ]
}
