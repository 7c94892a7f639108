//! Where a server listens, a TCP address or a unix socket, and the streams that it accepts there.
//!
//! The file of a unix socket has mode 0660 from its first moment on. It is removed at the end, and one that a dead process left behind is replaced.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::str::FromStr;
use std::task::{Context, Poll, ready};

use anyhow::Context as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};
use tokio_rustls::server::TlsStream;

/// The longest path of a socket: the kernel takes 107 bytes, and `.new` is appended while the socket is made.
const MAX_PATH_BYTES: usize = 103;
/// For the owner and the group: the containers of a pod share a group.
const SOCKET_MODE: u32 = 0o660;
/// Connections that wait to be accepted; the kernel may allow fewer.
const BACKLOG: u32 = 4096;

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// A TCP address; port 0 takes a free port.
    Tcp(SocketAddr),
    /// The path of a unix socket.
    Unix(PathBuf),
}

impl ListenAddress {
    /// The TCP address, if it is one.
    #[must_use]
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }

    /// The path of the unix socket, if it is one.
    #[must_use]
    pub fn socket_path(&self) -> Option<&Path> {
        match self {
            Self::Tcp(_) => None,
            Self::Unix(path) => Some(path),
        }
    }
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("unix:") {
            Some("") => Err("unix: needs the path of a socket, such as unix:/run/edge/grpc.sock".to_owned()),
            Some(path) if path.len() > MAX_PATH_BYTES => {
                Err(format!("the path has {} bytes, and a socket may have {MAX_PATH_BYTES}", path.len()))
            }
            Some(path) => Ok(Self::Unix(path.into())),
            None => text.parse().map(Self::Tcp).map_err(|_| {
                "write HOST:PORT with an IP address, such as 0.0.0.0:8081 or [::]:8081, or unix:PATH".to_owned()
            }),
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(formatter),
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

/// A bound listener.
#[derive(Debug)]
pub struct Listener {
    sockets: Sockets,
    address: ListenAddress,
    file: Option<SocketFile>,
}

#[derive(Debug)]
enum Sockets {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    /// Binds `address`. `what` is for the error: what the listener is for.
    ///
    /// # Errors
    /// The address cannot be bound, or another process listens on the socket.
    pub async fn bind(what: &str, address: &ListenAddress) -> anyhow::Result<Self> {
        let bound = match address {
            ListenAddress::Tcp(address) => Self::bind_tcp(*address, None),
            ListenAddress::Unix(path) => Self::bind_unix(path).await,
        };
        bound.with_context(|| format!("cannot listen for {what} on {address}"))
    }

    /// Binds a TCP address. Of each connection, the kernel keeps about `send_buffer` bytes that its peer has not read; otherwise it may keep
    /// megabytes.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub fn bind_with_send_buffer(what: &str, address: SocketAddr, send_buffer: u32) -> anyhow::Result<Self> {
        let bound = Self::bind_tcp(address, Some(send_buffer));
        bound.with_context(|| format!("cannot listen for {what} on {address}"))
    }

    /// What [`TcpListener::bind`] does, and the send buffer, which accepted connections inherit.
    fn bind_tcp(address: SocketAddr, send_buffer: Option<u32>) -> io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        if let Some(bytes) = send_buffer {
            socket.set_send_buffer_size(bytes)?;
        }
        socket.bind(address)?;
        let listener = socket.listen(BACKLOG)?;
        let address = ListenAddress::Tcp(listener.local_addr()?);
        Ok(Self { sockets: Sockets::Tcp(listener), address, file: None })
    }

    async fn bind_unix(path: &Path) -> io::Result<Self> {
        reject_socket_in_use(path).await?;
        let mut temporary = OsString::from(path);
        temporary.push(".new");
        let temporary = PathBuf::from(temporary);
        reject_socket_in_use(&temporary).await?;
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&temporary)?;
        fs::set_permissions(&temporary, Permissions::from_mode(SOCKET_MODE))?;
        fs::rename(&temporary, path)?;
        let file = SocketFile::at(path)?;
        let address = ListenAddress::Unix(path.to_owned());
        Ok(Self { sockets: Sockets::Unix(listener), address, file: Some(file) })
    }

    /// The bound address, with the port that was taken.
    #[must_use]
    pub fn address(&self) -> &ListenAddress {
        &self.address
    }

    /// The file of the unix socket, which is removed when this is dropped. A caller keeps it until the server has ended.
    pub fn take_file(&mut self) -> Option<SocketFile> {
        self.file.take()
    }

    /// The next stream, and the address of its peer.
    pub(crate) fn poll_accept(&mut self, context: &mut Context<'_>) -> Poll<io::Result<(Socket, Option<SocketAddr>)>> {
        match &self.sockets {
            Sockets::Tcp(listener) => {
                let (stream, peer) = ready!(listener.poll_accept(context))?;
                // A response in several segments must not wait some 40 ms for the peer's delayed acknowledgement of the first.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!("a connection keeps its delay: {error}");
                }
                Poll::Ready(Ok((Socket::Tcp(stream), Some(peer))))
            }
            Sockets::Unix(listener) => {
                let (stream, _) = ready!(listener.poll_accept(context))?;
                Poll::Ready(Ok((Socket::Unix(stream), None)))
            }
        }
    }
}

/// A process that was killed leaves its socket behind; such a one refuses connections.
async fn reject_socket_in_use(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(io::Error::other(format!("{} is there, and is no socket", path.display())));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path).await {
        Err(error) if [ErrorKind::ConnectionRefused, ErrorKind::NotFound].contains(&error.kind()) => Ok(()),
        Err(error) => Err(error),
        Ok(_) => Err(io::Error::new(ErrorKind::AddrInUse, "another process listens there")),
    }
}

/// The file of a unix socket, removed when this is dropped, unless another process has replaced it.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn at(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), identity: identity(path)? })
    }
}

/// Device and inode of a file.
fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_ours = identity(&self.path).is_ok_and(|now| now == self.identity);
        if is_ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!("the socket {} cannot be removed: {error}", self.path.display());
        }
    }
}

/// A stream that was accepted.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
    /// TLS over one of the others.
    Tls(Box<TlsStream<Self>>),
}

trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

impl Socket {
    /// When this is dropped, the kernel drops what it has not sent yet as well.
    pub(crate) fn reset(&self) {
        match self {
            Self::Tcp(stream) => {
                if let Err(error) = stream.set_zero_linger() {
                    tracing::debug!("a connection ends without a reset: {error}");
                }
            }
            Self::Unix(_) => {}
            Self::Tls(stream) => stream.get_ref().0.reset(),
        }
    }

    fn inner(self: Pin<&mut Self>) -> Pin<&mut dyn Stream> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream),
            Self::Unix(stream) => Pin::new(stream),
            Self::Tls(stream) => Pin::new(&mut **stream),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_read(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.inner().poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests;
