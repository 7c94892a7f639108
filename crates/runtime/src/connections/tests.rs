use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use prometheus::IntGauge;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::testing::{Authority, Pem, SERVER_NAME, TlsClient};
use crate::{ListenAddress, Protocol, Tls, TlsFiles, TlsMetrics};

const DEADLINE: Duration = Duration::from_secs(20);
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const BOUNDS: ConnectionBounds = ConnectionBounds {
    connections: 2,
    handshake_within: Duration::from_secs(10),
    first_bytes: PREFACE.len(),
    first_bytes_within: Duration::from_secs(10),
    unread: None,
};

async fn listening(bounds: ConnectionBounds, tls: Option<&Tls>) -> anyhow::Result<(Connections, SocketAddr)> {
    let listener = Listener::bind("tests", &ListenAddress::Tcp(([127, 0, 0, 1], 0).into())).await?;
    let address = listener.address().tcp().unwrap();
    let counts = ConnectionCounts::new(&Registry::new(), "closed")?;
    Ok((Connections::new(listener, tls.map(Tls::acceptor), bounds, counts), address))
}

fn counts(connections: &Connections) -> [u64; 4] {
    let ConnectionCounts { rejected, gave_way, silent, handshake, .. } = &connections.counts;
    [rejected, gave_way, silent, handshake].map(IntCounter::get)
}

/// A connection of a peer that sends the preface, read by the server.
async fn opened(connections: &mut Connections, address: SocketAddr) -> anyhow::Result<(TcpStream, Connection)> {
    let mut peer = TcpStream::connect(address).await?;
    peer.write_all(PREFACE).await?;
    let mut connection = connections.next().await;
    connection.read_exact(&mut [0; PREFACE.len()]).await?;
    Ok((peer, connection))
}

#[tokio::test]
async fn a_connection_over_those_in_use_is_closed_and_counted() -> anyhow::Result<()> {
    let (mut connections, address) = listening(BOUNDS, None).await?;
    let (_first_peer, first) = opened(&mut connections, address).await?;
    let (_second_peer, _second) = opened(&mut connections, address).await?;
    let (mut third, mut byte) = (TcpStream::connect(address).await?, [0]);
    tokio::select! {
        _ = connections.next() => unreachable!("a third connection"),
        read = third.read(&mut byte) => assert!(matches!(read, Ok(0) | Err(_)), "it is closed"),
    }
    assert_eq!(counts(&connections), [1, 0, 0, 0]);

    drop(first);
    let _fourth = opened(&mut connections, address).await?;
    assert_eq!(counts(&connections), [1, 0, 0, 0], "a place came back");
    Ok(())
}

#[tokio::test]
async fn a_silent_connection_gives_way_and_ends() -> anyhow::Result<()> {
    let (mut connections, address) = listening(BOUNDS, None).await?;
    let (_peer, mut used) = opened(&mut connections, address).await?;
    let mut silent_peer = TcpStream::connect(address).await?;
    let mut silent = connections.next().await;
    let reading = tokio::spawn(async move { silent.read(&mut [0]).await.map_err(|error| error.kind()) });
    let (_peer, _new) = opened(&mut connections, address).await?;
    assert_eq!(timeout(DEADLINE, reading).await??, Err(ErrorKind::ConnectionAborted));
    assert_eq!(timeout(DEADLINE, silent_peer.read(&mut [0])).await?.unwrap_or(0), 0, "its peer sees the end");
    used.write_all(b"answer").await?;
    assert_eq!(counts(&connections), [0, 1, 0, 0]);
    Ok(())
}

