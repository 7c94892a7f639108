//! The body of a gRPC call: its first five bytes, which say how long its message is, and the message without anything after it. Room for the
//! message is reserved as it arrives.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use edge::{Arrival, BudgetExceeded};
use http_body::{Body as HttpBody, Frame};
use http_body_util::BodyExt;
use tokio::sync::oneshot;
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
    /// The message with its header.
    length: usize,
    left: usize,
    arrival: Arc<Arrival>,
    /// Gets the reason when there is no room for more. The body then never continues: an error would be the answer of the service.
    exceeded: Option<oneshot::Sender<BudgetExceeded>>,
}

impl FirstMessage {
    pub(super) fn new(
        start: Start,
        rest: Body,
        arrival: Arc<Arrival>,
        exceeded: oneshot::Sender<BudgetExceeded>,
    ) -> Self {
        let length = start.message_length().map_or(start.read.len(), |length| length.saturating_add(HEADER_BYTES));
        Self { read: start.read, rest, length, left: length, arrival, exceeded: Some(exceeded) }
    }

    /// The part of `data` that belongs to the message; `None` if there is no room for it.
    fn take(&mut self, mut data: Bytes) -> Option<Bytes> {
        data.truncate(self.left);
        self.left = self.left.saturating_sub(data.len());
        match self.arrival.add(data.len(), self.length) {
            Ok(()) => Some(data),
            Err(which) => {
                // Without a receiver the call has ended.
                let _ = self.exceeded.take().map(|exceeded| exceeded.send(which));
                None
            }
        }
    }
}

impl HttpBody for FirstMessage {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.exceeded.is_none() {
            return Poll::Pending;
        }
        let read = std::mem::take(&mut self.read);
        let frame = if read.is_empty() {
            match ready!(Pin::new(&mut self.rest).poll_frame(context)) {
                Some(Ok(frame)) => frame,
                ended => return Poll::Ready(ended),
            }
        } else {
            Frame::data(read)
        };
        match frame.into_data() {
            Ok(data) => self.take(data).map_or(Poll::Pending, |data| Poll::Ready(Some(Ok(Frame::data(data))))),
            Err(trailers) => Poll::Ready(Some(Ok(trailers))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use edge::Budget;
    use http_body_util::StreamBody;

    use super::*;

    fn arrival(budget: usize) -> Arc<Arrival> {
        Arc::new(Arrival::begin(&Budget::new(budget), None, 0).unwrap())
    }

    /// What is known of a body that comes in these frames, and what the service gets of it.
    #[track_caller]
    fn check(frames: &[&'static [u8]], length: Option<usize>, passed_on: &[u8]) {
        let frames: Vec<_> =
            frames.iter().map(|data| Ok::<_, Infallible>(Frame::data(Bytes::from_static(data)))).collect();
        let mut body = Body::new(StreamBody::new(tokio_stream::iter(frames)));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (found, collected) = runtime.block_on(async {
            let start = Start::read(&mut body).await.unwrap();
            let length = start.message_length();
            let message = FirstMessage::new(start, body, arrival(1 << 20), oneshot::channel().0);
            (length, message.collect().await.unwrap().to_bytes())
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

    #[tokio::test]
    async fn a_message_without_room_ends_with_its_reason() {
        let header = Bytes::from_static(b"\0\0\x01\0\0");
        let frames = [header, Bytes::from(vec![1; 20_000])].map(|data| Ok::<_, Infallible>(Frame::data(data)));
        let mut body = Body::new(StreamBody::new(tokio_stream::iter(frames)));
        let start = Start::read(&mut body).await.unwrap();
        let budget = Budget::new(256 << 10);
        let _others = budget.reserve(None, 50_000).unwrap();
        let arrival = Arc::new(Arrival::begin(&budget, None, 0).unwrap());
        let (exceeded, over) = oneshot::channel();
        let message = FirstMessage::new(start, body, arrival, exceeded);
        tokio::select! {
            biased;
            _ = message.collect() => unreachable!("it never ends"),
            which = over => assert_eq!(which, Ok(BudgetExceeded::Tenant)),
        }
    }
}
