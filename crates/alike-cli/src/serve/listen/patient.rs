//! A connection that waits only for those who move.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::client::Client;
use crate::serve::limits::Limits;
use crate::serve::pace::Pace;

/// Maximum of bytes that are read for nothing at the end.
const LEFT_OVER: usize = 1 << 20;

/// A stream that breaks off when its peer does not take what is written, and that ends so that its peer can
/// read the last answer.
pub(super) struct Patient<S> {
    stream: S,
    pace: Pace,
    client: Arc<Client>,
    linger: Duration,
    end: Option<Pin<Box<Sleep>>>,
    left_over: usize,
}

impl<S> Patient<S> {
    pub(super) fn new(stream: S, client: Arc<Client>, limits: &Limits) -> Self {
        let (pace, linger) = (Pace::new(limits.stall), limits.linger);
        Self { stream, pace, client, linger, end: None, left_over: 0 }
    }

    /// What a write came to, or an error where the peer has taken too little for too long.
    fn paced(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Pending if self.pace.is_over(context) => Poll::Ready(Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the client does not read its answer",
            ))),
            Poll::Ready(Ok(bytes)) => {
                self.pace.moved(bytes);
                Poll::Ready(Ok(bytes))
            }
            other => other,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.paced(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.paced(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Asked for when everything has been written.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        if flushed.is_ready() {
            self.pace.done();
        }
        flushed
    }

    /// Closing a socket that has unread bytes resets the connection, and the peer may lose the answer that
    /// says why. So what it still sends is read for a moment.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.end.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
            if !self.client.has_unread() {
                return Poll::Ready(Ok(()));
            }
            self.end = Some(Box::pin(sleep(self.linger)));
        }
        let mut scratch = [0; 4096];
        while self.left_over < LEFT_OVER {
            let mut into = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.stream).poll_read(context, &mut into) {
                Poll::Ready(Ok(())) if !into.filled().is_empty() => self.left_over += into.filled().len(),
                Poll::Ready(_) => break,
                Poll::Pending => {
                    let over = self.end.as_mut().is_none_or(|end| end.as_mut().poll(context).is_ready());
                    return if over { Poll::Ready(Ok(())) } else { Poll::Pending };
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}
