//! A server that sends garbage on the port of overrides-sync.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use e2e::until;
use h2::server::{SendResponse, handshake};
use h2::{Reason, SendStream};
use http::Response;
use prost::Message;
use proto::edge::limits::v1::watch_response::Update;
use proto::edge::limits::v1::{Heartbeat, LimitsPart, TenantLimits, Version, WatchResponse};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use super::case::{Case, Costs, is_long};

/// What the server sends, another kind on each connection in turn.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// A change that removes all limits, with a wrong checksum.
    WrongSum,
    /// Bytes that are no message.
    NoMessage,
    /// Bytes that are not HTTP/2.
    NoHttp2,
    /// An answer of HTTP/1.
    Http1,
    /// A message that claims a gigabyte.
    Claim,
    /// Parts of a change without a last one.
    EndlessChange,
}

const KINDS: [Kind; 6] =
    [Kind::WrongSum, Kind::NoMessage, Kind::NoHttp2, Kind::Http1, Kind::Claim, Kind::EndlessChange];
/// How many kinds the short form has time for.
const SHORT: usize = 3;
/// The most that it may cost: parts of a change are kept up to 64 MiB.
const MAX_MEMORY: u64 = 160 << 20;

/// Garbage removes no limit, and mimir-rls leaves it as soon as overrides-sync is back.
pub(crate) const FEED: Case = Case {
    name: "feed-of-garbage",
    costs: Costs::Nothing,
    normal_within: Duration::from_secs(1),
    fault: |stack| {
        let held = stack.probe_in_force();
        let rss = stack.edge.rls.process.rss();
        let sync = &mut stack.control().sync;
        let port = sync.grpc_port();
        sync.process.kill();
        let garbage = Garbage::listen(port);
        let kinds = if is_long() { KINDS.len() } else { SHORT };
        until("each kind of garbage was served", || garbage.served.load(Ordering::Relaxed) > kinds);
        drop(garbage);
        assert_eq!(stack.probe_in_force(), held, "garbage changed a limit");
        let grown = stack.edge.rls.process.peak_rss().saturating_sub(rss);
        eprintln!("garbage of {kinds} kinds made mimir-rls grow by at most {} MiB", grown >> 20);
        assert!(grown < MAX_MEMORY, "{grown} bytes");
        stack.control().sync.restart();
    },
    changes_a_limit: true,
};

/// The server. It runs until it is dropped.
struct Garbage {
    runtime: Option<Runtime>,
    served: Arc<AtomicUsize>,
}

impl Garbage {
    fn listen(port: u16) -> Self {
        let runtime = Runtime::new().expect("a runtime can be started");
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", port))).expect("the port is free");
        let served = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&served);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let turn = count.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(stream, *KINDS.get(turn % KINDS.len()).expect("there is one")));
            }
        });
        Self { runtime: Some(runtime), served }
    }
}

impl Drop for Garbage {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn serve(mut stream: TcpStream, kind: Kind) -> io::Result<()> {
    match kind {
        Kind::NoHttp2 => stream.write_all(&[0x5a; 4096]).await,
        Kind::Http1 => stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await,
        Kind::WrongSum | Kind::NoMessage | Kind::Claim | Kind::EndlessChange => {
            let mut connection = handshake(stream).await.map_err(io::Error::other)?;
            while let Some(call) = connection.accept().await {
                let (_, answer) = call.map_err(io::Error::other)?;
                tokio::spawn(say(answer, kind));
            }
            Ok(())
        }
    }
}

async fn say(mut answer: SendResponse<Bytes>, kind: Kind) -> Result<(), h2::Error> {
    let head = Response::builder().header("content-type", "application/grpc").body(()).expect("a legal answer");
    let mut stream = answer.send_response(head, false)?;
    match kind {
        Kind::NoMessage => send(&mut stream, framed(&[0xff; 300])).await,
        Kind::Claim => {
            send(&mut stream, Bytes::from_static(b"\0\x40\0\0\0")).await?;
            send(&mut stream, Bytes::from(vec![0; 1 << 16])).await
        }
        Kind::EndlessChange => loop {
            let fields = format!("{{drop_labels: [\"{}\"]}}", "x".repeat(1 << 20));
            send(&mut stream, framed(&part(false, &fields).encode_to_vec())).await?;
        },
        _ => {
            let heartbeat = Update::Heartbeat(Heartbeat { stale_millis: 0, distributors: 1, has_ha_tracker: false });
            send(&mut stream, framed(&WatchResponse { update: Some(heartbeat) }.encode_to_vec())).await?;
            send(&mut stream, framed(&part(true, "{ingestion_rate: 1}").encode_to_vec())).await
        }
    }
}

/// Complete limits of another tenant only: those of all tenants in force would be gone.
fn part(last: bool, fields: &str) -> WatchResponse {
    let version = Version { epoch: 1, sequence: 1, content_sum: 1, ..Version::default() };
    let put = vec![TenantLimits { tenant: "another".to_owned(), mode: 0, fields: fields.to_owned() }];
    let part = LimitsPart { version: Some(version), complete: true, last, put, removed: Vec::new() };
    WatchResponse { update: Some(Update::Limits(part)) }
}

fn framed(message: &[u8]) -> Bytes {
    let mut framed = BytesMut::new();
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).expect("a small message"));
    framed.put_slice(message);
    framed.freeze()
}

/// Sends as the client makes room.
async fn send(stream: &mut SendStream<Bytes>, mut data: Bytes) -> Result<(), h2::Error> {
    while !data.is_empty() {
        stream.reserve_capacity(data.len());
        let room = poll_fn(|context| stream.poll_capacity(context)).await;
        // No room is a stream that the client has ended.
        let room = room.unwrap_or_else(|| Err(Reason::CANCEL.into()))?;
        stream.send_data(data.split_to(room.min(data.len())), false)?;
    }
    Ok(())
}
