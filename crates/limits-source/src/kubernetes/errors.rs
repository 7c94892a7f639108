//! Errors of the Kubernetes API, with how to fix them: logged when they change, and shown as problems.

use std::error::Error;
use std::time::Duration;

use kube::runtime::watcher;
use limits::ObjectRevision;
use thiserror::Error as ThisError;
use tokio::time::Instant;

use super::KubeConfigError;
use super::names::ConfigMapSpec;

/// The most characters of a server's message in one of ours.
const MAX_MESSAGE_CHARACTERS: usize = 300;

/// A rejected watch does not report when it is allowed again. With attempts every 2 seconds, silence for this long means that it is.
const WATCH_RECOVERED_AFTER: Duration = Duration::from_secs(10);

/// The verb of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    List,
    Watch,
}

impl Verb {
    fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
        }
    }
}

/// One failed request.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
pub(crate) enum ApiError {
    /// 401: the credentials are unknown or expired.
    #[error("401")]
    Unauthorized,
    /// 403: the account may not do this.
    #[error("403 for {}: {message}", verb.as_str())]
    Forbidden { verb: Verb, message: String },
    /// 410: the API server no longer has the changes since the revision that was last seen.
    #[error("410")]
    Expired,
    /// Any other error response, or no response.
    #[error("{0}")]
    Unavailable(String),
}

impl ApiError {
    pub(crate) fn of(verb: Verb, error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::of_status(verb, status),
            other => Self::Unavailable(chain(other)),
        }
    }

    pub(crate) fn of_watch(error: &watcher::Error) -> Self {
        match error {
            watcher::Error::InitialListFailed(error) => Self::of(Verb::List, error),
            watcher::Error::WatchStartFailed(error) | watcher::Error::WatchFailed(error) => {
                Self::of(Verb::Watch, error)
            }
            watcher::Error::WatchError(status) => Self::of_status(Verb::Watch, status),
            watcher::Error::NoResourceVersion => Self::Unavailable(error.to_string()),
        }
    }

    pub(crate) fn timeout(verb: Verb) -> Self {
        Self::Unavailable(format!("no response to {} in time", verb.as_str()))
    }

    fn of_status(verb: Verb, status: &kube::core::Status) -> Self {
        match status.code {
            401 => Self::Unauthorized,
            403 => Self::Forbidden { verb, message: bounded(&status.message) },
            410 => Self::Expired,
            code => Self::Unavailable(format!("it answers {code} {}: {}", status.reason, bounded(&status.message))),
        }
    }

    /// Whether it lasts until an operator fixes it.
    fn is_rejection(&self) -> bool {
        matches!(self, Self::Unauthorized | Self::Forbidden { .. })
    }

    /// Whether both are logged as the same error, whatever the server's messages are.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Forbidden { verb, .. }, Self::Forbidden { verb: others, .. }) => verb == others,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }

    /// What is wrong and how to fix it. `resource` is the plural; `name` is the object's, if a Role can name it.
    pub(crate) fn explain(&self, resource: &str, namespace: &str, name: Option<&str>) -> String {
        match self {
            Self::Unauthorized => {
                "the API server rejects the credentials (401); check the service account's token or the kubeconfig, which are reloaded".to_owned()
            }
            Self::Forbidden { verb, message } => {
                let names = name.map(|name| format!(" with resourceNames [{name}]")).unwrap_or_default();
                let verb = verb.as_str();
                format!(
                    "the API server forbids {verb} on {resource} (403: {message}); \
                     add {verb} on {resource}{names} to a Role in namespace {namespace} \
                     and bind it to the service account"
                )
            }
            Self::Expired => "the API server no longer has the changes since the last revision (410)".to_owned(),
            Self::Unavailable(why) => format!("the request to the API server failed: {why}"),
        }
    }
}

/// The outermost and the innermost message: what was tried, and why it failed.
fn chain(error: &dyn Error) -> String {
    let mut innermost = error.source();
    while let Some(deeper) = innermost.and_then(Error::source) {
        innermost = Some(deeper);
    }
    let (outer, inner) = (error.to_string(), innermost.map(ToString::to_string).unwrap_or_default());
    if inner.is_empty() || outer.contains(&inner) { bounded(&outer) } else { bounded(&format!("{outer}: {inner}")) }
}

