//! A watch that restarts whenever it fails, and limits how long its list may take.
//!
//! It lists and then watches, because streaming lists fail on older etcd. kube's watcher handles bookmarks, and resumes after a broken connection.

use std::fmt::Debug;

use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use k8s_openapi::NamespaceResourceScope;
use kube::runtime::watcher::{self, Event, InitialListStrategy, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::time::{Duration, Instant, sleep_until, timeout_at};

use super::{ApiError, KubeClient, RETRY, Verb};
use crate::retry::Backoff;

/// How long a list may take.
const LIST_TIMEOUT: Duration = Duration::from_secs(5);

/// After this long without a failure, the backoff starts again.
const RECOVERED_AFTER: Duration = Duration::from_secs(10);

/// How long the server keeps a watch. A connection that died silently is detected 5 seconds after that at the latest.
const WATCH_SECONDS: u32 = 60;

/// An event of a watch.
#[derive(Debug)]
pub(crate) enum WatchEvent<K> {
    /// All current objects.
    Listed(Vec<K>),
    /// A new or changed object.
    Applied(K),
    /// The last state of a deleted object.
    Deleted(K),
    /// The watch failed, and restarts.
    Failed(ApiError),
}

/// Which objects are watched.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    pub(crate) namespace: String,
    pub(crate) fields: Option<String>,
    pub(crate) labels: Option<String>,
}

pub(crate) struct Watch<K> {
    client: KubeClient,
    scope: Scope,
    stream: Option<BoxStream<'static, watcher::Result<Event<K>>>>,
    /// An incomplete list, and when it must be complete.
    listed: Vec<K>,
    list_deadline: Option<Instant>,
    /// The earliest time of the next attempt.
    not_before: Instant,
    backoff: Backoff,
    failed_at: Option<Instant>,
}

impl<K> Watch<K>
where
    K: Resource<Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned + Send + 'static,
    K::DynamicType: Default,
{
    pub(crate) fn new(client: KubeClient, scope: Scope) -> Self {
        Self {
            client,
            scope,
            stream: None,
            listed: Vec::new(),
            list_deadline: None,
            not_before: Instant::now(),
            backoff: RETRY,
            failed_at: None,
        }
    }

    /// Waits for the next event. Cancel safe.
    pub(crate) async fn next(&mut self) -> WatchEvent<K> {
        loop {
            sleep_until(self.not_before).await;
            let (client, scope) = (&self.client, &self.scope);
            let stream = self.stream.get_or_insert_with(|| Self::open(client, scope));
            let item = match self.list_deadline {
                Some(deadline) => timeout_at(deadline, stream.next()).await,
                None => Ok(stream.next().await),
            };
            match item {
                Err(_) => return self.fail(ApiError::timeout(Verb::List), true),
                Ok(None) => return self.fail(ApiError::Unavailable("the watch ended".to_owned()), true),
                Ok(Some(Err(error))) => {
                    let error = ApiError::of_watch(&error);
                    // The watcher resumes after other errors, but does not list again after a 410 that is no event, and does not get new credentials.
                    let restarts = matches!(error, ApiError::Expired | ApiError::Unauthorized);
                    return self.fail(error, restarts);
                }
                Ok(Some(Ok(Event::Init))) => {
                    self.listed.clear();
                    self.list_deadline = Some(Instant::now() + LIST_TIMEOUT);
                }
                Ok(Some(Ok(Event::InitApply(object)))) => self.listed.push(object),
                Ok(Some(Ok(Event::InitDone))) => {
                    self.list_deadline = None;
                    return WatchEvent::Listed(std::mem::take(&mut self.listed));
                }
                Ok(Some(Ok(Event::Apply(object)))) => return WatchEvent::Applied(object),
                Ok(Some(Ok(Event::Delete(object)))) => return WatchEvent::Deleted(object),
            }
        }
    }

    /// Restarts with a list and the current client.
    pub(crate) fn restart(&mut self) {
        (self.stream, self.list_deadline) = (None, None);
        self.listed.clear();
    }

    fn fail(&mut self, error: ApiError, restarts: bool) -> WatchEvent<K> {
        let now = Instant::now();
        if self.failed_at.is_none_or(|before| now.duration_since(before) > RECOVERED_AFTER) {
            self.backoff.reset();
        }
        self.failed_at = Some(now);
        self.not_before = now + self.backoff.next();
        self.list_deadline = None;
        if restarts {
            self.restart();
        }
        WatchEvent::Failed(error)
    }

    fn open(client: &KubeClient, scope: &Scope) -> BoxStream<'static, watcher::Result<Event<K>>> {
        let config = watcher::Config {
            field_selector: scope.fields.clone(),
            label_selector: scope.labels.clone(),
            timeout: Some(WATCH_SECONDS),
            initial_list_strategy: InitialListStrategy::ListWatch,
            ..watcher::Config::default()
        };
        watcher(Api::<K>::namespaced(client.current(), &scope.namespace), config).boxed()
    }
}

impl<K> Debug for Watch<K> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Watch").field("scope", &self.scope).finish_non_exhaustive()
    }
}
