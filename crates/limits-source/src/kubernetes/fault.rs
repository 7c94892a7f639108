//! Why the Kubernetes API could not be used, worded for the person who can mend it.

use std::error::Error;
use std::fmt;

use kube::runtime::watcher;

/// The longest that a server's own words may be in ours.
const MAX_MESSAGE_CHARACTERS: usize = 300;

/// What was asked of the API server.
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// 401: the credentials are not, or no longer, those of anybody.
    Unauthorized,
    /// 403: whoever the credentials are of may not do this.
    Forbidden { verb: Verb, message: String },
    /// 410: what changed since the revision that was last seen is not known any more.
    Expired,
    /// Any other answer, or none.
    Unanswered(String),
}

impl Fault {
    pub(crate) fn of(verb: Verb, error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::of_status(verb, status),
            other => Self::Unanswered(chain(other)),
        }
    }

    pub(crate) fn of_watch(error: &watcher::Error) -> Self {
        match error {
            watcher::Error::InitialListFailed(error) => Self::of(Verb::List, error),
            watcher::Error::WatchStartFailed(error) | watcher::Error::WatchFailed(error) => {
                Self::of(Verb::Watch, error)
            }
            watcher::Error::WatchError(status) => Self::of_status(Verb::Watch, status),
            watcher::Error::NoResourceVersion => Self::Unanswered(error.to_string()),
        }
    }

    pub(crate) fn silent(verb: Verb) -> Self {
        Self::Unanswered(format!("no answer to {} in time", verb.as_str()))
    }

    fn of_status(verb: Verb, status: &kube::core::Status) -> Self {
        match status.code {
            401 => Self::Unauthorized,
            403 => Self::Forbidden { verb, message: bounded(&status.message) },
            410 => Self::Expired,
            code => Self::Unanswered(format!("it answers {code} {}: {}", status.reason, bounded(&status.message))),
        }
    }

    /// Whether somebody has to do something about it, so that it does not pass by itself.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::Unauthorized | Self::Forbidden { .. })
    }

    /// Whether both are one fault to whoever reads the log, though the server's words may differ.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Forbidden { verb, .. }, Self::Forbidden { verb: others, .. }) => verb == others,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }

    /// The fault in words, and how to mend it. `resource` is its plural, `name` that of the object where rules can name it.
    pub(crate) fn explain(&self, resource: &str, namespace: &str, name: Option<&str>) -> String {
        match self {
            Self::Unauthorized => {
                "the API server refuses the credentials (401); check the service account's token or the kubeconfig, which are read again".to_owned()
            }
            Self::Forbidden { verb, message } => {
                let names = name.map(|name| format!(" with resourceNames [{name}]")).unwrap_or_default();
                let verb = verb.as_str();
                format!(
                    "the API server forbids {verb} on {resource} (403: {message}); add {verb} on {resource}{names} to a Role in namespace {namespace} and bind it to the service account"
                )
            }
            Self::Expired => "the API server does not know what changed since (410)".to_owned(),
            Self::Unanswered(why) => format!("the API server cannot be asked: {why}"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unauthorized => formatter.write_str("401"),
            Self::Forbidden { verb, message } => write!(formatter, "403 for {}: {message}", verb.as_str()),
            Self::Expired => formatter.write_str("410"),
            Self::Unanswered(why) => formatter.write_str(why),
        }
    }
}

/// The outermost words and the innermost: what was tried, and what came in its way.
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

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn answer(code: u16, message: &str) -> kube::Error {
        let status = Status { code, message: message.to_owned(), reason: "Why".to_owned(), ..Status::default() };
        kube::Error::Api(Box::new(status))
    }

    #[track_caller]
    fn check(fault: &Fault, expected: &str) {
        assert_eq!(fault.explain("configmaps", "mimir", Some("mimir-runtime")), expected);
    }

    #[test]
    fn each_fault_says_what_to_mend() {
        check(
            &Fault::of(Verb::Get, &answer(401, "Unauthorized")),
            "the API server refuses the credentials (401); check the service account's token or the kubeconfig, which are read again",
        );
        check(
            &Fault::of_watch(&watcher::Error::InitialListFailed(answer(403, "no"))),
            "the API server forbids list on configmaps (403: no); add list on configmaps with resourceNames [mimir-runtime] to a Role in namespace mimir and bind it to the service account",
        );
        check(&Fault::of(Verb::Get, &answer(500, "ill")), "the API server cannot be asked: it answers 500 Why: ill");
        assert_eq!(Fault::of_watch(&watcher::Error::WatchStartFailed(answer(410, "old"))), Fault::Expired);
    }

    #[test]
    fn a_server_cannot_fill_the_log() {
        let Fault::Forbidden { message, .. } = Fault::of(Verb::Get, &answer(403, &"é".repeat(10_000))) else {
            unreachable!("403 is forbidden")
        };
        assert_eq!(message.chars().count(), MAX_MESSAGE_CHARACTERS + 1);
    }

    #[test]
    fn the_same_fault_in_other_words_is_no_new_one() {
        let forbidden = |verb, message: &str| Fault::Forbidden { verb, message: message.to_owned() };
        assert!(Fault::Unanswered("port 1".to_owned()).is_like(&Fault::Unanswered("port 2".to_owned())));
        assert!(forbidden(Verb::Get, "a").is_like(&forbidden(Verb::Get, "b")));
        assert!(!forbidden(Verb::Get, "a").is_like(&forbidden(Verb::Watch, "a")));
        assert!(!Fault::Unauthorized.is_like(&Fault::Expired));
    }
}
