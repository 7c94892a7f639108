//! A watch that is made again whenever it fails, with a bound on how long its list may take.
//!
//! It lists and then watches: streaming lists fail on older etcd. Bookmarks and resuming after a broken connection are the watcher's.

use std::fmt::Debug;

use futures_util::FutureExt as _;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::time::{Duration, Instant, sleep_until, timeout_at};

use super::backoff::Backoff;
use super::{Fault, KubeClient, Verb};

/// How long a list may take from its beginning to its end.
const LIST_TIMEOUT: Duration = Duration::from_secs(5);

/// A watch that went on for so long has recovered from what failed before.
const RECOVERED_AFTER: Duration = Duration::from_secs(10);

/// How long the server keeps a watch. A connection that died without a sign is noticed 5 seconds after that, where nothing else notices it.
const WATCH_SECONDS: u32 = 60;

/// What a watch brought.
#[derive(Debug)]
pub(crate) enum Seen<K> {
    /// All there is now.
    Listed(Vec<K>),
    /// A new or changed object.
    Put(K),
    /// An object that was deleted, as it was last.
    Gone(K),
    /// The watch failed, and is made again.
    Failed(Fault),
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
    /// What a list has brought that is not complete yet.
    listed: Vec<K>,
    /// When that list has to be complete.
    list_until: Option<Instant>,
    /// No earlier than this is anything tried again.
    not_before: Instant,
    backoff: Backoff,
    failed_at: Option<Instant>,
}

impl<K> Watch<K>
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope> + Clone + Debug + DeserializeOwned + Send + 'static,
    K::DynamicType: Default,
{
    pub(crate) fn new(client: KubeClient, scope: Scope) -> Self {
        Self {
            client,
            scope,
            stream: None,
            listed: Vec::new(),
            list_until: None,
            not_before: Instant::now(),
            backoff: Backoff::default(),
            failed_at: None,
        }
    }

    /// Waits for what comes next. Nothing is lost when the wait is given up.
    pub(crate) async fn next(&mut self) -> Seen<K> {
        loop {
            sleep_until(self.not_before).await;
            let (client, scope) = (&self.client, &self.scope);
            let stream = self.stream.get_or_insert_with(|| open(client, scope));
            let item = match self.list_until {
                Some(deadline) => timeout_at(deadline, stream.next()).await,
                None => Ok(stream.next().await),
            };
            let event = match item {
                Err(_) => return self.fail(Fault::silent(Verb::List), true),
                Ok(None) => return self.fail(Fault::Unanswered("the watch ended".to_owned()), true),
                Ok(Some(Err(error))) => return self.fail_with(&error),
                Ok(Some(Ok(event))) => event,
            };
            if let Some(seen) = self.take(event) {
                return seen;
            }
        }
    }

    /// What has come already.
    pub(crate) fn ready(&mut self) -> Option<Seen<K>> {
        self.next().now_or_never()
    }

    /// Begins anew, with a list and with the client as it is now.
    pub(crate) fn restart(&mut self) {
        (self.stream, self.list_until) = (None, None);
        self.listed = Vec::new();
    }

    fn take(&mut self, event: Event<K>) -> Option<Seen<K>> {
        match event {
            Event::Init => {
                self.listed = Vec::new();
                self.list_until = Some(Instant::now() + LIST_TIMEOUT);
                None
            }
            Event::InitApply(object) => {
                self.listed.push(object);
                None
            }
            Event::InitDone => {
                self.list_until = None;
                Some(Seen::Listed(std::mem::take(&mut self.listed)))
            }
            Event::Apply(object) => Some(Seen::Put(object)),
            Event::Delete(object) => Some(Seen::Gone(object)),
        }
    }

    fn fail_with(&mut self, error: &watcher::Error) -> Seen<K> {
        let fault = Fault::of_watch(error);
        // The watcher starts again where it was. It does not list again after a 410 that is no event, nor does it see new credentials.
        let anew = fault == Fault::Expired || fault == Fault::Unauthorized;
        self.fail(fault, anew)
    }

    fn fail(&mut self, fault: Fault, anew: bool) -> Seen<K> {
        let now = Instant::now();
        if self.failed_at.is_none_or(|before| now.duration_since(before) > RECOVERED_AFTER) {
            self.backoff = Backoff::default();
        }
        self.failed_at = Some(now);
        self.not_before = now + self.backoff.after_failure();
        self.list_until = None;
        if anew {
            self.restart();
        }
        Seen::Failed(fault)
    }
}

fn open<K>(client: &KubeClient, scope: &Scope) -> BoxStream<'static, watcher::Result<Event<K>>>
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope> + Clone + Debug + DeserializeOwned + Send + 'static,
    K::DynamicType: Default,
{
    let config = watcher::Config {
        field_selector: scope.fields.clone(),
        label_selector: scope.labels.clone(),
        timeout: Some(WATCH_SECONDS),
        initial_list_strategy: watcher::InitialListStrategy::ListWatch,
        ..watcher::Config::default()
    };
    watcher(Api::<K>::namespaced(client.current(), &scope.namespace), config).boxed()
}

impl<K> Debug for Watch<K> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Watch").field("scope", &self.scope).finish_non_exhaustive()
    }
}
