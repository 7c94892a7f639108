//! One connection: it holds its place, ends when it has to give way, and has a deadline for its first bytes.
//!
//! While the peer does not read its answers, little more is read from it: whatever it sends would only add to the answers that wait in memory. Where the
//! listener bounds such answers, the connection ends when they have waited for too long, and the kernel drops what it has not sent either.

use std::fmt;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::transport::server::{Connected, TcpConnectInfo};

use super::places::Place;
use super::unread::Unread;
use super::{ConnectionBounds, ConnectionCounts};
use crate::listener::Socket;

/// What is read from a peer that does not read. h2 queues some hundred bytes for a frame of 9, such as one for a call that has ended.
const READ_WHILE_BLOCKED: usize = 64 << 10;

/// A connection that was accepted, after its TLS handshake.
pub struct Connection {
    socket: Socket,
    peer: Option<SocketAddr>,
    place: Place,
    gave_way: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Until the first bytes are read: how many are missing, and the deadline.
    opening: Option<(usize, Pin<Box<Sleep>>)>,
    counts: ConnectionCounts,
    start: Instant,
    unread: Option<Unread>,
    /// While a write waits for the peer: how many bytes were read since.
    read_while_blocked: Option<usize>,
    /// Whether a read waits for a write.
    is_paused: bool,
}

impl fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Connection")
            .field("peer", &self.peer)
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

impl Connection {
    pub(super) fn new(
        socket: Socket,
        peer: Option<SocketAddr>,
        place: Place,
        bounds: &ConnectionBounds,
        counts: ConnectionCounts,
        start: Instant,
    ) -> Self {
        let gave_way = Box::pin(place.gave_way().clone().cancelled_owned());
        let opening = Some((bounds.first_bytes, Box::pin(sleep(bounds.first_bytes_within))));
        let unread = bounds.unread.map(|unread| Unread::new(unread.within));
        let read_while_blocked = None;
        Self { socket, peer, place, gave_way, opening, counts, start, unread, read_while_blocked, is_paused: false }
    }

    fn check_place(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.gave_way.as_mut().poll(context) {
            Poll::Ready(()) => {
                if self.unread.as_ref().is_some_and(Unread::is_waiting) {
                    self.socket.reset();
                }
                Err(ErrorKind::ConnectionAborted.into())
            }
            Poll::Pending => Ok(()),
        }
    }

    fn on_read(&mut self, bytes: usize, is_pending: bool, context: &mut Context<'_>) -> io::Result<()> {
        if let Some((missing, deadline)) = &mut self.opening {
            *missing = missing.saturating_sub(bytes);
            if *missing == 0 {
                self.opening = None;
                self.place.open();
            } else if is_pending && deadline.as_mut().poll(context).is_ready() {
                self.counts.silent.inc();
                return Err(ErrorKind::TimedOut.into());
            }
        }
        if bytes > 0 && self.opening.is_none() {
            self.place.use_at(self.start.elapsed());
        }
        if let Some(read) = &mut self.read_while_blocked {
            *read = read.saturating_add(bytes);
        }
        Ok(())
    }

    fn on_write(&mut self, written: &Poll<io::Result<usize>>, context: &mut Context<'_>) -> io::Result<()> {
        self.on_progress(written.is_pending(), context);
        match written {
            Poll::Pending => self.wait_for_reader(context),
            Poll::Ready(Ok(bytes @ 1..)) => {
                if self.opening.is_none() {
                    self.place.use_at(self.start.elapsed());
                }
                if let Some(unread) = &mut self.unread {
                    unread.extend(*bytes);
                }
                Ok(())
            }
            Poll::Ready(_) => Ok(()),
        }
    }

    fn on_flush(&mut self, flushed: &Poll<io::Result<()>>, context: &mut Context<'_>) -> io::Result<()> {
        self.on_progress(flushed.is_pending(), context);
        if flushed.is_pending() {
            return self.wait_for_reader(context);
        }
        if self.unread.as_mut().is_some_and(Unread::end) {
            self.place.is_read();
        }
        Ok(())
    }

    /// An answer cannot be sent on before the peer reads.
    fn wait_for_reader(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let Some(unread) = &mut self.unread else { return Ok(()) };
        if unread.begin() && self.place.is_unread(self.start.elapsed()) {
            self.counts.unread.inc();
        }
        if unread.poll_deadline(context).is_pending() {
            return Ok(());
        }
        self.counts.unread.inc();
        self.socket.reset();
        Err(ErrorKind::TimedOut.into())
    }

    fn on_progress(&mut self, is_blocked: bool, context: &Context<'_>) {
        if is_blocked {
            self.read_while_blocked.get_or_insert(0);
            return;
        }
        self.read_while_blocked = None;
        if std::mem::take(&mut self.is_paused) {
            context.waker().wake_by_ref();
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        TcpConnectInfo { local_addr: None, remote_addr: self.peer }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check_place(context)?;
        if self.read_while_blocked.is_some_and(|read| read >= READ_WHILE_BLOCKED) {
            // The task wakes when the write goes on.
            self.is_paused = true;
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.socket).poll_read(context, buffer);
        let bytes = buffer.filled().len().saturating_sub(before);
        self.on_read(bytes, read.is_pending(), context)?;
        read
    }
}

/// Without vectored writes. With them h2 puts the trailers of every answer over 256 bytes into a write of its own, which costs a
/// system call here, and wakes the peer twice; without, only of those over 1 KiB.
impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check_place(context)?;
        let written = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.on_write(&written, context)?;
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check_place(context)?;
        let flushed = Pin::new(&mut self.socket).poll_flush(context);
        self.on_flush(&flushed, context)?;
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}
