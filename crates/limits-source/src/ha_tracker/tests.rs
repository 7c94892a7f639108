//! Against a server in this process.

use std::net::SocketAddr;
use std::sync::Mutex;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use rcgen::CertifiedKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use tokio_util::sync::CancellationToken;

use super::*;

/// How long a test waits for something that takes milliseconds when it works.
const DEADLINE: Duration = Duration::from_secs(20);
const QUICK: PollSettings = PollSettings {
    interval: Duration::from_millis(20),
    first_retry: Duration::from_millis(5),
    timeout: Duration::from_secs(10),
};
const TWO: &str = r#"{"elected":[
    {"userID":"t","cluster":"c","replica":"a","lastElectionTime":"1970-01-01T00:00:00Z","electedLastSeenTime":"1970-01-01T00:00:01Z"},
    {"userID":"t","cluster":"d","replica":"b","lastElectionTime":"1970-01-01T00:00:02Z","electedLastSeenTime":"1970-01-01T00:00:03Z"}]}"#;

type Answer = fn() -> Response;

/// A Mimir of the test's making.
struct Tracker {
    address: SocketAddr,
    seen: Arc<Seen>,
    serving: JoinHandle<()>,
}

struct Seen {
    answer: Mutex<Answer>,
    /// Path, Accept header, peer and time of each request.
    requests: Mutex<Vec<(String, String, SocketAddr, i64)>>,
}

impl Tracker {
    async fn start(answer: Answer) -> Self {
        Self::start_at("127.0.0.1:0", answer).await
    }

    async fn start_at(address: &str, answer: Answer) -> Self {
        let seen = Arc::new(Seen { answer: Mutex::new(answer), requests: Mutex::default() });
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Router::new().fallback(respond).with_state(Arc::clone(&seen));
        let service = routes.into_make_service_with_connect_info::<SocketAddr>();
        let serving = tokio::spawn(async move { drop(axum::serve(listener, service).await) });
        Self { address, seen, serving }
    }

    fn answers(&self, answer: Answer) {
        *self.seen.answer.lock().unwrap() = answer;
    }

    fn url(&self) -> MimirUrl {
        MimirUrl::of_ha_tracker(&format!("http://{}", self.address)).unwrap()
    }

    fn client(&self, timeout: Duration) -> Client {
        Client::new(self.url(), timeout).unwrap()
    }
}

async fn respond(
    State(seen): State<Arc<Seen>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let accept = request.headers().get(header::ACCEPT).map(|value| value.to_str().unwrap().to_owned());
    let request = (request.uri().path().to_owned(), accept.unwrap_or_default(), peer, now());
    seen.requests.lock().unwrap().push(request);
    let answer = *seen.answer.lock().unwrap();
    answer()
}

fn now() -> i64 {
    millis_since_1970(SystemTime::now())
}

fn two() -> Response {
    TWO.into_response()
}

/// A feed that ends with the test.
struct Followed {
    feed: HaTrackerFeed,
    stop: CancellationToken,
}

impl Followed {
    fn start(url: MimirUrl) -> Self {
        let stop = CancellationToken::new();
        let source = Poller::new(Client::new(url, QUICK.timeout).unwrap(), QUICK);
        Self { feed: source.start(&Tasks::new(stop.clone())), stop }
    }

    /// The next state with a list.
    async fn next(&mut self) -> HaTrackerState {
        timeout(DEADLINE, self.feed.states.changed()).await.expect("a state in time").expect("a source");
        self.feed.states.borrow_and_update().clone()
    }

    /// Waits for so many more failures.
    async fn fails(&self, times: u64) {
        let goal = self.feed.polls.failed.get() + times;
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        let failed = async {
            while self.feed.polls.failed.get() < goal {
                ticks.tick().await;
            }
        };
        timeout(DEADLINE, failed).await.expect("failures in time");
    }

