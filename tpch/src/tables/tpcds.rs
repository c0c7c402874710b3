//! The 24 tables of TPC-DS. `dbgen_version` is the generator's own and left out.

use tpcdsgen_arrow::{
    CallCenterArrow, CatalogPageArrow, CatalogReturnsArrow, CatalogSalesArrow,
    CustomerAddressArrow, CustomerArrow, CustomerDemographicsArrow, DateDimArrow,
    HouseholdDemographicsArrow, IncomeBandArrow, InventoryArrow, ItemArrow, PromotionArrow,
    ReasonArrow, ShipModeArrow, StoreArrow, StoreReturnsArrow, StoreSalesArrow, TimeDimArrow,
    WarehouseArrow, WebPageArrow, WebReturnsArrow, WebSalesArrow, WebSiteArrow,
};

use super::Table;

/// The tables, large ones first.
pub fn tables() -> Vec<Table> {
    macro_rules! tables {
        ($($name:literal, $arrow:ident, [$($key:literal),*];)*) => {
            vec![$(Table { name: $name, schema: $arrow::schema_ref(), key: &[$($key),*] }),*]
        };
    }
    tables![
        "inventory", InventoryArrow, ["inv_date_sk", "inv_item_sk", "inv_warehouse_sk"];
        "store_sales", StoreSalesArrow, ["ss_item_sk", "ss_ticket_number"];
        "catalog_sales", CatalogSalesArrow, ["cs_item_sk", "cs_order_number"];
        "web_sales", WebSalesArrow, ["ws_item_sk", "ws_order_number"];
        "store_returns", StoreReturnsArrow, ["sr_item_sk", "sr_ticket_number"];
        "catalog_returns", CatalogReturnsArrow, ["cr_item_sk", "cr_order_number"];
        "web_returns", WebReturnsArrow, ["wr_item_sk", "wr_order_number"];
        "customer_demographics", CustomerDemographicsArrow, ["cd_demo_sk"];
        "customer", CustomerArrow, ["c_customer_sk"];
        "customer_address", CustomerAddressArrow, ["ca_address_sk"];
        "time_dim", TimeDimArrow, ["t_time_sk"];
        "date_dim", DateDimArrow, ["d_date_sk"];
        "item", ItemArrow, ["i_item_sk"];
        "catalog_page", CatalogPageArrow, ["cp_catalog_page_sk"];
        "household_demographics", HouseholdDemographicsArrow, ["hd_demo_sk"];
        "promotion", PromotionArrow, ["p_promo_sk"];
        "reason", ReasonArrow, ["r_reason_sk"];
        "web_page", WebPageArrow, ["wp_web_page_sk"];
        "web_site", WebSiteArrow, ["web_site_sk"];
        "income_band", IncomeBandArrow, ["ib_income_band_sk"];
        "ship_mode", ShipModeArrow, ["sm_ship_mode_sk"];
        "store", StoreArrow, ["s_store_sk"];
        "call_center", CallCenterArrow, ["cc_call_center_sk"];
        "warehouse", WarehouseArrow, ["w_warehouse_sk"];
    ]
}
