//! What the admin API may take from decisions: few requests at once, and the work for their lists on one thread that decides nothing.

use std::sync::Arc;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use runtime::Fault;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Requests at once.
const REQUESTS: usize = 32;

/// Bounds of the admin API; cheap to clone.
#[derive(Clone)]
pub(crate) struct RequestBounds {
    requests: Arc<Semaphore>,
    lists: Arc<Semaphore>,
}

impl Default for RequestBounds {
    fn default() -> Self {
        Self { requests: Arc::new(Semaphore::new(REQUESTS)), lists: Arc::new(Semaphore::new(1)) }
    }
}

impl RequestBounds {
    /// A place for a request.
    ///
    /// # Errors
    /// 503: all places are taken.
    pub(crate) fn enter(&self) -> Result<OwnedSemaphorePermit, Fault> {
        let place = Arc::clone(&self.requests).try_acquire_owned();
        place.map_err(|_| Fault::unavailable(format!("{REQUESTS} requests are being answered; try again in a moment")))
    }

    /// The list that `make` makes, as JSON. Lists are made one after another.
    ///
    /// # Errors
    /// 503: all places are taken.
    pub(crate) async fn list<T: Serialize>(
        &self,
        make: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Response, Fault> {
        let place = self.enter()?;
        let turn = Arc::clone(&self.lists).acquire_owned().await;
        let made = tokio::task::spawn_blocking(move || {
            // Held until the work is done, which goes on if the client disconnects.
            let _held = (place, turn);
            Json(make()).into_response()
        });
        made.await.map_err(|error| Fault {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            error: format!("the list could not be made: {error}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_request_too_many_gets_503() {
        let bounds = RequestBounds::default();
        let taken: Vec<_> = (0..REQUESTS).map(|_| bounds.enter().unwrap()).collect();
        assert_eq!(bounds.enter().unwrap_err().status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(bounds.list(|| 1).await.unwrap_err().status, StatusCode::SERVICE_UNAVAILABLE);
        drop(taken);
        assert_eq!(bounds.list(|| 1).await.unwrap().status(), StatusCode::OK);
        assert_eq!(bounds.requests.available_permits(), REQUESTS);
    }

    /// A client that disconnects makes no second thread work.
    #[tokio::test]
    async fn lists_are_made_one_at_a_time() {
        let bounds = RequestBounds::default();
        let (started, begun) = std::sync::mpsc::channel();
        let (go_on, wait) = std::sync::mpsc::channel::<()>();
        let first = bounds.clone();
        let first = tokio::spawn(async move {
            let make = move || {
                started.send(()).unwrap();
                _ = wait.recv();
            };
            first.list(make).await.map(|_| ())
        });
        tokio::task::spawn_blocking(move || begun.recv().unwrap()).await.unwrap();
        first.abort();
        let second = bounds.list(|| 2);
        let mut second = std::pin::pin!(second);
        tokio::select! {
            biased;
            _ = &mut second => unreachable!("the first is not done"),
            () = tokio::task::yield_now() => {}
        }
        assert_eq!(bounds.requests.available_permits(), REQUESTS - 2);
        drop(go_on);
        assert_eq!(second.await.unwrap().status(), StatusCode::OK);
    }
}
