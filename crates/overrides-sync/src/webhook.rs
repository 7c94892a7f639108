//! The admission webhook: Kubernetes asks it before it takes a change of the ConfigMap, so that whoever makes the change hears what is wrong with it.
//!
//! It helps, and is in nobody's way: what it cannot judge it lets through, with a warning. What a question may cost is bounded before it is read.

mod admission;
mod counts;
mod review;
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::body::{Body, Bytes, HttpBody, to_bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::post;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use limits::{Defaults, MimirVersion};
use limits_source::ConfigMapSpec;
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use admission::Kindness;
pub(crate) use counts::WebhookCounts;
use review::Rules;
use tls::Tls;
pub(crate) use tls::TlsFiles;

/// Connections at once. Each is an API server's.
const MOST_CONNECTIONS: usize = 64;
/// How long the handshake may take.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(2);
/// How long a connection may take to send a request's head, the pause before it included.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// The largest head of a request, in bytes.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// The largest question: Kubernetes holds 1 MiB in a ConfigMap, a question has the old one and the new one, and in JSON each can be longer.
const MAX_BODY_BYTES: usize = 8 * 1024 * 1024;
/// Questions at once, from their first byte on; as many times [`MAX_BODY_BYTES`] is what they may hold.
const MOST_QUESTIONS: usize = 8;
/// What a question may wait for its turn, and what it may take to arrive. Kubernetes waits for 2 s in all.
const ARRIVED_WITHIN: Duration = Duration::from_secs(1);
/// What the judgement may take.
const JUDGED_WITHIN: Duration = Duration::from_millis(1_500);
/// When the process is out of file descriptors, the next attempt fails as well.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// What the webhook judges, and by what.
#[derive(Clone, Debug)]
pub(crate) struct WebhookSettings {
    /// The only ConfigMap that it says anything about, and which of its keys are read; with a label, every ConfigMap that has it.
    pub(crate) configmap: ConfigMapSpec,
    /// Laid under every entry.
    pub(crate) defaults: Defaults,
    /// Which Mimir it is.
    pub(crate) version: MimirVersion,
    /// Whether a document without tenants is taken at its word.
    pub(crate) allow_empty: bool,
}

/// A webhook that is bound but does not serve yet.
pub(crate) struct Webhook {
    listener: TcpListener,
    address: SocketAddr,
    tls: Tls,
    desk: Arc<Desk>,
}

/// Where questions are answered.
struct Desk {
    rules: Rules,
    places: Arc<Semaphore>,
    counts: Arc<WebhookCounts>,
}

impl Webhook {
    /// Binds `address`, where port 0 takes a free port, and reads the certificate.
    ///
    /// # Errors
    /// The address cannot be bound, or the certificate or its key cannot be used.
    pub(crate) async fn bind(
        address: SocketAddr,
        files: TlsFiles,
        settings: WebhookSettings,
        counts: Arc<WebhookCounts>,
    ) -> anyhow::Result<Self> {
        let tls = Tls::load(files).context("--webhook-tls-cert and --webhook-tls-key")?;
        let listener =
            TcpListener::bind(address).await.with_context(|| format!("cannot listen for the webhook on {address}"))?;
        let address = listener.local_addr()?;
        let WebhookSettings { configmap, defaults, version, allow_empty } = settings;
        let (rules, places) =
            (Rules { configmap, defaults, version, allow_empty }, Arc::new(Semaphore::new(MOST_QUESTIONS)));
        Ok(Self { listener, address, tls, desk: Arc::new(Desk { rules, places, counts }) })
    }

    /// The address that is bound, with the port that was taken.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop` is cancelled, and then the questions that have begun. Follows the certificate's files meanwhile.
    pub(crate) async fn serve(self, stop: CancellationToken) {
        let mut acceptor = self.tls.acceptor();
        tokio::spawn(self.tls.follow(Arc::clone(&self.desk.counts), stop.clone()));
        let routes = Router::new().route("/validate", post(validate)).with_state(self.desk);
        let (free, open) = (Arc::new(Semaphore::new(MOST_CONNECTIONS)), GracefulShutdown::new());
        let mut protocol = http1::Builder::new();
        protocol.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN).max_buf_size(MAX_HEAD_BYTES);
        while let Some(accepted) = stop.run_until_cancelled(self.listener.accept()).await {
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!("a connection for the webhook cannot be accepted: {error}");
                    sleep(ACCEPT_AGAIN_AFTER).await;
                    continue;
                }
            };
            let Ok(place) = Arc::clone(&free).try_acquire_owned() else { continue };
            let handshake = acceptor.borrow_and_update().accept(stream);
            let (protocol, routes, watcher) = (protocol.clone(), routes.clone(), open.watcher());
            tokio::spawn(async move {
                match timeout(HANDSHAKE_WITHIN, handshake).await {
                    Ok(Ok(stream)) => {
                        let service = TowerToHyperService::new(routes);
                        let connection = watcher.watch(protocol.serve_connection(TokioIo::new(stream), service));
                        if let Err(error) = connection.await {
                            tracing::debug!("a connection of the webhook ended: {error}");
                        }
                    }
                    Ok(Err(error)) => tracing::debug!("a handshake with the webhook failed: {error}"),
                    Err(_) => tracing::debug!("a handshake with the webhook took longer than {HANDSHAKE_WITHIN:?}"),
                }
                drop(place);
            });
        }
        open.shutdown().await;
    }
}

