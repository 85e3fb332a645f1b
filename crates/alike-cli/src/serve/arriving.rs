//! A body on its way: it holds a place until it has come, and must keep coming.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};

use super::pace::Pace;
use super::places::Place;

/// The body of a request, as routes read it.
pub(crate) struct Arriving {
    body: Body,
    pace: Pace,
    /// Given back as soon as all has come.
    place: Option<Place>,
    /// Set as soon as all has come.
    whole: Arc<AtomicBool>,
}

/// The body came too slowly.
#[derive(Debug)]
pub(crate) struct TooSlow;

impl std::fmt::Display for TooSlow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the body came too slowly")
    }
}

impl std::error::Error for TooSlow {}

impl Arriving {
    /// `body`, of which something must come within `stall` again and again.
    pub(crate) fn body(body: Body, place: Place, whole: Arc<AtomicBool>, stall: Duration) -> Body {
        Body::new(Self { body, pace: Pace::new(stall), place: Some(place), whole })
    }
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        let frame = match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Pending if self.pace.is_over(context) => return Poll::Ready(Some(Err(TooSlow.into()))),
            Poll::Pending => return Poll::Pending,
            Poll::Ready(frame) => frame,
        };
        if let Some(data) = frame.as_ref().and_then(|f| f.as_ref().ok()).and_then(Frame::data_ref) {
            self.pace.moved(data.len());
        }
        if frame.is_none() || self.body.is_end_stream() {
            self.place = None;
            self.whole.store(true, Ordering::Relaxed);
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