#[tokio::test]
async fn a_peer_that_sends_no_preface_loses_its_connection() -> anyhow::Result<()> {
    let bounds = ConnectionBounds { first_bytes_within: Duration::from_millis(100), ..BOUNDS };
    let (mut connections, address) = listening(bounds, None).await?;
    for (said, kept) in [(0, false), (PREFACE.len() - 1, false), (PREFACE.len(), true)] {
        let mut peer = TcpStream::connect(address).await?;
        peer.write_all(&PREFACE[..said]).await?;
        let mut connection = connections.next().await;
        let read = connection.read_exact(&mut [0; PREFACE.len()]).await;
        assert_eq!(read.map_err(|error| error.kind()), if kept { Ok(said) } else { Err(ErrorKind::TimedOut) });
    }
    assert_eq!(counts(&connections), [0, 0, 2, 0]);
    Ok(())
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_not_read_from() -> anyhow::Result<()> {
    let (mut connections, address) = listening(BOUNDS, None).await?;
    let (peer, connection) = opened(&mut connections, address).await?;
    let (mut peer_reads, mut peer_writes) = peer.into_split();
    let sending = tokio::spawn(async move { peer_writes.write_all(&vec![b'x'; 64 << 20]).await });
    let (mut reads, mut writes) = tokio::io::split(connection);
    // More than the buffers of both kernels hold, so that the write waits for the peer.
    let answers = vec![b'y'; 64 << 20];
    let answering = async { writes.write_all(&answers).await };
    let read = async {
        let (mut read, mut buffer) = (0, vec![0; 16 << 10]);
        while let Ok(Ok(bytes)) = timeout(Duration::from_millis(500), reads.read(&mut buffer)).await {
            read += bytes;
        }
        read
    };
    tokio::select! {
        biased;
        done = answering => unreachable!("the peer reads nothing: {done:?}"),
        read = read => assert!(read < 8 << 20, "{read}"),
    }
    // The peer reads, and is read from again.
    let drained = tokio::spawn(async move { tokio::io::copy(&mut peer_reads, &mut tokio::io::sink()).await });
    writes.write_all(b"z").await?;
    let mut rest = vec![0; 1 << 20];
    timeout(DEADLINE, reads.read_exact(&mut rest)).await??;
    sending.abort();
    drop((reads, writes));
    timeout(DEADLINE, drained).await??.ok();
    Ok(())
}

/// The files of a server's TLS, behind the link of a mounted Secret.
struct Mounted {
    folder: TempDir,
    generation: usize,
}

impl Mounted {
    fn new(pair: &Pem, client_ca: &str) -> anyhow::Result<Self> {
        let mut mounted = Self { folder: tempfile::tempdir()?, generation: 0 };
        mounted.swap(&pair.cert, &pair.key, client_ca)?;
        for name in ["tls.crt", "tls.key", "ca.crt"] {
            symlink(Path::new("..data").join(name), mounted.folder.path().join(name))?;
        }
        Ok(mounted)
    }

    fn swap(&mut self, cert: &str, key: &str, client_ca: &str) -> anyhow::Result<()> {
        self.generation += 1;
        let name = format!("..{}", self.generation);
        let at = self.folder.path().join(&name);
        fs::create_dir(&at)?;
        for (file, text) in [("tls.crt", cert), ("tls.key", key), ("ca.crt", client_ca)] {
            fs::write(at.join(file), text)?;
        }
        symlink(name, self.folder.path().join("..data_tmp"))?;
        Ok(fs::rename(self.folder.path().join("..data_tmp"), self.folder.path().join("..data"))?)
    }

    fn load(&self, bad: IntCounter) -> anyhow::Result<Tls> {
        let [cert, key, client_ca] = ["tls.crt", "tls.key", "ca.crt"].map(|name| self.folder.path().join(name));
        let metrics = TlsMetrics { bad, not_after: IntGauge::new("not_after", "not_after")? };
        Tls::load("tests", TlsFiles { cert, key, client_ca: Some(client_ca) }, Protocol::Http2, metrics)
    }
}

/// Whether a client gets an echo.
async fn is_served(client: &TlsClient, address: SocketAddr) -> bool {
    let echo = async {
        let mut stream = client.connect(address).await?;
        stream.write_all(PREFACE).await?;
        stream.read_exact(&mut [0; PREFACE.len()]).await
    };
    matches!(timeout(DEADLINE, echo).await, Ok(Ok(_)))
}

/// Echoes what each connection sends.
async fn echo(mut connections: Connections, stop: CancellationToken) -> [u64; 4] {
    while let Some(connection) = stop.run_until_cancelled(connections.next()).await {
        tokio::spawn(async move {
            let (mut reads, mut writes) = tokio::io::split(connection);
            tokio::io::copy(&mut reads, &mut writes).await
        });
    }
    counts(&connections)
}

#[tokio::test]
async fn only_clients_with_a_certificate_of_the_ca_are_served() -> anyhow::Result<()> {
    let (authority, other) = (Authority::new()?, Authority::new()?);
    let mounted = Mounted::new(&authority.issue(SERVER_NAME)?, &authority.ca())?;
    let tls = mounted.load(IntCounter::new("bad", "bad")?)?;
    let (connections, address) = listening(ConnectionBounds { connections: 50, ..BOUNDS }, Some(&tls)).await?;
    let stop = CancellationToken::new();
    let echoing = tokio::spawn(echo(connections, stop.clone()));
    let _silent = TcpStream::connect(address).await?;
    for (shown, served) in [
        (Some(authority.issue("client")?), true),
        (None, false),
        (Some(other.issue("client")?), false),
        (Some(authority.issue_expired("client")?), false),
        (Some(authority.issue("client")?), true),
    ] {
        let client = TlsClient::new(&authority, shown.as_ref())?;
        assert_eq!(is_served(&client, address).await, served, "{:?}", shown.map(|pair| pair.cert));
    }
    let plain = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(PREFACE).await?;
        stream.read_to_end(&mut Vec::new()).await
    };
    assert_ne!(timeout(DEADLINE, plain).await?.unwrap_or(0), PREFACE.len(), "a client without TLS gets no answer");
    stop.cancel();
    let [rejected, gave_way, silent, handshake] = echoing.await?;
    assert_eq!((rejected, gave_way, silent), (0, 0, 0));
    assert!(handshake >= 4, "{handshake}");
    Ok(())
}

