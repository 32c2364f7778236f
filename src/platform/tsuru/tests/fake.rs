//! A server that answers byte by byte as a test says, for what no well-behaved server does.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// One request as it arrived.
#[derive(Debug, Clone, Default)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) headers: String,
    pub(super) body: String,
}

impl Request {
    pub(super) fn is(&self, method: &str, path: &str) -> bool {
        self.method == method && self.target.split('?').next() == Some(path)
    }

    pub(super) fn line(&self) -> String {
        format!("{} {} {}", self.method, self.target, self.body).trim_end().to_owned()
    }
}

/// What the server does next on a connection. It closes it at the end.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Send(Vec<u8>),
    Wait(Duration),
}

pub(super) struct Fake {
    pub(super) url: String,
    seen: Arc<Mutex<Vec<Request>>>,
    under_way: Arc<AtomicUsize>,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Fake {
    /// `script` answers each request; its second argument says how many with the same method and path came before.
    pub(super) async fn start(script: impl Fn(&Request, usize) -> Vec<Step> + Send + Sync + 'static) -> Self {
        Self::until(usize::MAX, script).await
    }

    /// As `start`, but nobody listens any more after `connections`.
    pub(super) async fn until(
        connections: usize,
        script: impl Fn(&Request, usize) -> Vec<Step> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::<Request>::new()));
        let (script, log) = (Arc::new(script), Arc::clone(&seen));
        let under_way = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&under_way);
        let server = tokio::spawn(async move {
            for _ in 0..connections {
                let Ok((stream, _)) = listener.accept().await else { break };
                let (script, log, count) = (Arc::clone(&script), Arc::clone(&log), Arc::clone(&count));
                tokio::spawn(async move {
                    count.fetch_add(1, Ordering::SeqCst);
                    serve(stream, script, log).await;
                    count.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { url, seen, under_way, server }
    }

    /// How many connections are being answered.
    pub(super) fn under_way(&self) -> usize {
        self.under_way.load(Ordering::SeqCst)
    }

    pub(super) fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }

    /// The requests that were no reads, each on a line.
    pub(super) fn changes(&self) -> Vec<String> {
        self.seen().iter().filter(|r| r.method != "GET").map(Request::line).collect()
    }
}

async fn serve(
    mut stream: TcpStream,
    script: Arc<impl Fn(&Request, usize) -> Vec<Step>>,
    log: Arc<Mutex<Vec<Request>>>,
) {
    let Some(request) = read(&mut stream).await else { return };
    let before = {
        let mut log = log.lock().unwrap();
        let path = |r: &Request| r.target.split('?').next().map(str::to_owned);
        let before = log.iter().filter(|r| r.method == request.method && path(r) == path(&request)).count();
        log.push(request.clone());
        before
    };
    for step in script(&request, before) {
        match step {
            Step::Send(bytes) => {
                if stream.write_all(&bytes).await.is_err() || stream.flush().await.is_err() {
                    return;
                }
            }
            Step::Wait(time) => tokio::time::sleep(time).await,
        }
    }
}

async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let count = stream.read(&mut piece).await.ok().filter(|n| *n > 0)?;
        bytes.extend_from_slice(&piece[..count]);
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|l| {
            l.to_ascii_lowercase().strip_prefix("content-length:").map(|n| n.trim().parse().unwrap())
        });
        if body.len() >= length.unwrap_or(0) {
            let (line, headers) = head.split_once("\r\n").unwrap();
            let mut words = line.split(' ').map(str::to_owned);
            return Some(Request {
                method: words.next()?,
                target: words.next()?,
                headers: headers.to_owned(),
                body: body.to_owned(),
            });
        }
    }
}

/// An answer with a body of known length.
pub(super) fn answer(status: u16, content_type: &str, body: &str) -> Vec<Step> {
    let text = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\nSupported-Tsuru: 1.0.1\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    vec![Step::Send(text.into_bytes())]
}

pub(super) fn json(value: &serde_json::Value) -> Vec<Step> {
    answer(200, "application/json", &value.to_string())
}

pub(super) fn refusal(status: u16, text: &str) -> Vec<Step> {
    answer(status, "text/plain; charset=utf-8", text)
}

pub(super) fn nothing() -> Vec<Step> {
    vec![Step::Send(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n".to_vec())]
}

/// The beginning of a stream; chunks follow.
pub(super) fn stream_head() -> Step {
    Step::Send(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/x-json-stream\r\nSupported-Tsuru: 1.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
            .to_vec(),
    )
}

pub(super) fn chunk(text: &str) -> Step {
    Step::Send(format!("{:x}\r\n{text}\r\n", text.len()).into_bytes())
}

pub(super) fn end_of_chunks() -> Step {
    Step::Send(b"0\r\n\r\n".to_vec())
}
