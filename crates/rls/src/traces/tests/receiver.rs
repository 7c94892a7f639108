//! A receiver of OTLP on free ports: gRPC and HTTP.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

type Received = Arc<Mutex<Vec<ExportTraceServiceRequest>>>;

pub(super) struct Receiver {
    grpc: SocketAddr,
    http: SocketAddr,
    received: Received,
}

struct Service(Received);

#[tonic::async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.lock().unwrap().push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

async fn export(State(received): State<Received>, body: Bytes) {
    received.lock().unwrap().push(ExportTraceServiceRequest::decode(body).unwrap());
}

impl Receiver {
    pub(super) async fn start() -> anyhow::Result<Self> {
        let received = Received::default();
        let (of_grpc, of_http) = (TcpListener::bind("127.0.0.1:0").await?, TcpListener::bind("127.0.0.1:0").await?);
        let (grpc, http) = (of_grpc.local_addr()?, of_http.local_addr()?);
        let service = TraceServiceServer::new(Service(Arc::clone(&received)));
        tokio::spawn(Server::builder().add_service(service).serve_with_incoming(TcpIncoming::from(of_grpc)));
        let routes = Router::new().route("/v1/traces", post(export)).with_state(Arc::clone(&received));
        tokio::spawn(async move { axum::serve(of_http, routes).await });
        Ok(Self { grpc, http, received })
    }

    /// Its endpoint for this value of `OTEL_EXPORTER_OTLP_PROTOCOL`.
    pub(super) fn endpoint(&self, protocol: &str) -> String {
        format!("http://{}", if protocol == "grpc" { self.grpc } else { self.http })
    }

    pub(super) fn spans(&self) -> Vec<Span> {
        let received = self.received.lock().unwrap();
        let scopes = received.iter().flat_map(|request| &request.resource_spans).flat_map(|spans| &spans.scope_spans);
        scopes.flat_map(|spans| spans.spans.clone()).collect()
    }

    /// The name of the service that the spans are from.
    pub(super) fn service(&self) -> Option<String> {
        let received = self.received.lock().unwrap();
        let resource = received.first()?.resource_spans.first()?.resource.as_ref()?;
        let name = resource.attributes.iter().find(|attribute| attribute.key == "service.name")?;
        match name.value.as_ref()?.value.as_ref()? {
            Value::StringValue(name) => Some(name.clone()),
            _ => None,
        }
    }
}
