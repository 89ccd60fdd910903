//! What a server hears, by `MONITOR`.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::RedisServer;

/// A connection in `MONITOR` mode.
#[derive(Debug)]
pub struct Monitor {
    stream: BufReader<TcpStream>,
}

impl Monitor {
    /// Listens to a server from now on.
    ///
    /// # Panics
    ///
    /// When the connection fails.
    pub async fn start(server: &RedisServer) -> Self {
        let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", server.port())).await.unwrap());
        stream.write_all(b"MONITOR\r\n").await.unwrap();
        let mut ok = String::new();
        stream.read_line(&mut ok).await.unwrap();
        assert_eq!(ok, "+OK\r\n");
        Self { stream }
    }

    /// The lines heard so far; ends with a mark that the server is told to repeat.
    ///
    /// # Panics
    ///
    /// When the connection ends.
    pub async fn heard(&mut self, server: &RedisServer) -> Vec<String> {
        let mark = format!("keep-testing-mark-{:?}", std::time::Instant::now());
        let _: String = server.cmd("ECHO", mark.as_str());
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            let read = tokio::time::timeout(Duration::from_secs(10), self.stream.read_line(&mut line));
            assert!(read.await.expect("redis went silent").unwrap() > 0, "the connection ended");
            if line.contains("keep-testing-mark-") {
                return lines;
            }
            // What clients say by themselves: their names, and a store's look at its server.
            let own = ["\"CLIENT\" \"SETINFO\"", "\"HELLO\"", "lua] \"INFO\""];
            let is_check = line.contains("\"EVAL") && line.contains(":probe:0\"");
            if !is_check && !own.iter().any(|own| line.contains(own)) {
                lines.push(line.trim_end().to_owned());
            }
        }
    }
}
