//! The body of a gRPC call: its first five bytes, which say how long its message is, and the message without anything after it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame};
use http_body_util::BodyExt;
use tonic::Status;
use tonic::body::Body;

/// The header of a message: a flag (1: compressed) and the length, big endian.
pub(super) const HEADER_BYTES: usize = 5;

/// The beginning of a call's body: little more than the message's header, or the whole body.
pub(super) struct Start {
    read: Bytes,
}

impl Start {
    /// Reads frames until the message's header is complete, or the body ends.
    ///
    /// # Errors
    /// The body ended in an error.
    pub(super) async fn read(body: &mut Body) -> Result<Self, Status> {
        let mut read = Bytes::new();
        while read.len() < HEADER_BYTES {
            let Some(frame) = body.frame().await.transpose()? else { break };
            let Ok(data) = frame.into_data() else { break };
            read = if read.is_empty() { data } else { joined(&read, &data) };
        }
        Ok(Self { read })
    }

    /// The length of the message in bytes; `None` if the body ended, or the message is compressed, which
    /// the service rejects by the header alone.
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

/// A body cut to its first message. These calls have only one message, and nothing is reserved for a second: what follows is
/// read, so that a call ends where its peer ends it, and dropped.
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
        let frame = ready!(Pin::new(&mut self.rest).poll_frame(context));
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(|data| self.take(data)))))
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body_util::StreamBody;

    use super::*;

    /// What is known of a body that comes in these frames, and what the service gets of it.
    #[track_caller]
    fn check(frames: &[&'static [u8]], length: Option<usize>, passed_on: &[u8]) {
        let frames: Vec<_> =
            frames.iter().map(|data| Ok::<_, Infallible>(Frame::data(Bytes::from_static(data)))).collect();
        let mut body = Body::new(StreamBody::new(tokio_stream::iter(frames)));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (found, collected) = runtime.block_on(async {
            let start = Start::read(&mut body).await.unwrap();
            (start.message_length(), FirstMessage::new(start, body).collect().await.unwrap().to_bytes())
        });
        assert_eq!((found, &collected[..]), (length, passed_on));
    }

    #[test]
    fn a_message_passes_however_it_is_cut() {
        check(&[b"\0\0\0\0\x03abc"], Some(3), b"\0\0\0\0\x03abc");
        check(&[b"\0", b"\0\0", b"\0", b"\x03a", b"b", b"c"], Some(3), b"\0\0\0\0\x03abc");
        check(&[b"\0\0\0\0\0"], Some(0), b"\0\0\0\0\0");
        check(&[b"\0\x01\x02\x03\x04", b"ab"], Some(0x0102_0304), b"\0\x01\x02\x03\x04ab");
    }

    #[test]
    fn nothing_passes_that_was_not_reserved() {
        check(&[b"\0\0\0\0\x03abc\0\0\0\0\x01d"], Some(3), b"\0\0\0\0\x03abc");
        check(&[b"\0\0\0\0\x03", b"ab", b"cd", b"efg"], Some(3), b"\0\0\0\0\x03abc");
        check(&[b"\0\0\0\0\0a", b"b"], Some(0), b"\0\0\0\0\0");
        check(&[b"\x01\0\0\0\x03", b"abc"], None, b"\x01\0\0\0\x03");
    }

    #[test]
    fn a_body_without_a_message_is_left_to_the_service() {
        check(&[], None, b"");
        check(&[b"\0\0", b"\0"], None, b"\0\0\0");
    }
}
