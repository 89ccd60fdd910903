//! A client that sends any bytes, and reads answers by the letter of RFC 9112.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::servers::Server;

/// What a server may take on a busy machine to answer or to close.
const PATIENCE: Duration = Duration::from_secs(20);

/// An answer as it stood on the wire.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    head: String,
    pub body: String,
}

impl Reply {
    pub fn field(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
    }

    pub fn is_hit(&self) -> bool {
        self.field("cache-status").is_some_and(|told| told.contains("; hit"))
    }
}

/// A connection.
pub struct Wire {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Wire {
    pub async fn connect(server: &Server) -> Self {
        Self { stream: TcpStream::connect(server.address).await.unwrap(), received: Vec::new() }
    }

    /// One well-formed request on a connection of its own.
    pub async fn ask(server: &Server, method: &str, path: &str, fields: &str) -> Reply {
        let mut wire = Self::connect(server).await;
        wire.send(format!("{method} {path} HTTP/1.1\r\nHost: shop\r\n{fields}\r\n").as_bytes()).await;
        wire.reply().await.expect("an answer")
    }

    /// Sends bytes. A server may have closed the connection already.
    pub async fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    /// Says that nothing more comes.
    pub async fn finish(&mut self) {
        let _ = self.stream.shutdown().await;
    }

    /// The next answer; `None` when the connection ends before one begins.
    pub async fn reply(&mut self) -> Option<Reply> {
        let end = loop {
            match find(&self.received, b"\r\n\r\n") {
                Some(end) => break end + 4,
                None if self.read().await => {}
                None => {
                    assert!(self.received.is_empty(), "half an answer: {:?}", self.text());
                    return None;
                }
            }
        };
        let head = String::from_utf8(self.received.drain(..end).collect()).unwrap();
        assert!(
            head.starts_with("HTTP/1.1 ") || head.starts_with("HTTP/1.0 "),
            "no answer begins here: {head:?}"
        );
        let mut reply = Reply { status: head[9..12].parse().unwrap(), head, body: String::new() };
        assert!(
            reply.field("transfer-encoding").is_none() || reply.field("content-length").is_none(),
            "an answer of two lengths: {reply:?}"
        );
        reply.body = if reply.field("transfer-encoding").is_some() {
            self.chunks().await
        } else if let Some(length) = reply.field("content-length") {
            let length = length.parse().unwrap();
            self.take(length).await
        } else if matches!(reply.status, 100..=199 | 204 | 304) {
            String::new()
        } else {
            while self.read().await {}
            std::mem::take(&mut self.received).iter().map(|b| char::from(*b)).collect()
        };
        Some(reply)
    }

    /// All answers up to the end of the connection.
    pub async fn replies(mut self) -> Vec<Reply> {
        self.finish().await;
        let mut replies = Vec::new();
        while let Some(reply) = self.reply().await {
            replies.push(reply);
        }
        replies
    }

    async fn chunks(&mut self) -> String {
        let mut body = String::new();
        loop {
            let line = loop {
                match find(&self.received, b"\r\n") {
                    Some(end) => break end,
                    None => assert!(self.read().await, "a body without its end"),
                }
            };
            let size = String::from_utf8(self.received.drain(..line + 2).collect()).unwrap();
            let size = usize::from_str_radix(size.trim_end(), 16).unwrap();
            body += &self.take(size).await;
            assert_eq!(self.take(2).await, "\r\n", "a piece without its end");
            if size == 0 {
                return body;
            }
        }
    }

    async fn take(&mut self, length: usize) -> String {
        while self.received.len() < length {
            assert!(self.read().await, "a body without its end");
        }
        String::from_utf8(self.received.drain(..length).collect()).unwrap()
    }

    /// Whether more came.
    async fn read(&mut self) -> bool {
        let read = tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.received)).await;
        read.unwrap_or_else(|_| panic!("neither an answer nor an end after {:?}", self.text()))
            .is_ok_and(|n| n > 0)
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.received).into_owned()
    }
}

fn find(bytes: &[u8], mark: &[u8]) -> Option<usize> {
    bytes.windows(mark.len()).position(|window| window == mark)
}
