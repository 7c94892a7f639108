//! Asks the server of a feed where limits are written: only it has the documents.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use proto::edge::limits::v1::limits_feed_client::LimitsFeedClient;
use proto::edge::limits::v1::{LocateRequest, LocateResponse, Place};
use tokio::time::timeout;
use tonic::transport::Channel;

use crate::NamespacedName;

/// The answer is for a person who waits.
const WITHIN: Duration = Duration::from_secs(1);

/// Asks the server whose stream is open; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Locator {
    client: Arc<Mutex<Option<LimitsFeedClient<Channel>>>>,
}

/// Where an override is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Located {
    /// The ConfigMap that the documents are keys of, if they are.
    pub configmap: Option<NamespacedName>,
    /// The fields that the override sets itself.
    pub places: Vec<LocatedField>,
}

/// Where one field is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocatedField {
    /// Mimir's name of the field, as the server sent it.
    pub field: String,
    /// A file name, or a key of a ConfigMap.
    pub document: String,
    /// The line, counted from 1; none where the document is the value of one field.
    pub line: Option<u64>,
}

impl Locator {
    /// Where the override with exactly this key is written. `None` if no server is connected, or if it does not say: an older one cannot.
    pub async fn locate(&self, key: &str) -> Option<Located> {
        let client = self.client.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let request = LocateRequest { tenant: key.to_owned() };
        match timeout(WITHIN, client?.locate(request)).await {
            Ok(Ok(response)) => Some(response.into_inner().into()),
            Ok(Err(status)) => {
                tracing::debug!(%status, "the server of the feed does not say where limits are written");
                None
            }
            Err(_) => None,
        }
    }

    pub(super) fn connected(&self, client: LimitsFeedClient<Channel>) {
        self.set(Some(client));
    }

    pub(super) fn disconnected(&self) {
        self.set(None);
    }

    fn set(&self, client: Option<LimitsFeedClient<Channel>>) {
        *self.client.lock().unwrap_or_else(PoisonError::into_inner) = client;
    }
}

impl From<LocateResponse> for Located {
    fn from(LocateResponse { namespace, configmap: name, places }: LocateResponse) -> Self {
        let configmap = (!name.is_empty()).then_some(NamespacedName { namespace, name });
        let places = places.into_iter().map(|Place { field, document, line }| LocatedField { field, document, line });
        Self { configmap, places: places.collect() }
    }
}
