//! What the watch and the check bring, one after the other: applied, published, counted.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::core::v1::ConfigMap;
use limits::{ControlState, Origin};
use tokio::sync::watch as channel;
use tokio::time::{Instant, sleep_until};

use super::check::{Answer, Check, SETTLED_AFTER};
use super::counts::WatchCounts;
use super::object::{Candidates, Content};
use super::revision::{Relation, Revisions, never_there};
use super::selector::ConfigMapSpec;
use super::trouble::Trouble;
use super::watch::{Scope, Seen, Watch};
use super::{Fault, KubeClient};
use crate::Freshness;

#[derive(Debug)]
pub(crate) struct Follower {
    client: KubeClient,
    spec: ConfigMapSpec,
    watch: Watch<ConfigMap>,
    candidates: Candidates,
    check: Check,
    /// Shared with the thread that reads a document; nobody else waits for it.
    revisions: Arc<Mutex<Revisions>>,
    trouble: Trouble,
    /// Counts what the watch brings, to tell whether an answer of the check was overtaken.
    heard: u64,
    heard_when_asked: u64,
    /// By then the watch has to have brought what the check found, or it is deaf.
    deaf_at: Option<Instant>,
    sender: channel::Sender<ControlState>,
    freshness: Freshness,
    counts: Arc<WatchCounts>,
}

enum News {
    Seen(Box<Seen<ConfigMap>>),
    CheckIsDue,
    Answer(Result<Answer, Fault>),
    Deaf,
}

impl Follower {
    pub(crate) fn new(
        client: KubeClient,
        revisions: Revisions,
        sender: channel::Sender<ControlState>,
        freshness: Freshness,
        counts: Arc<WatchCounts>,
    ) -> Self {
        let spec = revisions.spec().clone();
        let (fields, labels) = (spec.selector.field_selector(), spec.selector.label_selector());
        let scope = Scope { namespace: spec.namespace.clone(), fields, labels };
        Self {
            watch: Watch::new(client.clone(), scope),
            client,
            spec,
            candidates: Candidates::default(),
            check: Check::new(),
            revisions: Arc::new(Mutex::new(revisions)),
            trouble: Trouble::default(),
            heard: 0,
            heard_when_asked: 0,
            deaf_at: None,
            sender,
            freshness,
            counts,
        }
    }

    pub(crate) async fn run(mut self) {
        loop {
            match self.next().await {
                News::Seen(seen) => self.on_seen(*seen).await,
                News::CheckIsDue => self.ask(),
                News::Answer(Ok(answer)) => self.on_answer(answer).await,
                News::Answer(Err(fault)) => self.on_failed_check(fault).await,
                News::Deaf => self.on_deaf(),
            }
        }
    }

    async fn next(&mut self) -> News {
        let asked = self.check.is_asked();
        let due = self.check.due();
        let deaf_at = self.deaf_at;
        tokio::select! {
            seen = self.watch.next() => News::Seen(Box::new(seen)),
            answer = self.check.answer(), if asked => News::Answer(answer),
            () = sleep_until(due), if !asked => News::CheckIsDue,
            () = sleep_until(deaf_at.unwrap_or(due)), if deaf_at.is_some() => News::Deaf,
        }
    }

    /// Takes what the watch brought. Of changes of one object that came while one was being read, only the last is read.
    async fn on_seen(&mut self, first: Seen<ConfigMap>) {
        let (mut seen, mut after) = (first, None);
        while let (Seen::Put(object), None) = (&seen, &after) {
            match self.watch.ready() {
                Some(Seen::Put(newer)) if newer.metadata.name == object.metadata.name => seen = Seen::Put(newer),
                Some(other) => after = Some(other),
                None => break,
            }
        }
        self.take(seen).await;
        if let Some(after) = after {
            self.take(after).await;
        }
    }

    async fn take(&mut self, seen: Seen<ConfigMap>) {
        self.heard = self.heard.wrapping_add(1);
        match seen {
            Seen::Listed(objects) => {
                self.deaf_at = None;
                self.check.hasten();
                match self.candidates.list(objects) {
                    Some(object) => self.offer(object).await,
                    None => self.missing(),
                }
            }
            Seen::Put(object) => {
                if self.candidates.put(&object) {
                    self.offer(object).await;
                }
            }
            Seen::Gone(object) => {
                let others = self.candidates.gone(&object);
                let read = self.revisions().read().map(|read| read.uid.clone());
                if read.as_deref() == object.metadata.uid.as_deref() {
                    if others {
                        // The list brings the one that is the newest now.
                        self.watch.restart();
                    } else {
                        self.missing();
                    }
                }
            }
            Seen::Failed(fault) => {
                self.counts.restarted();
                self.check.hasten();
                self.renew_after(&fault).await;
                self.trouble.watch_failed(&self.spec, fault);
                self.publish_trouble();
            }
        }
    }

