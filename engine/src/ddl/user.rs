//! CREATE USER, ALTER USER, DROP USER.

use sheaf_core::catalog::{CatalogChange, PasswordHash, UserId};

use crate::database::on_waiting_thread;
use crate::error::{Error, ErrorKind, Result};
use crate::session::{Context, Output};
use crate::sql::{Password, UserAction, UserStatement, fold, ident_position};
use crate::users;

/// Runs a statement about a user.
pub(crate) async fn run(context: &Context, statement: UserStatement) -> Result<Output> {
    let UserStatement { name: ident, action } = statement;
    let name = fold(&ident);
    let id = context.catalog.names().user(&name).map(|user| user.id);
    let known = |id: Option<UserId>| {
        let missing = || Error::new(ErrorKind::UndefinedObject, format!("user '{name}' not found"));
        id.ok_or_else(|| missing().at(ident_position(&ident)))
    };
    let (change, tag) = match action {
        UserAction::Create { if_not_exists: true, .. } if id.is_some() => (None, "CREATE USER"),
        UserAction::Create { .. } if id.is_some() => {
            let what = format!("user '{name}' already exists");
            return Err(Error::new(ErrorKind::DuplicateObject, what)
                .at(ident_position(&ident))
                .hint("ALTER USER changes a password"));
        }
        // Where names and passwords are sent together, a colon is between them.
        UserAction::Create { .. } if name.is_empty() || name.contains(':') => {
            let what = "the name of a user is not empty and has no colon";
            return Err(Error::new(ErrorKind::InvalidParameter, what).at(ident_position(&ident)));
        }
        UserAction::Create { password, if_not_exists: _ } => {
            let password = hashed(password).await?;
            (Some(CatalogChange::CreateUser { name, password }), "CREATE USER")
        }
        UserAction::SetPassword(password) => {
            let user = known(id)?;
            let password = hashed(password).await?;
            (Some(CatalogChange::SetPassword { user, password }), "ALTER USER")
        }
        UserAction::Drop { if_exists: true } if id.is_none() => (None, "DROP USER"),
        UserAction::Drop { .. } => (Some(CatalogChange::DropUser(known(id)?)), "DROP USER"),
    };
    if let Some(change) = change {
        super::change(context, change)?;
    }
    Ok(Output::done(tag))
}

/// That takes a while by intention: not on a thread of queries.
async fn hashed(password: Password) -> Result<PasswordHash> {
    on_waiting_thread(move || users::hash(&password.0)).await
}
