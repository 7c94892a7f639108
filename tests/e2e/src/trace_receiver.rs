//! A receiver of traces, by OTLP over gRPC, in place of a collector.

use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

type Received = Arc<Mutex<Vec<Request<ExportTraceServiceRequest>>>>;

/// Takes spans until it is dropped.
#[derive(Debug)]
pub struct TraceReceiver {
    port: u16,
    received: Received,
    _runtime: Runtime,
}

struct Service(Received);

#[tonic::async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.lock().expect("no test panics here").push(request);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl TraceReceiver {
    /// Starts it on a free port.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start() -> Self {
        let (runtime, received) = (Runtime::new().expect("a runtime starts"), Received::default());
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).expect("a port is free");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let service = TraceServiceServer::new(Service(Arc::clone(&received)));
        runtime.spawn(Server::builder().add_service(service).serve_with_incoming(TcpIncoming::from(listener)));
        Self { port, received, _runtime: runtime }
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The spans that it has, in the order in which they came.
    ///
    /// # Panics
    /// When a call to it panicked.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        let received = self.received.lock().expect("no test panics here");
        let scopes =
            received.iter().flat_map(|request| &request.get_ref().resource_spans).flat_map(|spans| &spans.scope_spans);
        scopes.flat_map(|spans| spans.spans.clone()).collect()
    }

    /// The values of a header, one for each call.
    ///
    /// # Panics
    /// When a call to it panicked.
    #[must_use]
    pub fn header(&self, name: &str) -> Vec<Option<String>> {
        let received = self.received.lock().expect("no test panics here");
        let value = |request: &Request<_>| Some(request.metadata().get(name)?.to_str().ok()?.to_owned());
        received.iter().map(value).collect()
    }
}
