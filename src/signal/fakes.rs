//! What sources are tested against: an HTTP server that says what it is told to, to the byte.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::rollout::{Observed, Unit};
use crate::words::{Time, Version};

/// A request as it came.
pub(super) struct Asked {
    /// The path with its query.
    pub(super) path: String,
    /// The head, in lower case.
    pub(super) head: String,
    pub(super) body: String,
}

/// A server on loopback. It ends with the test's runtime.
pub(super) struct Server {
    pub(super) address: SocketAddr,
}

impl Server {
    /// A server that answers with the bytes that `answer` gives. Where there are none it never answers.
    pub(super) async fn new(answer: impl Fn(&Asked) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answer = Arc::new(answer);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&answer)));
            }
        });
        Self { address }
    }
}

async fn serve(mut stream: TcpStream, answer: Arc<impl Fn(&Asked) -> Vec<u8>>) {
    let Some(asked) = read(&mut stream).await else { return };
    let bytes = answer(&asked);
    if bytes.is_empty() {
        std::future::pending::<()>().await;
    }
    // The client may have turned away, which is its right.
    let _ = stream.write_all(&bytes).await;
}

async fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let length = stream.read(&mut chunk).await.ok().filter(|length| *length > 0)?;
        bytes.extend_from_slice(&chunk[..length]);
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let (path, lower) = (head.split(' ').nth(1)?.to_owned(), head.to_lowercase());
        let announced = lower.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
        if body.len() >= announced.map_or(0, |length| length.parse().unwrap()) {
            return Some(Asked { path, head: lower, body: body.to_owned() });
        }
    }
}

/// An answer as it should be.
pub(super) fn answer(status: &str, content_type: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
    .into_bytes()
}

/// A metrics page.
pub(super) fn page(body: &str) -> Vec<u8> {
    answer("200 OK", "text/plain; version=0.0.4", body)
}

/// A ready, routable unit.
pub(super) fn unit(name: &str, version: u32, address: Option<SocketAddr>) -> Unit {
    Unit {
        name: name.to_owned(),
        process: "web".to_owned(),
        version: Version(version),
        address: address.map(|address| address.to_string()),
        ready: true,
        routable: true,
        base: version == 1,
        status: "started".to_owned(),
        restarts: 0,
        created: None,
    }
}

/// An app with these units.
pub(super) fn observed(units: Vec<Unit>) -> Observed {
    Observed { at: Time(0), units: units.into(), autoscaled: Vec::new(), quota_left: None, gaps: Vec::new() }
}