    /// Takes an object from the watch, if it is not what is in force or older.
    async fn offer(&mut self, object: ConfigMap) {
        let Some(content) = Content::of(object) else { return };
        let relation = self.revisions().relation(&content.origin);
        match relation {
            Relation::Same => {
                self.deaf_at = None;
                self.present();
            }
            Relation::Older => {}
            Relation::Newer | Relation::Other => {
                self.deaf_at = None;
                self.apply(content).await;
            }
        }
    }

    async fn apply(&mut self, content: Content) {
        let revisions = Arc::clone(&self.revisions);
        let reading = tokio::task::spawn_blocking(move || lock(&revisions).apply(&content));
        if reading.await.is_err() {
            tracing::error!(configmap = %self.spec, "the ConfigMap could not be read: the reading failed; the last good limits stay in force");
        }
        self.publish();
    }

    fn ask(&mut self) {
        let read = self.revisions().read().cloned();
        self.heard_when_asked = self.heard;
        self.check.ask(&self.client, &self.spec, read);
    }

    async fn on_answer(&mut self, answer: Answer) {
        self.trouble.check_answered(&self.spec);
        let overtaken = self.heard != self.heard_when_asked;
        self.trouble.set_older(&self.spec, self.older(&answer).filter(|_| !overtaken));
        self.publish_trouble();
        match answer {
            Answer::Missing if overtaken => self.check.ask_again(),
            Answer::Missing => self.missing(),
            Answer::Revision(origin) => self.on_revision(&origin, overtaken),
            Answer::Content(content) => self.on_content(content, overtaken).await,
        }
    }

    /// The revision that the API server has, where it is older than the one last read.
    fn older(&self, answer: &Answer) -> Option<Origin> {
        let Answer::Revision(origin) = answer else { return None };
        (self.revisions().relation(origin) == Relation::Older).then(|| origin.clone())
    }

    fn on_revision(&mut self, origin: &Origin, overtaken: bool) {
        let relation = self.revisions().relation(origin);
        match relation {
            Relation::Same => self.confirm(),
            Relation::Older if !overtaken => {}
            Relation::Older | Relation::Newer | Relation::Other => self.check.ask_again(),
        }
    }

    async fn on_content(&mut self, content: Content, overtaken: bool) {
        let (relation, is_first) = {
            let revisions = self.revisions();
            (revisions.relation(&content.origin), revisions.read().is_none())
        };
        match relation {
            Relation::Same => self.confirm(),
            Relation::Older => self.check.ask_again(),
            Relation::Other if overtaken => self.check.ask_again(),
            Relation::Other => {
                self.apply(content).await;
                self.confirm();
                if !is_first {
                    // What the watch still brings of the object before would look new.
                    self.restart_watch();
                }
            }
            Relation::Newer => {
                self.apply(content).await;
                self.confirm();
                self.deaf_at = Some(Instant::now() + SETTLED_AFTER);
            }
        }
    }

    async fn on_failed_check(&mut self, fault: Fault) {
        self.counts.check_failed();
        self.renew_after(&fault).await;
        self.trouble.check_failed(&self.spec, fault);
        self.publish_trouble();
    }

    fn on_deaf(&mut self) {
        tracing::warn!(configmap = %self.spec, "the watch did not bring a change that is there, and is made again");
        self.restart_watch();
    }

    fn restart_watch(&mut self) {
        self.deaf_at = None;
        self.counts.restarted();
        self.watch.restart();
    }

    async fn renew_after(&mut self, fault: &Fault) {
        if *fault == Fault::Unauthorized {
            self.counts.credentials_refused();
            self.trouble.renewed(self.client.renew().await.err());
        }
    }

    fn missing(&mut self) {
        let (is_new, was_there) = {
            let mut revisions = self.revisions();
            (revisions.set_missing(true), revisions.read().is_some())
        };
        if !is_new {
            return;
        }
        if was_there {
            self.counts.deleted();
            tracing::warn!(configmap = %self.spec, "the ConfigMap was deleted, the last good limits stay in force until it is made again");
        } else {
            tracing::warn!(configmap = %self.spec, "{}", never_there(&self.spec));
        }
        self.publish();
    }

    fn present(&mut self) {
        let is_new = self.revisions().set_missing(false);
        if is_new {
            self.publish();
        }
    }

    /// The API server has the revision that was last read.
    fn confirm(&mut self) {
        self.present();
        if self.revisions().is_in_force() {
            self.freshness.confirm();
        }
    }

    fn publish_trouble(&mut self) {
        let faults = self.trouble.explain(&self.spec);
        let is_new = self.revisions().set_faults(faults);
        if is_new {
            self.publish();
        }
    }

    fn publish(&self) {
        let state = self.revisions().state();
        self.sender.send_replace(state);
    }

    fn revisions(&self) -> MutexGuard<'_, Revisions> {
        lock(&self.revisions)
    }
}

/// A reading that failed has changed nothing.
fn lock(revisions: &Mutex<Revisions>) -> MutexGuard<'_, Revisions> {
    revisions.lock().unwrap_or_else(PoisonError::into_inner)
}
