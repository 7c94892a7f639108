//! The body of a gRPC call: its first five bytes, which say how long its message is, and the message without anything after it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame};
use http_body_util::BodyExt;
use tonic::Status;
use tonic::body::Body;

/// What stands before a message: a flag (1: compressed) and the length, big endian.
pub(super) const HEADER_BYTES: usize = 5;

/// What was read of a call's body to know its message's length: little more than the header, or all there is.
pub(super) struct Start {
    read: Bytes,
}

impl Start {
    /// Reads frames until the message's header is there, or the body ends.
    ///
    /// # Errors
    /// The body's own.
    pub(super) async fn read(body: &mut Body) -> Result<Self, Status> {
        let mut read = Bytes::new();
        while read.len() < HEADER_BYTES {
            let Some(frame) = body.frame().await.transpose()? else { break };
            let Ok(data) = frame.into_data() else { break };
            read = if read.is_empty() { data } else { joined(&read, &data) };
        }
        Ok(Self { read })
    }

    /// The length of the message in bytes; `None` if there is none that is worth reading: the body ended, or the message is compressed, which
    /// the service refuses by the header alone.
    pub(super) fn message_length(&self) -> Option<usize> {
        let mut header = self.read.get(..HEADER_BYTES)?;
        let flag = header.get_u8();
        usize::try_from(header.get_u32()).ok().filter(|_| flag == 0)
    }
}

fn joined(read: &[u8], data: &[u8]) -> Bytes {
    let mut both = BytesMut::with_capacity(read.len().saturating_add(data.len()));
    both.extend_from_slice(read);
    both.extend_from_slice(data);
    both.freeze()
}

/// A body with the one message whose length is known. A call of this service has no other, and nothing was reserved for one: what follows is
/// read, so that a call ends where its peer ends it, and not kept.
pub(super) struct FirstMessage {
    read: Bytes,
    rest: Body,
    left: usize,
}

impl FirstMessage {
    pub(super) fn new(start: Start, rest: Body) -> Self {
        let left = start.message_length().map_or(start.read.len(), |length| length.saturating_add(HEADER_BYTES));
        Self { read: start.read, rest, left }
    }

    fn take(&mut self, mut data: Bytes) -> Bytes {
        data.truncate(self.left);
        self.left = self.left.saturating_sub(data.len());
        data
    }
}

impl HttpBody for FirstMessage {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if !self.read.is_empty() {
            let read = std::mem::take(&mut self.read);
            return Poll::Ready(Some(Ok(Frame::data(self.take(read)))));
        }
        while let Some(frame) = ready!(Pin::new(&mut self.rest).poll_frame(context)).transpose()? {
            if self.left > 0 || !frame.is_data() {
                return Poll::Ready(Some(Ok(frame.map_data(|data| self.take(data)))));
            }
        }
        Poll::Ready(None)
    }
}
