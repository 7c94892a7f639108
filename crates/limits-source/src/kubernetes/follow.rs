//! Applies each revision of the ConfigMap.
//!
//! The ConfigMap is read when the watch reports a change, and its revision every 15 seconds. Only a read applies a revision, confirms the limits or
//! detects a deletion. If a read finds a revision that the watch did not report, the watch is restarted.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::ListParams;
use kube::core::PartialObjectMeta;
use limits::{LoadedLimits, ObjectRevision};
use tokio::sync::watch as channel;
use tokio::time::{Instant, sleep_until, timeout};

use super::errors::WatchErrors;
use super::names::{ConfigMapSelector, ConfigMapSpec};
use super::revision::{Content, Relation, Revisions, never_there, newest, origin};
use super::watch::{Scope, Watch, WatchEvent};
use super::{ApiError, KubeClient, RETRY, Verb, WatchCounts};
use crate::Freshness;
use crate::retry::{Backoff, jittered};

const READ_EVERY: Duration = Duration::from_secs(15);

/// How long the watch may take to report a revision that a read has found.
const REPORTED_WITHIN: Duration = Duration::from_secs(1);

const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Follower {
    client: KubeClient,
    spec: ConfigMapSpec,
    watch: Watch<PartialObjectMeta<ConfigMap>>,
    revisions: Revisions,
    errors: WatchErrors,
    read_at: Instant,
    /// Whether the watch has reported a change since the last read.
    is_reported: bool,
    /// Whether the last read failed.
    fails: bool,
    backoff: Backoff,
    /// When the watch must have reported the revision that a read has found.
    watch_deadline: Option<Instant>,
    sender: channel::Sender<LoadedLimits>,
    freshness: Freshness,
    counts: Arc<WatchCounts>,
}

/// The result of a read.
enum Found {
    Nothing,
    /// The revision that was read last, or an older one.
    Revision(ObjectRevision),
    /// Another revision.
    Content(Content),
}

impl Follower {
    pub(crate) fn new(
        client: KubeClient,
        revisions: Revisions,
        sender: channel::Sender<LoadedLimits>,
        freshness: Freshness,
        counts: Arc<WatchCounts>,
    ) -> Self {
        let spec = revisions.spec().clone();
        let (fields, labels) = (spec.selector.field_selector(), spec.selector.label_selector());
        let scope = Scope { namespace: spec.namespace.clone(), fields, labels };
        Self {
            watch: Watch::new(client.clone(), scope),
            client,
            errors: WatchErrors::new(spec.clone()),
            spec,
            revisions,
            read_at: Instant::now(),
            is_reported: true,
            fails: false,
            backoff: RETRY,
            watch_deadline: None,
            sender,
            freshness,
            counts,
        }
    }

    pub(crate) async fn run(mut self) {
        loop {
            let watch_deadline = self.watch_deadline;
            tokio::select! {
                event = self.watch.next() => self.on_event(event).await,
                () = sleep_until(self.read_at) => self.read().await,
                () = sleep_until(watch_deadline.unwrap_or(self.read_at)), if watch_deadline.is_some() => {
                    tracing::warn!(configmap = %self.spec, "the watch missed a change, and restarts");
                    self.watch_deadline = None;
                    self.counts.restarts.add();
                    self.watch.restart();
                }
            }
        }
    }

    async fn on_event(&mut self, event: WatchEvent<PartialObjectMeta<ConfigMap>>) {
        match event {
            WatchEvent::Listed(_) => self.on_report(),
            WatchEvent::Applied(object) => {
                match origin(&object.metadata).map(|origin| self.revisions.relation(&origin)) {
                    Some(Relation::Same) => self.watch_deadline = None,
                    Some(Relation::Newer | Relation::Other) => self.on_report(),
                    Some(Relation::Older) | None => {}
                }
            }
            WatchEvent::Deleted(object) => {
                if self.revisions.read().map(|read| &*read.uid) == object.metadata.uid.as_deref() {
                    self.on_report();
                }
            }
            WatchEvent::Failed(error) => {
                self.counts.restarts.add();
                self.read_soon();
                self.renew_after(&error).await;
                self.errors.watch_failed(error);
                self.publish_errors();
            }
        }
    }

    fn on_report(&mut self) {
        (self.watch_deadline, self.is_reported) = (None, true);
        self.read_soon();
    }

    /// Reads at once, unless the last read failed: then the retry is due soon anyway.
    fn read_soon(&mut self) {
        if !self.fails {
            self.read_at = Instant::now();
        }
    }

