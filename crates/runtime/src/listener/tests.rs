use std::future::poll_fn;
use std::os::unix::net::UnixListener as BlockingListener;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

#[test]
fn addresses_are_ports_or_paths_of_sockets() {
    let good = |text: &str| text.parse::<ListenAddress>().map(|address| address.to_string());
    for text in ["0.0.0.0:8081", "[::]:8081", "unix:/run/edge/grpc.sock", "unix:grpc.sock"] {
        assert_eq!(good(text), Ok(text.to_owned()));
    }
    let long = format!("unix:/{}", "x".repeat(MAX_PATH_BYTES));
    for (text, expected) in [
        ("unix:", "needs the path"),
        ("localhost:8081", "write HOST:PORT"),
        ("/run/x", "or unix:PATH"),
        (&long, "a socket may have 103"),
    ] {
        let error = good(text).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

async fn bound(path: &Path) -> anyhow::Result<Listener> {
    Listener::bind("gRPC", &ListenAddress::Unix(path.to_owned())).await
}

#[tokio::test]
async fn a_unix_socket_has_its_mode_and_disappears() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("grpc.sock");
    let mut listener = bound(&path).await?;
    assert_eq!(fs::metadata(&path)?.permissions().mode() & 0o777, SOCKET_MODE);
    let mut peer = UnixStream::connect(&path).await?;
    let (mut socket, address) = poll_fn(|context| listener.poll_accept(context)).await?;
    assert_eq!(address, None);
    peer.write_all(b"ping").await?;
    let mut read = [0; 4];
    socket.read_exact(&mut read).await?;
    assert_eq!(&read, b"ping");

    let file = listener.take_file();
    drop(listener);
    assert!(path.exists(), "it stays until the server has ended");
    drop(file);
    assert_eq!(fs::read_dir(folder.path())?.count(), 0);
    Ok(())
}

#[tokio::test]
async fn only_the_socket_of_a_dead_process_is_replaced() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("grpc.sock");
    drop(BlockingListener::bind(&path)?);
    drop(BlockingListener::bind(folder.path().join("grpc.sock.new"))?);
    let listener = bound(&path).await?;
    let error = format!("{:#}", bound(&path).await.unwrap_err());
    assert!(error.contains("cannot listen for gRPC on unix:") && error.contains("another process listens"), "{error}");
    drop(listener);

    fs::write(&path, "precious")?;
    let error = format!("{:#}", bound(&path).await.unwrap_err());
    assert!(error.contains("is no socket"), "{error}");
    assert_eq!(fs::read_to_string(&path)?, "precious");
    Ok(())
}

#[tokio::test]
async fn a_file_that_another_process_has_replaced_stays() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("grpc.sock");
    let listener = bound(&path).await?;
    let other = folder.path().join("other");
    fs::write(&other, "")?;
    fs::rename(&other, &path)?;
    drop(listener);
    assert!(path.exists());
    Ok(())
}