fn bounded(text: &str) -> String {
    match text.char_indices().nth(MAX_MESSAGE_CHARACTERS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// The current errors of reads and of the watch.
#[derive(Debug)]
pub(crate) struct WatchErrors {
    spec: ConfigMapSpec,
    read: Option<ApiError>,
    /// Rejections only: reads find the other failures of a watch.
    watch: Option<(ApiError, Instant)>,
    renewal: Option<String>,
    /// The revision that the API server has, if it is older than the one in force.
    older: Option<ObjectRevision>,
}

impl WatchErrors {
    pub(crate) fn new(spec: ConfigMapSpec) -> Self {
        Self { spec, read: None, watch: None, renewal: None, older: None }
    }

    pub(crate) fn read_failed(&mut self, error: ApiError) {
        if self.read.as_ref().is_some_and(|known| known.is_like(&error)) {
            return;
        }
        let why = self.explain_one(&error);
        tracing::warn!(configmap = %self.spec, "limits cannot be confirmed, the last good limits stay in force: {why}");
        self.read = Some(error);
    }

    /// A read succeeded. `older` is the revision that it found, if that is older than the one in force.
    pub(crate) fn read_succeeded(&mut self, older: Option<ObjectRevision>) {
        if self.read.take().is_some() {
            tracing::info!(configmap = %self.spec, "the API server answers again");
        }
        self.renewal = None;
        if self.watch.as_ref().is_some_and(|(_, failed_at)| failed_at.elapsed() > WATCH_RECOVERED_AFTER) {
            tracing::info!(configmap = %self.spec, "the watch is no longer rejected");
            self.watch = None;
        }
        if let (None, Some(origin)) = (&self.older, &older) {
            let why = explain_older(origin);
            tracing::warn!(configmap = %self.spec, "limits cannot be confirmed, the last good limits stay in force: {why}");
        }
        self.older = older;
    }

    pub(crate) fn watch_failed(&mut self, error: ApiError) {
        tracing::debug!(configmap = %self.spec, %error, "the watch failed and restarts");
        if !error.is_rejection() {
            return;
        }
        // An error that reads have as well is logged once.
        let mut logged = self.watch.iter().map(|(known, _)| known).chain(&self.read);
        if !logged.any(|known| known.is_like(&error)) {
            let why = self.explain_one(&error);
            tracing::warn!(configmap = %self.spec, "the ConfigMap cannot be watched, changes take up to 15 s: {why}");
        }
        self.watch = Some((error, Instant::now()));
    }

    /// The result of reloading the credentials.
    pub(crate) fn credentials_renewed(&mut self, result: Result<(), KubeConfigError>) {
        let error = result.err().map(|error| error.to_string());
        if let Some(error) = error.as_ref().filter(|error| self.renewal.as_ref() != Some(error)) {
            tracing::warn!(%error, "rejected credentials could not be reloaded; still trying");
        }
        self.renewal = error;
    }

    /// Each error once, with how to fix it.
    pub(crate) fn explain(&self) -> Vec<String> {
        let watch = self.watch.as_ref().map(|(error, _)| error);
        let mut errors: Vec<String> = self.read.iter().chain(watch).map(|error| self.explain_one(error)).collect();
        errors.dedup();
        errors.extend(self.older.as_ref().map(explain_older));
        errors
    }

    fn explain_one(&self, error: &ApiError) -> String {
        error.explain("configmaps", &self.spec.namespace, self.spec.name())
    }
}

fn explain_older(origin: &ObjectRevision) -> String {
    format!(
        "the API server has revision {}, which is older than the one in force; if etcd was restored from a backup, delete the ConfigMap and recreate it",
        origin.resource_version
    )
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn answer(code: u16, message: &str) -> kube::Error {
        let status = Status { code, message: message.to_owned(), reason: "Why".to_owned(), ..Status::default() };
        kube::Error::Api(Box::new(status))
    }

    #[track_caller]
    fn check(fault: &ApiError, expected: &str) {
        assert_eq!(fault.explain("configmaps", "mimir", Some("mimir-runtime")), expected);
    }

    #[test]
    fn each_error_says_how_to_fix_it() {
        check(
            &ApiError::of(Verb::Get, &answer(401, "Unauthorized")),
            "the API server rejects the credentials (401); check the service account's token or the kubeconfig, which are reloaded",
        );
        check(
            &ApiError::of_watch(&watcher::Error::InitialListFailed(answer(403, "no"))),
            "the API server forbids list on configmaps (403: no); add list on configmaps with resourceNames \
             [mimir-runtime] to a Role in namespace mimir and bind it to the service account",
        );
        check(
            &ApiError::of(Verb::Get, &answer(500, "ill")),
            "the request to the API server failed: it answers 500 Why: ill",
        );
        assert_eq!(ApiError::of_watch(&watcher::Error::WatchStartFailed(answer(410, "old"))), ApiError::Expired);
    }

    #[test]
    fn a_server_cannot_fill_the_log() {
        let ApiError::Forbidden { message, .. } = ApiError::of(Verb::Get, &answer(403, &"é".repeat(10_000))) else {
            unreachable!("403 is forbidden")
        };
        assert_eq!(message.chars().count(), MAX_MESSAGE_CHARACTERS + 1);
    }

    #[test]
    fn an_error_with_another_message_is_the_same_error() {
        let forbidden = |verb, message: &str| ApiError::Forbidden { verb, message: message.to_owned() };
        assert!(ApiError::Unavailable("port 1".to_owned()).is_like(&ApiError::Unavailable("port 2".to_owned())));
        assert!(forbidden(Verb::Get, "a").is_like(&forbidden(Verb::Get, "b")));
        assert!(!forbidden(Verb::Get, "a").is_like(&forbidden(Verb::Watch, "a")));
        assert!(!ApiError::Unauthorized.is_like(&ApiError::Expired));
    }

    #[test]
    fn an_older_revision_is_a_problem_while_it_lasts() {
        let mut errors = WatchErrors::new("mimir/mimir-runtime".parse().unwrap());
        let older = ObjectRevision { uid: "u".into(), resource_version: "7".into() };
        errors.read_succeeded(Some(older));
        let problems = errors.explain();
        assert!(
            matches!(&problems[..], [problem] if problem.contains("revision 7") && problem.contains("delete the ConfigMap")),
            "{problems:?}"
        );
        errors.read_succeeded(None);
        assert!(errors.explain().is_empty());
    }
}
