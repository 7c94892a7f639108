//! Why replicas do not answer, and how to mend it.

use std::fmt;

use http::StatusCode;
use limits_source::WebError;
use thiserror::Error;

use super::Replica;
use crate::exit;

const FORWARD: &str = "forward its port, for each replica another one: kubectl port-forward pod/POD --namespace mimir-edge-enforcement 9090:9090";

/// Why one replica gave no answer.
#[derive(Debug, Error)]
pub(crate) enum ApiError {
    /// There is no response.
    #[error(transparent)]
    Web(#[from] WebError),
    /// The response is an error.
    #[error("it answered {status}: {error}")]
    Status {
        status: StatusCode,
        /// What it says.
        error: String,
    },
    /// The response has another content than mimir-rls's.
    #[error("it answered something else than mimir-rls of this version does: {0}")]
    Content(String),
}

impl ApiError {
    /// What the operator can do about it.
    fn hint(&self, replica: &Replica) -> Option<&'static str> {
        match self {
            Self::Web(WebError::Unreachable(why)) if why.contains("certificate") => Some(
                "give the CA with --ca-file; behind a forwarded port, give the name in the certificate with --tls-server-name",
            ),
            Self::Web(WebError::Unreachable(why)) if !replica.is_https() && !why.contains("(Connect)") => {
                Some("if it serves TLS, write https://")
            }
            Self::Web(WebError::Unreachable(_)) => Some(FORWARD),
            Self::Web(WebError::Slow(_)) => Some("--timeout gives it more time"),
            Self::Status { status: StatusCode::UNAUTHORIZED, .. } if replica.has_token() => {
                Some("the token of --token-file is not its token")
            }
            Self::Status { status: StatusCode::UNAUTHORIZED, .. } => {
                Some("give the file with its token with --token-file")
            }
            Self::Status { status: StatusCode::SERVICE_UNAVAILABLE, .. } => {
                Some("it is not ready; its /ready and /api/v1/problems say more")
            }
            Self::Status { status: StatusCode::NOT_FOUND, .. } | Self::Content(_) => {
                Some("the address must be that of mimir-rls's --http-listen, port 9090")
            }
            Self::Web(_) | Self::Status { .. } => None,
        }
    }
}

/// A replica without an answer.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) replica: String,
    error: ApiError,
    hint: Option<&'static str>,
}

impl Failure {
    pub(super) fn new(replica: &Replica, error: ApiError) -> Self {
        Self { replica: replica.name().to_owned(), hint: error.hint(replica), error }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { replica, error, hint } = self;
        write!(formatter, "{replica}: {error}")?;
        hint.map_or(Ok(()), |hint| write!(formatter, "; {hint}"))
    }
}

/// Why a subcommand that asks the API has no result.
#[derive(Debug, Error)]
pub(crate) enum EdgeError {
    /// A flag or a file of the client cannot be used.
    #[error("{0}")]
    Unusable(String),
    /// There are no replicas to ask.
    #[error("{0}")]
    Unavailable(String),
    /// No replica answers.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\nedgectl: "))]
    NoAnswer(Vec<Failure>),
}

impl EdgeError {
    pub(super) fn unusable(why: impl fmt::Display) -> Self {
        Self::Unusable(why.to_string())
    }

    /// The exit code of the program.
    pub(crate) fn exit_code(&self) -> u8 {
        let is_bad_request =
            |failure: &Failure| matches!(failure.error, ApiError::Status { status: StatusCode::BAD_REQUEST, .. });
        match self {
            Self::Unusable(_) => exit::NO_INPUT,
            Self::NoAnswer(failures) if failures.iter().all(is_bad_request) => exit::USAGE,
            Self::Unavailable(_) | Self::NoAnswer(_) => exit::UNAVAILABLE,
        }
    }
}
