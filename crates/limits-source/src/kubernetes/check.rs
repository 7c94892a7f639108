//! The question that confirms: which revision of the ConfigMap is there now? Only the revision is asked for; the object, when it is a new one.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::ListParams;
use limits::Origin;
use tokio::time::{Instant, timeout};

use super::backoff::Backoff;
use super::object::{self, Content};
use super::selector::{ConfigMapSelector, ConfigMapSpec};
use super::{Fault, KubeClient, Verb};

const EVERY: Duration = Duration::from_secs(15);

/// Replicas that start together do not go on asking together.
const JITTER: std::ops::Range<f64> = 0.9..1.1;

/// When an answer has been overtaken by the watch, or the other way round, this is when it is looked at again.
pub(crate) const SETTLED_AFTER: Duration = Duration::from_secs(1);

const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) enum Answer {
    Missing,
    /// The revision that was last read, or an older one.
    Revision(Origin),
    /// Another one.
    Content(Content),
}

pub(crate) struct Check {
    due: Instant,
    pending: Option<BoxFuture<'static, Result<Answer, Fault>>>,
    backoff: Backoff,
    fails: bool,
}

impl Check {
    pub(crate) fn new() -> Self {
        Self { due: Instant::now() + EVERY, pending: None, backoff: Backoff::default(), fails: false }
    }

    /// When the question is to be put again.
    pub(crate) fn due(&self) -> Instant {
        self.due
    }

    /// Whether the question was put and not answered yet.
    pub(crate) fn is_asked(&self) -> bool {
        self.pending.is_some()
    }

    /// Puts the question. `read` is the revision that was last read.
    pub(crate) fn ask(&mut self, client: &KubeClient, spec: &ConfigMapSpec, read: Option<Arc<Origin>>) {
        let api = Api::namespaced(client.current(), &spec.namespace);
        self.pending = Some(ask(Question { api, selector: spec.selector.clone() }, read).boxed());
    }

    /// Waits for the answer to the question that was put. Nothing is lost when the wait is given up.
    pub(crate) async fn answer(&mut self) -> Result<Answer, Fault> {
        let Some(pending) = &mut self.pending else { return std::future::pending().await };
        let answer = pending.await;
        self.pending = None;
        let wait = if answer.is_ok() {
            self.backoff = Backoff::default();
            EVERY.mul_f64(rand::random_range(JITTER))
        } else {
            self.backoff.after_failure()
        };
        self.fails = answer.is_err();
        self.due = Instant::now() + wait;
        answer
    }

    /// Asks at once, unless the last answer was a failure: then it is asked again soon as it is.
    pub(crate) fn hasten(&mut self) {
        if !self.fails {
            self.due = Instant::now();
        }
    }

    /// Asks again once what was just heard has settled.
    pub(crate) fn ask_again(&mut self) {
        self.due = Instant::now() + SETTLED_AFTER;
    }
}

impl std::fmt::Debug for Check {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Check").field("due", &self.due).field("fails", &self.fails).finish_non_exhaustive()
    }
}

async fn ask(question: Question, read: Option<Arc<Origin>>) -> Result<Answer, Fault> {
    let Some(metadata) = question.metadata().await? else { return Ok(Answer::Missing) };
    let now = object::origin(&metadata).ok_or_else(no_revision)?;
    if read.is_some_and(|read| *read == now || now.is_older_than(&read)) {
        return Ok(Answer::Revision(now));
    }
    let Some(object) = question.object().await? else { return Ok(Answer::Missing) };
    Content::of(object).map(Answer::Content).ok_or_else(no_revision)
}

/// Who is asked, and for which ConfigMap.
struct Question {
    api: Api<ConfigMap>,
    selector: ConfigMapSelector,
}

impl Question {
    async fn metadata(&self) -> Result<Option<ObjectMeta>, Fault> {
        match &self.selector {
            ConfigMapSelector::Name(name) => {
                let found = bounded(Verb::Get, self.api.get_metadata_opt(name)).await?;
                Ok(found.map(|object| object.metadata))
            }
            ConfigMapSelector::Label { .. } => {
                let list = bounded(Verb::List, self.api.list_metadata(&self.with_label())).await?;
                Ok(object::newest(list.items, |object| &object.metadata).map(|object| object.metadata))
            }
        }
    }

    async fn object(&self) -> Result<Option<ConfigMap>, Fault> {
        match &self.selector {
            ConfigMapSelector::Name(name) => bounded(Verb::Get, self.api.get_opt(name)).await,
            ConfigMapSelector::Label { .. } => {
                let list = bounded(Verb::List, self.api.list(&self.with_label())).await?;
                Ok(object::newest(list.items, |object| &object.metadata))
            }
        }
    }

    fn with_label(&self) -> ListParams {
        ListParams { label_selector: self.selector.label_selector(), ..ListParams::default() }
    }
}

async fn bounded<T>(verb: Verb, request: impl Future<Output = kube::Result<T>>) -> Result<T, Fault> {
    match timeout(ANSWER_TIMEOUT, request).await {
        Ok(answer) => answer.map_err(|error| Fault::of(verb, &error)),
        Err(_) => Err(Fault::silent(verb)),
    }
}

fn no_revision() -> Fault {
    Fault::Unanswered("the object has no uid or resourceVersion".to_owned())
}