async fn validate(State(desk): State<Arc<Desk>>, body: Body) -> Response {
    match desk.answer(body).await {
        Ok(answer) => Json(answer).into_response(),
        Err((status, error)) => {
            desk.counts.refused();
            tracing::warn!(%status, "a question to the webhook has no answer: {error}");
            (status, error).into_response()
        }
    }
}

impl Desk {
    async fn answer(self: &Arc<Self>, body: Body) -> Result<admission::Answer, (StatusCode, String)> {
        if body.size_hint().lower() > MAX_BODY_BYTES as u64 {
            return Err((StatusCode::PAYLOAD_TOO_LARGE, format!("it has more than {MAX_BODY_BYTES} bytes")));
        }
        let busy = || (StatusCode::SERVICE_UNAVAILABLE, "too many questions at once".to_owned());
        let place = timeout(ARRIVED_WITHIN, Arc::clone(&self.places).acquire_owned()).await;
        let place = place.map_err(|_| busy())?.map_err(|_| busy())?;
        let question = timeout(ARRIVED_WITHIN, to_bytes(body, MAX_BODY_BYTES)).await;
        let question = question
            .map_err(|_| (StatusCode::REQUEST_TIMEOUT, format!("it did not arrive within {ARRIVED_WITHIN:?}")))?
            .map_err(|error| (StatusCode::BAD_REQUEST, format!("it cannot be read: {error}")))?;
        let judged = timeout(JUDGED_WITHIN, tokio::task::spawn_blocking(self.judging(question.clone(), place))).await;
        let why = match judged {
            Ok(Ok(Ok((answer, kindness)))) => {
                self.counts.answered(kindness);
                return Ok(answer);
            }
            Ok(Ok(Err(error))) => return Err((StatusCode::BAD_REQUEST, error)),
            Ok(Err(_)) => "overrides-sync failed".to_owned(),
            Err(_) => format!("it takes longer than {JUDGED_WITHIN:?}"),
        };
        self.counts.answered(Kindness::Unjudged);
        admission::answer_unjudged(&question, &why).map_err(|error| (StatusCode::BAD_REQUEST, error))
    }

    /// The judgement keeps its place until it is made, whether or not it is still waited for.
    fn judging(
        self: &Arc<Self>,
        question: Bytes,
        place: OwnedSemaphorePermit,
    ) -> impl FnOnce() -> Result<(admission::Answer, Kindness), String> + use<> {
        let desk = Arc::clone(self);
        move || {
            let answer = admission::answer(&desk.rules, &question);
            drop(place);
            answer
        }
    }
}

#[cfg(test)]
mod tests;
