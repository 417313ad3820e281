//! The network between the daemon and those who speak to it: connections in memory that come late, break in the middle or
//! stall, under a real client and the daemon's real server.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use fournines::server::Listener;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};
use tokio::sync::mpsc;

use super::outside::Outside;

/// How much is under way in a connection, at most.
const UNDER_WAY_BYTES: usize = 16 << 10;
/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Connections that wait to be taken.
const BACKLOG: usize = 64;

/// A network. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Network {
    outside: Outside,
    door: Arc<Mutex<Option<mpsc::Sender<Stream>>>>,
}

/// Where the daemon takes connections.
pub(crate) struct Door(mpsc::Receiver<Stream>);

impl Listener for Door {
    type Stream = Stream;

    async fn accept(&mut self) -> io::Result<Stream> {
        match self.0.recv().await {
            Some(stream) => Ok(stream),
            None => std::future::pending().await,
        }
    }
}

/// The daemon's end of a connection.
pub(crate) struct Stream {
    inner: DuplexStream,
    /// So many bytes more come through, to the daemon and from it.
    reads: Option<usize>,
    writes: Option<usize>,
    /// Whether it stalls then, or breaks.
    stalls: bool,
}

impl Network {
    pub(crate) fn new(outside: Outside) -> Self {
        Self { outside, door: Arc::default() }
    }

    /// Opens the door for a daemon. The one before it is closed.
    pub(crate) fn open(&self) -> Door {
        let (sender, receiver) = mpsc::channel(BACKLOG);
        *self.door.lock().unwrap() = Some(sender);
        Door(receiver)
    }

    /// No daemon is there any more.
    pub(crate) fn close(&self) {
        *self.door.lock().unwrap() = None;
    }

    pub(crate) fn address() -> SocketAddr {
        ([192, 0, 2, 1], 9099).into()
    }

    /// Asks the daemon. Its answer may get lost, whatever came of the request.
    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Result<(u16, Bytes), String> {
        let asked = tokio::time::timeout(PATIENCE, self.try_ask(method, path, headers, body)).await;
        asked.unwrap_or_else(|_| Err("no answer in time".to_owned()))
    }

    async fn try_ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Result<(u16, Bytes), String> {
        self.dally().await;
        let door = self.door.lock().unwrap().clone().ok_or("connection refused")?;
        let (near, far) = duplex(UNDER_WAY_BYTES);
        let cut = |often, most| self.outside.happens(often).then(|| self.outside.chance().usize(0..most));
        let (reads, writes) = (cut(25, 300 + body.len()), cut(25, 400));
        let stalls = self.outside.happens(3);
        door.send(Stream { inner: far, reads, writes, stalls }).await.map_err(|_| "connection refused")?;
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let (mut sender, connection) = http1::handshake(TokioIo::new(near)).await.map_err(|e| text(&e))?;
        let carrying = tokio::spawn(connection);
        let mut request = axum::http::Request::builder().method(method).uri(path).header("host", "fournines");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body)).unwrap();
        let response = sender.send_request(request).await.map_err(|e| text(&e))?;
        let status = response.status().as_u16();
        let answer = to_bytes(Body::new(response.into_body()), usize::MAX).await.map_err(|e| text(&e))?;
        carrying.abort();
        self.dally().await;
        Ok((status, answer))
    }

    /// It takes its time.
    async fn dally(&self) {
        let millis = if self.outside.happens(8) { self.outside.chance().u64(1..20_000) } else { 1 };
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
}

impl Stream {
    fn is_over(&self, left: Option<usize>) -> Option<Poll<io::Result<usize>>> {
        (left == Some(0)).then(|| match self.stalls {
            // Whoever stalls is let go by a limit, which has its own timer.
            true => Poll::Pending,
            false => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
        })
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Some(over) = self.is_over(self.reads) {
            return over.map_ok(|_| ());
        }
        let most = self.reads.unwrap_or(usize::MAX).min(buffer.remaining());
        let mut part = vec![0; most.min(UNDER_WAY_BYTES)];
        let mut part = ReadBuf::new(&mut part);
        let read = Pin::new(&mut self.inner).poll_read(cx, &mut part);
        buffer.put_slice(part.filled());
        let came = part.filled().len();
        self.reads = self.reads.map(|left| left - came);
        read
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(over) = self.is_over(self.writes) {
            return over;
        }
        let most = self.writes.unwrap_or(usize::MAX).min(bytes.len());
        let written = Pin::new(&mut self.inner).poll_write(cx, &bytes[..most]);
        if let Poll::Ready(Ok(length)) = written {
            self.writes = self.writes.map(|left| left - length);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
