//! `GET` and `PUT /api/v1/log-level`: which log lines are written, for as long as the process lives.

use axum::extract::State;
use axum::http::StatusCode;
use runtime::{Fault, LogFilter};

use super::Admin;

pub(super) async fn show(State(admin): State<Admin>) -> String {
    format!("{}\n", admin.logs.current())
}

pub(super) async fn change(State(admin): State<Admin>, text: String) -> Result<String, Fault> {
    let filter: LogFilter =
        text.trim().parse().map_err(|error| Fault::bad_request(format!("the body is no log level: {error}")))?;
    admin.logs.set(&filter).map_err(|error| Fault {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        error: format!("the log level cannot be changed: {error}"),
    })?;
    tracing::warn!(%filter, "the log level was changed by the admin API");
    Ok(format!("{filter}\n"))
}
