//! The tables of the benchmarks: columns as the generators make them, primary keys
//! as the specifications name them, and the SQL that creates them.

mod tpcds;
mod tpch;

use arrow::datatypes::{DataType, SchemaRef};

pub use tpcds::tables as tpcds;
pub use tpch::tables as tpch;

use crate::failure::{Failure, Result};

/// A table of a benchmark.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// Its columns; those that are not nullable are NOT NULL.
    pub schema: SchemaRef,
    /// The columns of its primary key.
    pub key: &'static [&'static str],
}

impl Table {
    /// The statement that creates it, the same for every engine that speaks the
    /// standard: text is VARCHAR, because CHAR pads in some and not in others.
    pub fn create(&self, keys: bool) -> Result<String> {
        let mut lines = Vec::new();
        for field in self.schema.fields() {
            let null = if field.is_nullable() { "" } else { " NOT NULL" };
            lines.push(format!("    {} {}{null}", field.name(), sql_type(field.data_type())?));
        }
        if keys {
            lines.push(format!("    PRIMARY KEY ({})", self.key.join(", ")));
        }
        Ok(format!("CREATE TABLE {} (\n{}\n)", self.name, lines.join(",\n")))
    }

    /// The column of dates that most queries filter a large table by: what a database
    /// clustered by time sorts it by.
    pub fn cluster(&self) -> Option<&'static str> {
        Some(match self.name {
            "lineitem" => "l_shipdate",
            "orders" => "o_orderdate",
            "store_sales" => "ss_sold_date_sk",
            "catalog_sales" => "cs_sold_date_sk",
            "web_sales" => "ws_sold_date_sk",
            "store_returns" => "sr_returned_date_sk",
            "catalog_returns" => "cr_returned_date_sk",
            "web_returns" => "wr_returned_date_sk",
            "inventory" => "inv_date_sk",
            _ => return None,
        })
    }
}

/// The SQL name of a column's type.
pub fn sql_type(data_type: &DataType) -> Result<String> {
    Ok(match data_type {
        DataType::Int32 => "INTEGER".to_owned(),
        DataType::Int64 => "BIGINT".to_owned(),
        DataType::Decimal128(precision, scale) => format!("DECIMAL({precision}, {scale})"),
        DataType::Date32 => "DATE".to_owned(),
        DataType::Utf8View => "VARCHAR".to_owned(),
        other => return Err(Failure::new(format!("no column of a benchmark is of type {other}"))),
    })
}
