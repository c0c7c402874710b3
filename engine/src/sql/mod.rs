//! SQL text to statements: dialect, limits, types, names, and errors with positions.

mod alter_table;
mod binder;
mod build;
mod column_names;
mod column_order;
mod copy;
mod copy_option;
mod create_table;
mod dialect;
mod errors;
mod floats;
mod function_relations;
mod names;
mod numbers;
mod overflow;
mod parse;
mod placeholders;
mod relation_names;
mod size;
mod split;
mod statement;
mod supported;
mod types;
mod user;
mod using_joins;
mod uuid;
mod uuid_casts;

pub(crate) use sheaf_formats::sql_name;

pub(crate) use binder::{bind_constant, bind_query};
pub(crate) use build::{
    column_of, relation, relation_named, select, string_literal, with_column_names,
};
pub use column_order::sql_order;
pub(crate) use copy::Copy;
pub(crate) use copy_option::{CopyOption, CopyOptions, OptionValue};
pub(crate) use create_table::PARTITION_FUNCTION;
pub(crate) use errors::{parser_error, planner_error};
pub(crate) use floats::FloatsWin;
pub(crate) use function_relations::FunctionRelations;
pub(crate) use names::{CATALOG, Resolved, fold, ident_position, one_ident, position_of, resolve};
pub(crate) use overflow::CheckedIntegers;
pub(crate) use parse::{
    only, parse, parse_expression, parse_object_name, parse_one, parse_query_text,
};
pub(crate) use relation_names::relation_names;
pub(crate) use split::{complete_statements, is_complete, split};
pub(crate) use statement::Statement;
pub use types::arrow_type_of_text;
pub(crate) use types::{SheafTypes, arrow_type};
pub(crate) use user::{Password, UserAction, UserStatement};
pub(crate) use uuid::{UUID_BYTES, UuidLiterals, parse_uuid};
pub(crate) use uuid_casts::UuidCasts;
