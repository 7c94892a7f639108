//! Documents behind URLs, against a server in this process.

use std::fs;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use limits::TenantLimits;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::retry::PollSettings;

/// How long a test waits for something that takes milliseconds when it works.
const DEADLINE: Duration = Duration::from_secs(20);
const QUICK: PollSettings = PollSettings {
    interval: Duration::from_millis(20),
    first_retry: Duration::from_millis(5),
    timeout: Duration::from_secs(10),
};

/// What is answered to a path.
type Answers = Arc<Mutex<Vec<(&'static str, Result<String, StatusCode>)>>>;

struct Server {
    address: SocketAddr,
    answers: Answers,
    serving: JoinHandle<()>,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answers = Answers::default();
        let routes = Router::new().route("/{name}", axum::routing::get(answer)).with_state(Arc::clone(&answers));
        let serving = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { address, answers, serving }
    }

    fn answers(&self, answers: &[(&'static str, Result<&str, StatusCode>)]) {
        let answers = answers.iter().map(|(path, answer)| (*path, answer.map(str::to_owned)));
        *self.answers.lock().unwrap() = answers.collect();
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(State(answers): State<Answers>, Path(name): Path<String>) -> Response {
    let answers = answers.lock().unwrap();
    let answer = answers.iter().find(|(path, _)| *path == name).map(|(_, answer)| answer.clone());
    answer.unwrap_or(Err(StatusCode::NOT_FOUND)).into_response()
}

struct Followed {
    feed: LimitsFeed,
    _stop: tokio_util::sync::DropGuard,
}

impl Followed {
    async fn start(documents: &str) -> Self {
        let state = LimitsState::new(TenantLimits::default(), false);
        let freshness = Freshness::confirmed_ago(Duration::from_secs(3_600));
        let mut source = FileSource::new(documents.parse::<DocumentList>().unwrap(), state, freshness).unwrap();
        if let Some(fetcher) = &mut source.fetcher {
            fetcher.set_polls(QUICK);
        }
        let stop = CancellationToken::new();
        Self { feed: source.start(&Tasks::new(stop.clone())).await, _stop: stop.drop_guard() }
    }

    /// Waits for a state with so many tenants, and problems of which the first says this.
    async fn sees(&mut self, tenants: usize, problem: Option<&str>) {
        let is_wanted = |state: &LoadedLimits| {
            let problems: Vec<_> = state.problems.iter().map(ToString::to_string).collect();
            let says = match problem {
                Some(part) => problems.first().is_some_and(|problem| problem.contains(part)),
                None => problems.is_empty(),
            };
            says && state.limits.as_ref().map_or(0, |limits| limits.len()) == tenants
        };
        let seen = timeout(DEADLINE, self.feed.states.wait_for(is_wanted)).await.is_ok();
        assert!(seen, "{tenants} {problem:?}: {:?}", self.feed.states.borrow());
    }
}

#[tokio::test]
async fn urls_and_files_are_one_set_confirmed_by_each_response() {
    let server = Server::start().await;
    server.answers(&[("a.yaml", Ok("overrides: { a: {} }")), ("b.yaml", Ok("overrides: { b: {} }"))]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.yaml");
    fs::write(&file, "overrides: { c: {} }").unwrap();
    let list = format!("{},{},{}", server.url("a.yaml"), file.display(), server.url("b.yaml"));
    let mut followed = Followed::start(&list).await;
    followed.sees(3, None).await;
    let confirmed = async {
        while followed.feed.freshness.age() > Duration::from_secs(3_000) {
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, confirmed).await.expect("the answers confirm what is in force");
    server.answers(&[("a.yaml", Ok("overrides: { a: {}, d: {} }")), ("b.yaml", Ok("overrides: { b: {}, e: {} }"))]);
    followed.sees(5, None).await;
}

#[tokio::test]
async fn an_error_response_keeps_the_limits_until_the_url_recovers() {
    let server = Server::start().await;
    server.answers(&[("a.yaml", Ok("overrides: { a: {} }"))]);
    let mut followed = Followed::start(&server.url("a.yaml")).await;
    followed.sees(1, None).await;
    server.answers(&[("a.yaml", Err(StatusCode::SERVICE_UNAVAILABLE))]);
    let name = server.url("a.yaml");
    let fault =
        format!("{name}: the URL cannot be read: it answered 503 Service Unavailable; the last good limits stay");
    followed.sees(1, Some(&fault)).await;
    server.answers(&[("a.yaml", Ok("overrides: { a: { ingestion_rate: much } }"))]);
    followed.sees(1, Some(":1: tenant a: field ingestion_rate")).await;
    server.answers(&[("a.yaml", Ok("overrides: { a: {}, b: {} }"))]);
    followed.sees(2, None).await;
}

#[tokio::test]
async fn a_server_that_starts_late_is_polled_until_it_answers() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut followed = Followed::start(&format!("http://{address}/runtime.yaml")).await;
    followed.sees(0, Some("the URL cannot be read: it cannot be reached")).await;
    let answer = || async { "overrides: { a: {} }" };
    let routes = Router::new().route("/runtime.yaml", axum::routing::get(answer));
    let listener = TcpListener::bind(address).await.unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    followed.sees(1, None).await;
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_not_held() {
    let server = Server::start().await;
    let large = "#".repeat((watched::MAX_FILE_BYTES + 1).try_into().unwrap());
    server.answers(&[("a.yaml", Ok(&large))]);
    let mut followed = Followed::start(&server.url("a.yaml")).await;
    followed.sees(0, Some("the URL cannot be read: its response has more than 16777216 bytes")).await;
}
