//! A push endpoint on a free port that answers as a test wants and remembers every push it could read.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderValue, Method, Uri};
use axum::response::Response;
use axum::serve::{Listener, ListenerExt};
use limits::TenantLimits;
use remote_write::{BodyLimits, ContentType, Protocol, PushCounts, Scratch, Validation, content_type, read_push};
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// One request that came in.
#[derive(Debug, Clone)]
pub(crate) struct Push {
    pub(crate) at: Instant,
    pub(crate) method: Method,
    pub(crate) target: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) protocol: Protocol,
    pub(crate) counts: PushCounts,
}

impl Push {
    /// All values of a header, in order.
    pub(crate) fn header(&self, name: &str) -> Vec<&str> {
        self.headers.get_all(name).iter().map(|value| value.to_str().expect("ASCII")).collect()
    }
}

type Answer = Box<dyn Fn(usize, &Push) -> Response + Send + Sync>;

struct Shared {
    answer: Answer,
    pushes: Mutex<Vec<Push>>,
    arrived: Notify,
    connections: Arc<AtomicUsize>,
}

/// A running endpoint; it ends with the test's runtime.
pub(crate) struct Server {
    pub(crate) url: String,
    shared: Arc<Shared>,
}

impl Server {
    /// Starts an endpoint whose `answer` gets the number of the push, from 0, and the push.
    pub(crate) async fn start(answer: impl Fn(usize, &Push) -> Response + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        Self::serve("http", listener, answer)
    }

    /// Starts an endpoint on what `listener` accepts.
    pub(crate) fn serve<L: Listener<Addr = SocketAddr>>(
        scheme: &str,
        listener: L,
        answer: impl Fn(usize, &Push) -> Response + Send + Sync + 'static,
    ) -> Self {
        let url = format!("{scheme}://{}/api/v1/push", listener.local_addr().expect("an address"));
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&connections);
        let listener = listener.tap_io(move |_| _ = counter.fetch_add(1, Ordering::SeqCst));
        let shared = Arc::new(Shared {
            answer: Box::new(answer),
            pushes: Mutex::default(),
            arrived: Notify::new(),
            connections,
        });
        let router = Router::new().fallback(receive).layer(DefaultBodyLimit::disable()).with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, shared }
    }

    pub(crate) fn pushes(&self) -> Vec<Push> {
        self.shared.pushes.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Waits until at least one push has come.
    pub(crate) async fn first_push(&self) {
        self.shared.arrived.notified().await;
    }
}

async fn receive(
    State(shared): State<Arc<Shared>>,
    method: Method,
    target: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let push = read(method, target, headers, &body);
    let mut pushes = shared.pushes.lock().unwrap();
    let response = (shared.answer)(pushes.len(), &push);
    pushes.push(push);
    shared.arrived.notify_one();
    response
}

fn read(method: Method, target: Uri, headers: HeaderMap, body: &[u8]) -> Push {
    let ContentType::Known(protocol) = content_type(headers.get("content-type").map(HeaderValue::as_bytes)) else {
        panic!("a content type that names no protocol: {headers:?}");
    };
    let limits = BodyLimits { max_decoded_bytes: 1 << 24 };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970").as_millis() as i64;
    let validation = Validation::new(&TenantLimits::default());
    let counts = read_push(protocol, body, limits, &validation, now, &mut Scratch::default()).expect("a readable push");
    Push { at: Instant::now(), method, target, headers, protocol, counts }
}
