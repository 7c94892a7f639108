//! What the JSON pages of all servers share: faults, and how a list comes in pages.
//!
//! `?limit=` rows, from 1 to 1,000, and `next`, the cursor of the page after this one, or null.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use serde::Serialize;

/// Rows of a page that names no number.
const DEFAULT_ROWS: usize = 100;
const MOST_ROWS: usize = 1_000;

/// An answer that says what is wrong with the question.
#[derive(Debug)]
pub struct Fault {
    /// The answer's status.
    pub status: StatusCode,
    /// Its `error`.
    pub error: String,
}

impl Fault {
    /// 400: the question is wrong.
    pub fn bad_request(error: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error: error.into() }
    }

    /// 503: it cannot be answered now.
    pub fn unavailable(error: impl Into<String>) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, error: error.into() }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Body {
            error: String,
        }
        (self.status, Json(Body { error: self.error })).into_response()
    }
}

/// The number of rows that a page is asked for.
///
/// # Errors
/// It is none from 1 to 1,000.
pub fn page_rows(asked: Option<usize>) -> Result<usize, Fault> {
    match asked {
        None => Ok(DEFAULT_ROWS),
        Some(rows @ 1..=MOST_ROWS) => Ok(rows),
        Some(rows) => Err(Fault::bad_request(format!("limit is {rows}; give a number from 1 to {MOST_ROWS}"))),
    }
}
