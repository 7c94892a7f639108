//! An HTTP/2 relay between Envoy and mimir-rls. It counts calls, and loses answers.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use h2::client::SendRequest;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

/// A relay to a port of loopback. It runs until it is dropped.
pub(crate) struct Relay {
    port: u16,
    calls: Arc<Calls>,
    runtime: Option<Runtime>,
}

/// The calls by their path.
#[derive(Default)]
struct Calls {
    arrived: Mutex<HashMap<String, usize>>,
    /// How many answers are to be lost.
    to_lose: Mutex<HashMap<String, usize>>,
}

impl Relay {
    pub(crate) fn start(to: u16) -> Self {
        let runtime = Runtime::new().expect("a runtime can be started");
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).expect("there is a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let calls = Arc::<Calls>::default();
        let relayed = Arc::clone(&calls);
        runtime.spawn(async move {
            while let Ok((envoy, _)) = listener.accept().await {
                tokio::spawn(relay(envoy, to, Arc::clone(&relayed)));
            }
        });
        Self { port, calls, runtime: Some(runtime) }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Passes the next calls of this path on, and resets them in place of their answers.
    pub(crate) fn lose_answers(&self, path: &str, count: usize) {
        Calls::of(&self.calls.to_lose).insert(path.to_owned(), count);
    }

    /// How many calls of this path have arrived.
    pub(crate) fn arrived(&self, path: &str) -> usize {
        Calls::of(&self.calls.arrived).get(path).copied().unwrap_or_default()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Calls {
    fn of(counts: &Mutex<HashMap<String, usize>>) -> MutexGuard<'_, HashMap<String, usize>> {
        counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn arrives(&self, path: &str) {
        *Self::of(&self.arrived).entry(path.to_owned()).or_default() += 1;
    }

    fn is_answer_lost(&self, path: &str) -> bool {
        let mut to_lose = Self::of(&self.to_lose);
        let Some(left) = to_lose.get_mut(path).filter(|left| **left > 0) else { return false };
        *left -= 1;
        true
    }
}

/// Passes the calls of a connection on to one of its own.
async fn relay(envoy: TcpStream, to: u16, calls: Arc<Calls>) -> io::Result<()> {
    let rls = TcpStream::connect(("127.0.0.1", to)).await?;
    let (sender, connection) = h2::client::handshake(rls).await.map_err(io::Error::other)?;
    tokio::spawn(connection);
    let mut envoy = h2::server::handshake(envoy).await.map_err(io::Error::other)?;
    while let Some(call) = envoy.accept().await {
        let (request, answer) = call.map_err(io::Error::other)?;
        tokio::spawn(pass(request, answer, sender.clone(), Arc::clone(&calls)));
    }
    Ok(())
}

async fn pass(
    request: Request<RecvStream>,
    mut answer: SendResponse<Bytes>,
    sender: SendRequest<Bytes>,
    calls: Arc<Calls>,
) -> Result<(), h2::Error> {
    let (head, mut body) = request.into_parts();
    let path = head.uri.path().to_owned();
    calls.arrives(&path);
    let message = read(&mut body).await?;
    let (response, mut sent) = sender.ready().await?.send_request(Request::from_parts(head, ()), false)?;
    sent.send_data(message, true)?;

    let (head, mut body) = response.await?.into_parts();
    let message = read(&mut body).await?;
    let trailers = body.trailers().await?;
    if calls.is_answer_lost(&path) {
        answer.send_reset(Reason::INTERNAL_ERROR);
        return Ok(());
    }
    let is_only_head = message.is_empty() && trailers.is_none();
    let mut sent = answer.send_response(Response::from_parts(head, ()), is_only_head)?;
    if !is_only_head {
        sent.send_data(message, trailers.is_none())?;
    }
    trailers.map_or(Ok(()), |trailers| sent.send_trailers(trailers))
}

async fn read(body: &mut RecvStream) -> Result<Bytes, h2::Error> {
    let mut whole = BytesMut::new();
    while let Some(part) = body.data().await {
        let part = part?;
        body.flow_control().release_capacity(part.len())?;
        whole.extend_from_slice(&part);
    }
    Ok(whole.freeze())
}