#[tokio::test]
async fn certificates_and_the_ca_are_renewed_without_an_error() -> anyhow::Result<()> {
    let (old, new) = (Authority::new()?, Authority::new()?);
    let mut mounted = Mounted::new(&old.issue(SERVER_NAME)?, &old.ca())?;
    let bad = IntCounter::new("bad", "bad")?;
    let tls = mounted.load(bad.clone())?;
    let (connections, address) = listening(ConnectionBounds { connections: 1_000, ..BOUNDS }, Some(&tls)).await?;
    let stop = CancellationToken::new();
    let echoing = tokio::spawn(echo(connections, stop.clone()));
    tokio::spawn(tls.follow());
    let (old_pair, new_pair) = (old.issue("client")?, new.issue("client")?);
    let mut stays = TlsClient::new(&old, Some(&old_pair))?.connect(address).await?;

    // The order of a renewal: clients of both CAs, then the new certificate, then only the new CA.
    let both = format!("{}{}", old.ca(), new.ca());
    let first = old.issue(SERVER_NAME)?;
    mounted.swap(&first.cert, &first.key, &both)?;
    reaches(&TlsClient::new(&old, Some(&new_pair))?, &TlsClient::new(&old, Some(&old_pair))?, address).await;
    let second = new.issue(SERVER_NAME)?;
    mounted.swap(&second.cert, &second.key, &both)?;
    reached(&TlsClient::new(&new, Some(&old_pair))?, address).await;
    assert!(is_served(&TlsClient::new(&new, Some(&new_pair))?, address).await);

    for (cert, key) in [("junk", second.key.as_str()), (first.cert.as_str(), second.key.as_str())] {
        let before = bad.get();
        mounted.swap(cert, key, &both)?;
        while bad.get() == before {
            assert!(is_served(&TlsClient::new(&new, Some(&new_pair))?, address).await, "the last good one stays");
        }
        assert!(is_served(&TlsClient::new(&new, Some(&new_pair))?, address).await);
    }
    stays.write_all(PREFACE).await?;
    stays.read_exact(&mut [0; PREFACE.len()]).await?;
    stop.cancel();
    echoing.await?;
    Ok(())
}

/// Connects until `client` is served.
async fn reached(client: &TlsClient, address: SocketAddr) {
    let until = async {
        while !is_served(client, address).await {
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, until).await.expect("it is served in the end");
}

/// Connects until `client` is served; `always` is served all the time.
async fn reaches(client: &TlsClient, always: &TlsClient, address: SocketAddr) {
    let until = async {
        while !is_served(client, address).await {
            assert!(is_served(always, address).await, "nothing breaks on the way");
        }
    };
    timeout(DEADLINE, until).await.expect("it is served in the end");
}