    fn replicas(&self) -> Vec<String> {
        let state = self.feed.states.borrow();
        state.elected.iter().flat_map(|elected| elected.iter()).map(|elected| elected.replica.to_string()).collect()
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[tokio::test]
async fn each_good_answer_is_a_new_state_on_one_connection() {
    let tracker = Tracker::start(two).await;
    let mut followed = Followed::start(tracker.url());
    let mut states = Vec::new();
    for _ in 0..4 {
        states.push(followed.next().await);
    }
    assert_eq!(followed.replicas(), ["a", "b"]);
    let requests = tracker.seen.requests.lock().unwrap().clone();
    for (state, (path, accept, peer, received_at)) in states.iter().zip(&requests) {
        assert_eq!((path.as_str(), accept.as_str()), ("/distributor/ha_tracker", "application/json"));
        assert!(state.requested_at_unix_millis <= *received_at, "the time of the request is that before it was sent");
        assert_eq!(*peer, requests[0].2, "the connection is kept");
    }
    assert!(
        states.windows(2).all(|pair| pair[0].requested_at_unix_millis < pair[1].requested_at_unix_millis),
        "{states:?}"
    );
    assert!(followed.feed.polls.answered.get() >= 4 && followed.feed.polls.failed.get() == 0);
}

#[tokio::test]
async fn an_answer_that_is_no_list_keeps_the_last_one() {
    let tracker = Tracker::start(two).await;
    let mut followed = Followed::start(tracker.url());
    let bad: [Answer; 6] = [
        || StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        || StatusCode::NOT_FOUND.into_response(),
        || (StatusCode::ACCEPTED, TWO).into_response(),
        || "<!DOCTYPE html>".into_response(),
        || r#"{"elected":[{"#.into_response(),
        || Body::empty().into_response(),
    ];
    for answer in bad {
        followed.next().await;
        tracker.answers(answer);
        followed.fails(3).await;
        assert_eq!(followed.replicas(), ["a", "b"]);
        tracker.answers(two);
        followed.feed.states.mark_unchanged();
    }
    followed.next().await;
    tracker.answers(|| r#"{"elected":null}"#.into_response());
    let emptied = async { while followed.next().await.elected.is_some_and(|elected| !elected.is_empty()) {} };
    timeout(DEADLINE, emptied).await.expect("an empty list is an answer");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let tracker = Tracker::start(|| (StatusCode::FOUND, [(header::LOCATION, "/other")], TWO).into_response()).await;
    let error = tracker.client(DEADLINE).get().await.unwrap_err();
    assert!(matches!(error, PollError::Web(WebError::Redirect(StatusCode::FOUND))), "{error}");
    let paths: Vec<_> = tracker.seen.requests.lock().unwrap().iter().map(|request| request.0.clone()).collect();
    assert_eq!(paths, ["/distributor/ha_tracker"]);
}

/// A server that answers `begin` to the first request of a connection, and then `more` for as long as it is taken, or nothing at all.
async fn raw_server(begin: &'static str, more: Option<&'static [u8]>) -> MimirUrl {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = MimirUrl::of_ha_tracker(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await?;
        let _request = stream.read(&mut [0; 4096]).await?;
        stream.write_all(begin.as_bytes()).await?;
        match more {
            Some(more) => loop {
                stream.write_all(more).await?;
            },
            None => std::future::pending::<std::io::Result<()>>().await,
        }
    });
    url
}

#[tokio::test]
async fn an_answer_without_an_end_is_left_at_its_bound() {
    for begin in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n"] {
        let url = raw_server(begin, Some(&[b' '; 1 << 16])).await;
        let error = Client::new(url, DEADLINE).unwrap().get().await.unwrap_err();
        assert!(matches!(error, PollError::Web(WebError::TooLarge(_))), "{error}");
    }
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_given_up() {
    for begin in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{\"elected\":["] {
        let url = raw_server(begin, None).await;
        let error = Client::new(url, Duration::from_millis(50)).unwrap().get().await.unwrap_err();
        assert!(matches!(error, PollError::Web(WebError::Slow(_))), "{begin}: {error}");
    }
}

#[tokio::test]
async fn over_https_only_a_trusted_certificate_is_accepted() {
    let CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(vec![cert.der().clone()], key))
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = MimirUrl::of_ha_tracker(&format!("https://{}", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await?;
            // A client that does not trust the certificate ends the handshake; the next one may come.
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let _request = stream.read(&mut [0; 4096]).await?;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"elected\":[]}\n").await?;
            stream.shutdown().await?;
        }
        #[expect(unreachable_code, reason = "it says what the errors are")]
        Ok::<(), std::io::Error>(())
    });
    let mut roots = RootCertStore::empty();
    let distrusting = Client::with_tls(url.clone(), DEADLINE, web::tls_config(roots.clone()).unwrap());
    let error = distrusting.get().await.unwrap_err().to_string();
    assert!(error.contains("invalid peer certificate: UnknownIssuer"), "{error}");
    roots.add(cert.der().clone()).unwrap();
    let trusting = Client::with_tls(url, DEADLINE, web::tls_config(roots).unwrap());
    assert_eq!(trusting.get().await.unwrap().len(), 15);
}

#[tokio::test]
async fn an_unreachable_tracker_is_polled_until_it_is_back() {
    // Or the connection would outlive the listener.
    let tracker = Tracker::start(|| ([(header::CONNECTION, "close")], TWO).into_response()).await;
    let mut followed = Followed::start(tracker.url());
    followed.next().await;
    tracker.serving.abort();
    followed.fails(3).await;
    assert_eq!(followed.replicas(), ["a", "b"], "what it said last holds");
    followed.feed.states.mark_unchanged();
    let back = Tracker::start_at(&tracker.address.to_string(), || r#"{"elected":[]}"#.into_response()).await;
    followed.next().await;
    assert!(followed.replicas().is_empty());
    assert_eq!(back.address, tracker.address);
}

#[tokio::test]
async fn nothing_waits_for_a_tracker_that_was_never_there() {
    let mut followed = Followed::start(MimirUrl::of_ha_tracker("http://127.0.0.1:1").unwrap());
    followed.fails(3).await;
    assert!(followed.feed.states.borrow().elected.is_none());
    followed.stop.cancel();
    let ended = timeout(DEADLINE, followed.feed.states.changed()).await.expect("an end");
    assert!(ended.is_err(), "the source stops when it is cancelled");
}
