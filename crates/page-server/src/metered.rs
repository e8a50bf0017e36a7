//! A client's stream that notices whether the client takes what it asked for.

use crate::places::Connection;
use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// How much a client must take while more waits for it.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Bytes.
    pub least: usize,
    /// In what time.
    pub within: Duration,
}

/// A stream that fails when its client reads slower than at a [`Pace`], and notes in its [`Connection`] when something moves.
pub struct Metered<S> {
    stream: S,
    connection: Arc<Connection>,
    pace: Pace,
    /// While the client does not take what is there for it: until when it must have, and what it has taken.
    waiting: Option<(Pin<Box<Sleep>>, usize)>,
}

impl<S: Unpin> Metered<S> {
    /// Around the stream of `connection`.
    pub fn new(stream: S, connection: Arc<Connection>, pace: Pace) -> Self {
        Self {
            stream,
            connection,
            pace,
            waiting: None,
        }
    }

    /// Looks at what became of a write.
    fn judged(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<Result<usize>>,
    ) -> Poll<Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) => {
                self.connection.moves();
                if let Some((_, taken)) = &mut self.waiting {
                    *taken += bytes;
                    if *taken >= self.pace.least {
                        self.waiting = None;
                    }
                }
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                let begin = || (Box::pin(sleep(self.pace.within)), 0);
                let (until, _) = self.waiting.get_or_insert_with(begin);
                ready!(until.as_mut().poll(context));
                return Poll::Ready(Err(Error::new(ErrorKind::TimedOut, "it does not read")));
            }
        }
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if buffer.filled().len() > before {
            self.connection.moves();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.judged(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.judged(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        // Asked for when all has been written: nothing waits for the client any more.
        self.waiting = None;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::places::Places;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    const PACE: Pace = Pace {
        least: 100,
        within: Duration::from_secs(30),
    };

    /// Writes 10,000 bytes to a client that takes `bytes` every `seconds`; on a clock that jumps.
    async fn written_to(bytes: usize, seconds: u64) -> Result<()> {
        let (client, server) = duplex(64);
        let places = Places::new(1, 1, Duration::ZERO);
        let place = places.take([10, 0, 0, 1].into()).unwrap();
        let mut server = Metered::new(server, place.connection.clone(), PACE);
        let reader = tokio::spawn(async move {
            let mut client = client;
            let mut piece = vec![0; bytes];
            while client.read_exact(&mut piece).await.is_ok() {
                sleep(Duration::from_secs(seconds)).await;
            }
        });
        let done = server.write_all(&[7; 10_000]).await;
        reader.abort();
        done
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_slowly_is_waited_for_and_who_hardly_reads_is_not() {
        assert!(written_to(50, 10).await.is_ok());
        for (bytes, seconds) in [(1, 10), (50, 1000), (10, 5)] {
            let error = written_to(bytes, seconds).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TimedOut, "{bytes} in {seconds} s");
        }
    }
}
