//! A client of Envoy's rate limit service that is cheap enough to load it: encoded calls on one HTTP/2 connection.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use e2e::Process;
use h2::client::SendRequest;
use http::Request;
use prost::Message;
use proto::envoy::extensions::common::ratelimit::v3::RateLimitDescriptor;
use proto::envoy::extensions::common::ratelimit::v3::rate_limit_descriptor::Entry;
use proto::envoy::service::ratelimit::v3::rate_limit_response::Code;
use proto::envoy::service::ratelimit::v3::{RateLimitRequest, RateLimitResponse};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;

/// In turn; the median counts, and the first one warms up.
const ROUNDS: usize = 3;
const ROUND: Duration = Duration::from_millis(1_500);
/// The flag and the length before a gRPC message.
const PREFIX_BYTES: usize = 5;

/// A connection to a rate limit service on loopback.
pub(crate) struct Caller {
    runtime: Runtime,
    connection: SendRequest<Bytes>,
    uri: String,
}

/// What calls without a pause cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallCost<const N: usize> {
    pub(crate) per_second: f64,
    /// The CPU time of each program for a call, in µs.
    pub(crate) micros: [f64; N],
}

/// A call with one hit of one descriptor, as it is sent.
pub(crate) fn call_of(domain: &str, key: &str, value: &str) -> Bytes {
    let entry = Entry { key: key.to_owned(), value: value.to_owned().into_bytes().into() };
    let descriptor = RateLimitDescriptor { entries: vec![entry], ..RateLimitDescriptor::default() };
    let request = RateLimitRequest { domain: domain.to_owned(), descriptors: vec![descriptor], hits_addend: 1 };
    let mut bytes = BytesMut::new();
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(request.encoded_len()).unwrap_or(u32::MAX));
    bytes.extend_from_slice(&request.encode_to_vec());
    bytes.freeze()
}

impl Caller {
    pub(crate) fn connect(port: u16) -> Self {
        let runtime =
            Builder::new_current_thread().enable_all().build().unwrap_or_else(|error| unreachable!("{error}"));
        let connection = runtime.block_on(async {
            let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap_or_else(|error| unreachable!("{error}"));
            stream.set_nodelay(true).unwrap_or_else(|error| unreachable!("{error}"));
            let (client, connection) =
                h2::client::handshake(stream).await.unwrap_or_else(|error| unreachable!("{error}"));
            tokio::spawn(connection);
            client
        });
        let uri = format!("http://127.0.0.1:{port}/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit");
        Self { runtime, connection, uri }
    }

    /// What the calls cost these programs, with so many in flight: the median of some rounds.
    pub(crate) fn measure<const N: usize>(
        &self,
        programs: [&Process; N],
        calls: &[Bytes],
        in_flight: usize,
    ) -> Option<CallCost<N>> {
        let mut rounds: Vec<_> = (0..=ROUNDS).map(|_| self.round(programs, calls, in_flight)).skip(1).collect();
        rounds.sort_by(|one, other| one.micros.iter().sum::<f64>().total_cmp(&other.micros.iter().sum()));
        rounds.get(ROUNDS / 2).copied()
    }

    /// Makes the calls in random order for a while.
    fn round<const N: usize>(&self, programs: [&Process; N], calls: &[Bytes], in_flight: usize) -> CallCost<N> {
        let (before, started) = (programs.map(Process::cpu_time), Instant::now());
        let made = self.runtime.block_on(LocalSet::new().run_until(async {
            let made = Rc::new(Cell::new(0_u32));
            let callers: Vec<_> = (0..in_flight)
                .map(|number| {
                    let (made, connection, uri) = (Rc::clone(&made), self.connection.clone(), self.uri.clone());
                    let calls = calls.to_vec();
                    tokio::task::spawn_local(async move {
                        let mut random = number as u64;
                        while started.elapsed() < ROUND {
                            // Knuth's MMIX generator; its high bits are the good ones.
                            random =
                                random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                            let call = calls.get((random >> 33) as usize % calls.len()).cloned().unwrap_or_default();
                            call_once(&connection, &uri, call).await;
                            made.set(made.get() + 1);
                        }
                    })
                })
                .collect();
            for caller in callers {
                caller.await.unwrap_or_else(|error| unreachable!("{error}"));
            }
            made.get()
        }));
        let per_second = f64::from(made) / started.elapsed().as_secs_f64();
        let mut micros = programs.map(|program| program.cpu_time().as_secs_f64() * 1e6);
        for (micros, before) in micros.iter_mut().zip(before) {
            *micros = (*micros - before.as_secs_f64() * 1e6) / f64::from(made);
        }
        CallCost { per_second, micros }
    }
}

/// Makes one call, which nothing is to limit.
async fn call_once(connection: &SendRequest<Bytes>, uri: &str, call: Bytes) {
    let request = Request::post(uri).header("content-type", "application/grpc").header("te", "trailers").body(());
    let request = request.unwrap_or_else(|error| unreachable!("{error}"));
    let mut connection = connection.clone().ready().await.unwrap_or_else(|error| unreachable!("{error}"));
    let (response, mut body) = connection.send_request(request, false).unwrap_or_else(|error| unreachable!("{error}"));
    body.send_data(call, true).unwrap_or_else(|error| unreachable!("{error}"));
    let mut body = response.await.unwrap_or_else(|error| unreachable!("{error}")).into_body();
    let mut message = BytesMut::new();
    while let Some(data) = body.data().await {
        let data = data.unwrap_or_else(|error| unreachable!("{error}"));
        drop(body.flow_control().release_capacity(data.len()));
        message.extend_from_slice(&data);
    }
    let trailers = body.trailers().await.ok().flatten().unwrap_or_default();
    assert_eq!(trailers.get("grpc-status").map(http::HeaderValue::as_bytes), Some(b"0".as_slice()), "{trailers:?}");
    let response = RateLimitResponse::decode(message.get(PREFIX_BYTES..).unwrap_or_default());
    assert_eq!(response.map(|response| response.overall_code()), Ok(Code::Ok));
}
