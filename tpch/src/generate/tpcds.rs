//! Rows of TPC-DS, by `tpcdsgen`, as the C generator makes them.

use tpcdsgen::config::{Session, SessionBuilder, Table};
use tpcdsgen_arrow::{
    CallCenterArrow, CatalogPageArrow, CatalogReturnsArrow, CatalogSalesArrow,
    CustomerAddressArrow, CustomerArrow, CustomerDemographicsArrow, DateDimArrow,
    HouseholdDemographicsArrow, IncomeBandArrow, InventoryArrow, ItemArrow, PromotionArrow,
    ReasonArrow, ShipModeArrow, StoreArrow, StoreReturnsArrow, StoreSalesArrow, TimeDimArrow,
    WarehouseArrow, WebPageArrow, WebReturnsArrow, WebSalesArrow, WebSiteArrow,
};

use super::Batches;
use crate::failure::{Failure, Result};

/// Rows of a table, about. The generator counts orders of the sales tables, each of
/// several rows, of which a tenth is returned. Only tables that are worth splitting
/// are known: others are one part.
pub fn rows(table: &str, sf: f64) -> u64 {
    let Ok(session) = session(sf) else { return 0 };
    let count = |table: Table| session.get_scaling().get_row_count(table);
    match table {
        "inventory" => count(Table::Inventory),
        "store_sales" => count(Table::StoreSales) * 12,
        "catalog_sales" => count(Table::CatalogSales) * 9,
        "web_sales" => count(Table::WebSales) * 12,
        // A return costs as much to make as the sale it is of.
        "store_returns" => count(Table::StoreSales) * 4,
        "catalog_returns" => count(Table::CatalogSales) * 3,
        "web_returns" => count(Table::WebSales) * 4,
        _ => 0,
    }
}

/// The rows of part `part` of `of`.
pub fn batches(table: &str, sf: f64, part: u64, of: u64) -> Result<Batches> {
    let session = session(sf)?;
    macro_rules! batches {
        ($arrow:ident, $table:ident) => {{
            let rows = session.get_scaling().get_row_count(Table::$table);
            let (first, last) = ((part - 1) * rows / of + 1, part * rows / of);
            Box::new($arrow::new(session).with_source_row_range(first, last))
        }};
    }
    Ok(match table {
        "inventory" => batches!(InventoryArrow, Inventory),
        "store_sales" => batches!(StoreSalesArrow, StoreSales),
        "catalog_sales" => batches!(CatalogSalesArrow, CatalogSales),
        "web_sales" => batches!(WebSalesArrow, WebSales),
        "store_returns" => batches!(StoreReturnsArrow, StoreReturns),
        "catalog_returns" => batches!(CatalogReturnsArrow, CatalogReturns),
        "web_returns" => batches!(WebReturnsArrow, WebReturns),
        "customer_demographics" => batches!(CustomerDemographicsArrow, CustomerDemographics),
        "customer" => batches!(CustomerArrow, Customer),
        "customer_address" => batches!(CustomerAddressArrow, CustomerAddress),
        "time_dim" => batches!(TimeDimArrow, TimeDim),
        "date_dim" => batches!(DateDimArrow, DateDim),
        "item" => batches!(ItemArrow, Item),
        "catalog_page" => batches!(CatalogPageArrow, CatalogPage),
        "household_demographics" => batches!(HouseholdDemographicsArrow, HouseholdDemographics),
        "promotion" => batches!(PromotionArrow, Promotion),
        "reason" => batches!(ReasonArrow, Reason),
        "web_page" => batches!(WebPageArrow, WebPage),
        "web_site" => batches!(WebSiteArrow, WebSite),
        "income_band" => batches!(IncomeBandArrow, IncomeBand),
        "ship_mode" => batches!(ShipModeArrow, ShipMode),
        "store" => batches!(StoreArrow, Store),
        "call_center" => batches!(CallCenterArrow, CallCenter),
        "warehouse" => batches!(WarehouseArrow, Warehouse),
        other => return Err(Failure::new(format!("TPC-DS has no table {other}"))),
    })
}

fn session(sf: f64) -> Result<Session> {
    Ok(SessionBuilder::new().with_scale_factor(sf).build()?)
}
