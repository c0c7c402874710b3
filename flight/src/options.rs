//! Options of a session: the catalog, the schema, how rows are sent, and the settings of
//! `SHOW ALL`.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use tonic::Status;

use crate::metadata::{CATALOG, texts};
use crate::protocol::{
    GetSessionOptionsResult, OptionError, OptionErrorValue, OptionValue, SessionOptionValue,
    SetSessionOptionsRequest, SetSessionOptionsResult,
};
use crate::sessions::Client;

const CATALOG_NAME: &str = "catalog";
const SCHEMA: &str = "schema";
/// Text and bytes go out as views.
const VIEWS: &str = "views";
/// Rows without an order have so many endpoints, to be read at the same time.
const ENDPOINTS: &str = "endpoints";
const ENDPOINTS_MAX: u8 = 64;

/// What the schema is called in SQL.
const SEARCH_PATH: &str = "search_path";

/// Sets what can be set, and says why the rest was not.
pub(crate) async fn set(
    client: &Client,
    request: SetSessionOptionsRequest,
) -> SetSessionOptionsResult {
    let mut errors = HashMap::new();
    for (name, option) in request.session_options {
        if let Err(error) = set_one(client, &name, option.value).await {
            errors.insert(name, OptionError { value: error as i32 });
        }
    }
    SetSessionOptionsResult { errors }
}

async fn set_one(
    client: &Client,
    name: &str,
    value: Option<OptionValue>,
) -> Result<(), OptionErrorValue> {
    let text = match &value {
        None => None,
        Some(OptionValue::Text(text)) => Some(text.clone()),
        Some(OptionValue::Bool(value)) => Some(value.to_string()),
        Some(OptionValue::Integer(value)) => Some(value.to_string()),
        Some(OptionValue::Double(value)) => Some(value.to_string()),
        Some(OptionValue::Texts(_)) => return Err(OptionErrorValue::InvalidValue),
    };
    match (name, &value) {
        (CATALOG_NAME, _) if text.as_deref().is_none_or(|it| it.is_empty() || it == CATALOG) => {
            Ok(())
        }
        (VIEWS, None | Some(OptionValue::Bool(_))) => {
            let views = value == Some(OptionValue::Bool(true));
            client.kept.views.store(views, Ordering::Relaxed);
            Ok(())
        }
        (ENDPOINTS, _) => {
            let count = text.as_deref().map_or(Ok(1), str::parse);
            let count = count.ok().filter(|count| (1..=ENDPOINTS_MAX).contains(count));
            let count = count.ok_or(OptionErrorValue::InvalidValue)?;
            client.kept.endpoints.store(count, Ordering::Relaxed);
            Ok(())
        }
        (CATALOG_NAME | VIEWS, _) => Err(OptionErrorValue::InvalidValue),
        (SCHEMA, _) => set_setting(client, SEARCH_PATH, text).await,
        _ => set_setting(client, name, text).await,
    }
}

async fn set_setting(
    client: &Client,
    name: &str,
    text: Option<String>,
) -> Result<(), OptionErrorValue> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    let known =
        name.chars().all(is_name) && client.session.query(&format!("SHOW {name}")).await.is_ok();
    if !known {
        return Err(OptionErrorValue::InvalidName);
    }
    let set = match text {
        Some(text) => format!("SET {name} = '{}'", text.replace('\'', "''")),
        None => format!("RESET {name}"),
    };
    client.session.query(&set).await.map(drop).map_err(|_| OptionErrorValue::InvalidValue)
}

/// What the options are now, those of DataFusion left out.
pub(crate) async fn list(client: &Client) -> Result<GetSessionOptionsResult, Status> {
    let endpoints = client.kept.endpoints.load(Ordering::Relaxed);
    let option = |value| SessionOptionValue { value: Some(value) };
    let mut session_options = HashMap::from([
        (CATALOG_NAME.to_owned(), option(OptionValue::Text(CATALOG.to_owned()))),
        (VIEWS.to_owned(), option(OptionValue::Bool(client.wants_views()))),
        (ENDPOINTS.to_owned(), option(OptionValue::Integer(endpoints.into()))),
    ]);
    for [name, value] in texts(&client.session, "SHOW ALL").await? {
        if !name.starts_with("datafusion.") {
            let name = if name == SEARCH_PATH { SCHEMA.to_owned() } else { name };
            session_options.insert(name, option(OptionValue::Text(value)));
        }
    }
    Ok(GetSessionOptionsResult { session_options })
}
