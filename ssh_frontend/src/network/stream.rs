//! The TCP connection as russh sees it: read in large pieces, with pauses where [`Flow`] wants them, and
//! with an end that comes.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep, sleep_until};

use super::flow::Flow;

/// russh reads a packet's length and then the packet: one system call here serves several packets. Bytes.
const BUFFER: usize = 64 * 1024;
/// How much is read at first: logins and idle sessions need no more, and memory that was written to once
/// stays with the process. Bytes.
const FIRST_BUFFER: usize = 4 * 1024;

/// After the last word russh waits for the client to close, with no limit: this is the limit.
pub const LINGER: Duration = Duration::from_secs(2);

/// The stream.
pub struct Stream {
    tcp: TcpStream,
    /// What was read and not yet taken begins at `taken`. Empty, without memory, while nothing comes.
    buffer: Vec<u8>,
    taken: usize,
    /// How much the next read asks for: more, once a read was given all that it asked for.
    size: usize,
    flow: Arc<Flow>,
    pause: Option<Pin<Box<Sleep>>>,
    closing: Option<Pin<Box<Sleep>>>,
}

impl Stream {
    /// Over a connection that does not block.
    pub fn new(tcp: TcpStream, flow: Arc<Flow>) -> Self {
        Self {
            tcp,
            buffer: Vec::new(),
            taken: 0,
            size: FIRST_BUFFER,
            flow,
            pause: None,
            closing: None,
        }
    }

    fn poll_pause(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while let Some(until) = self.flow.pause(context) {
            let pause = self
                .pause
                .get_or_insert_with(|| Box::pin(sleep_until(until)));
            if pause.deadline() != until {
                pause.as_mut().reset(until);
            }
            ready!(pause.as_mut().poll(context));
        }
        self.pause = None;
        Poll::Ready(())
    }

    /// Waits until the buffer holds something, and says how much: 0 is the end.
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.taken = 0;
        self.buffer.clear();
        self.buffer.reserve_exact(self.size);
        let read = pin!(self.tcp.read_buf(&mut self.buffer)).poll(context);
        match read {
            Poll::Ready(Ok(length)) if length >= self.size => {
                self.size = (4 * self.size).min(BUFFER);
            }
            Poll::Ready(Ok(_)) => {}
            Poll::Pending | Poll::Ready(Err(_)) => self.buffer = Vec::new(),
        }
        read
    }

    /// What was read and not yet taken.
    fn rest(&self) -> &[u8] {
        self.buffer.get(self.taken..).unwrap_or_default()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(closing) = &mut self.closing
            && closing.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_pause(context));
        if self.rest().is_empty() && ready!(self.poll_fill(context))? == 0 {
            return Poll::Ready(Ok(()));
        }
        let length = self.rest().len().min(into.remaining());
        into.put_slice(self.rest().get(..length).unwrap_or_default());
        self.taken += length;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.closing.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::time::Instant;

    use super::super::flow::WINDOW;
    use super::*;

    async fn pair() -> (TcpStream, Stream, Arc<Flow>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (client, accepted) = tokio::join!(
            TcpStream::connect(listener.local_addr().unwrap()),
            listener.accept()
        );
        let flow = Arc::new(Flow::default());
        let stream = Stream::new(accepted.unwrap().0, Arc::clone(&flow));
        (client.unwrap(), stream, flow)
    }

    #[tokio::test]
    async fn what_is_sent_in_pieces_is_read_whole() {
        let (mut client, mut stream, _) = pair().await;
        let sent: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
        let expected = sent.clone();
        let sender = tokio::spawn(async move { client.write_all(&sent).await });
        let mut read = Vec::new();
        for size in (1..2000).cycle() {
            let mut piece = vec![0; size];
            let length = stream.read(&mut piece).await.unwrap();
            if length == 0 {
                break;
            }
            read.extend_from_slice(&piece[..length]);
        }
        sender.await.unwrap().unwrap();
        assert!(read == expected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_ends_as_soon_as_the_queues_are_shorter() {
        let (mut client, mut stream, flow) = pair().await;
        client.write_all(b"x").await.unwrap();
        flow.add(2 * WINDOW as usize);
        let begin = Instant::now();
        let shorter = async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            flow.remove(WINDOW as usize);
        };
        let (read, ()) = tokio::join!(stream.read_u8(), shorter);
        assert_eq!(read.unwrap(), b'x');
        let took = begin.elapsed();
        assert!(took >= Duration::from_millis(10), "{took:?}");
        // The clock stands while anybody works: a wait for the end of the pause would be 50.
        assert!(took < Duration::from_millis(20), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_never_closes_is_not_waited_for() {
        let (_client, mut stream, _) = pair().await;
        stream.shutdown().await.unwrap();
        let begin = Instant::now();
        assert_eq!(stream.read(&mut [0; 10]).await.unwrap(), 0);
        assert!(begin.elapsed() >= LINGER);
    }
}