    async fn read(&mut self) {
        let api = Api::namespaced(self.client.current(), &self.spec.namespace);
        let is_reported = std::mem::take(&mut self.is_reported);
        let found = read(&api, &self.spec.selector, self.revisions.read().map(|read| &**read)).await;
        self.fails = found.is_err();
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                self.read_at = Instant::now() + self.backoff.next();
                self.is_reported = is_reported;
                self.counts.failed_checks.add();
                self.renew_after(&error).await;
                self.errors.read_failed(error);
                return self.publish_errors();
            }
        };
        self.backoff.reset();
        self.read_at = Instant::now() + jittered(READ_EVERY);
        let is_older = |origin: &ObjectRevision| self.revisions.relation(origin) == Relation::Older;
        let older = match &found {
            Found::Revision(origin) if is_older(origin) => Some(origin.clone()),
            _ => None,
        };
        let is_confirmed = older.is_none();
        self.errors.read_succeeded(older);
        self.publish_errors();
        match found {
            Found::Nothing => self.missing(),
            Found::Revision(_) if is_confirmed => self.confirm(),
            Found::Revision(_) => {}
            Found::Content(content) => {
                let is_first = self.revisions.read().is_none();
                self.apply(content).await;
                if !is_reported && !is_first {
                    self.watch_deadline = Some(Instant::now() + REPORTED_WITHIN);
                }
            }
        }
    }

    async fn apply(&mut self, content: Content) {
        let mut revisions = self.revisions.clone();
        let applying = tokio::task::spawn_blocking(move || {
            revisions.apply(&content);
            revisions
        });
        let Ok(revisions) = applying.await else {
            tracing::error!(configmap = %self.spec, "applying the ConfigMap was interrupted; the last good limits stay in force");
            return;
        };
        self.revisions = revisions;
        self.publish();
        self.confirm();
    }

    async fn renew_after(&mut self, error: &ApiError) {
        if *error == ApiError::Unauthorized {
            self.counts.rejected_credentials.add();
            self.errors.credentials_renewed(self.client.renew().await);
        }
    }

    fn missing(&mut self) {
        if !self.revisions.set_missing(true) {
            return;
        }
        if self.revisions.read().is_some() {
            self.counts.deletions.add();
            tracing::warn!(configmap = %self.spec, "the ConfigMap was deleted, the last good limits stay in force until it is recreated");
        } else {
            tracing::warn!(configmap = %self.spec, "{}", never_there(&self.spec));
        }
        self.publish();
    }

    /// The API server still has the revision that was read last.
    fn confirm(&mut self) {
        if self.revisions.set_missing(false) {
            self.publish();
        }
        if self.revisions.is_in_force() {
            self.freshness.confirm();
        }
    }

    fn publish_errors(&mut self) {
        if self.revisions.set_errors(self.errors.explain()) {
            self.publish();
        }
    }

    fn publish(&self) {
        self.sender.send_replace(self.revisions.state());
    }
}

/// Reads the current revision, and the object if that is neither `known` nor older.
async fn read(
    api: &Api<ConfigMap>,
    selector: &ConfigMapSelector,
    known: Option<&ObjectRevision>,
) -> Result<Found, ApiError> {
    let incomplete = || ApiError::Unavailable("the object has no uid or resourceVersion".to_owned());
    if let Some(known) = known {
        let Some(metadata) = metadata(api, selector).await? else { return Ok(Found::Nothing) };
        let now = origin(&metadata).ok_or_else(incomplete)?;
        if *known == now || now.is_older_than(known) {
            return Ok(Found::Revision(now));
        }
    }
    let Some(object) = object(api, selector).await? else { return Ok(Found::Nothing) };
    Content::of(object).map(Found::Content).ok_or_else(incomplete)
}

async fn metadata(api: &Api<ConfigMap>, selector: &ConfigMapSelector) -> Result<Option<ObjectMeta>, ApiError> {
    let object = match selector {
        ConfigMapSelector::Name(name) => in_time(Verb::Get, api.get_metadata_opt(name)).await?,
        ConfigMapSelector::Label { .. } => {
            let list = in_time(Verb::List, api.list_metadata(&with_label(selector))).await?;
            newest(list.items, |object| &object.metadata)
        }
    };
    Ok(object.map(|object| object.metadata))
}

async fn object(api: &Api<ConfigMap>, selector: &ConfigMapSelector) -> Result<Option<ConfigMap>, ApiError> {
    match selector {
        ConfigMapSelector::Name(name) => in_time(Verb::Get, api.get_opt(name)).await,
        ConfigMapSelector::Label { .. } => {
            let list = in_time(Verb::List, api.list(&with_label(selector))).await?;
            Ok(newest(list.items, |object| &object.metadata))
        }
    }
}

fn with_label(selector: &ConfigMapSelector) -> ListParams {
    ListParams { label_selector: selector.label_selector(), ..ListParams::default() }
}

async fn in_time<T>(verb: Verb, request: impl Future<Output = kube::Result<T>>) -> Result<T, ApiError> {
    match timeout(RESPONSE_TIMEOUT, request).await {
        Ok(response) => response.map_err(|error| ApiError::of(verb, &error)),
        Err(_) => Err(ApiError::timeout(verb)),
    }
}
