//! A call of a gRPC client, with or without TLS.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use e2e::TlsClient;
use http::Request;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const DEADLINE: Duration = Duration::from_secs(10);
/// A message without fields, not compressed.
const EMPTY: [u8; 5] = [0; 5];

/// The `grpc-status` of a call of `grpc.health.v1.Health/Check` on a connection of its own. Without a client, it is one without TLS.
///
/// # Errors
/// When the call gets no answer.
pub(super) fn call(port: u16, client: Option<&TlsClient>) -> Result<String> {
    let called = async {
        let socket = TcpStream::connect(("127.0.0.1", port)).await?;
        let Some(client) = client else { return call_on(socket).await };
        let name = ServerName::try_from("127.0.0.1")?;
        call_on(TlsConnector::from(client.config()).connect(name, socket).await?).await
    };
    Runtime::new()?.block_on(async { timeout(DEADLINE, called).await? })
}

async fn call_on(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Result<String> {
    let (mut client, connection) = h2::client::handshake(stream).await?;
    let connection = tokio::spawn(connection);
    let request = Request::post("http://edge/grpc.health.v1.Health/Check");
    let request = request.header("content-type", "application/grpc").header("te", "trailers").body(())?;
    let (answer, mut message) = client.send_request(request, false)?;
    message.send_data(Bytes::from_static(&EMPTY), true)?;
    let (head, mut body) = answer.await?.into_parts();
    while let Some(data) = body.data().await {
        data?;
    }
    let trailers = body.trailers().await?.unwrap_or(head.headers);
    connection.abort();
    Ok(trailers.get("grpc-status").ok_or("no status")?.to_str()?.to_owned())
}
