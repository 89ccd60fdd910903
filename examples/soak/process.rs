//! The site's process: started, watched in `/proc`, and ended.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::client::Client;

/// What is seen of it at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    pub seconds: f64,
    pub rss_kib: f64,
    pub files: usize,
}

/// The running site. Ended when dropped.
pub struct Site {
    child: Child,
    pub address: SocketAddr,
    complaints: Arc<Mutex<Vec<String>>>,
}

impl Site {
    pub async fn start(redis: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg("serve").env_clear().env("REDIS_URL", redis).kill_on_drop(true);
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let address =
            BufReader::new(child.stdout.take().unwrap()).lines().next_line().await.unwrap().unwrap();
        let (complaints, mut lines) = (Arc::default(), BufReader::new(child.stderr.take().unwrap()).lines());
        let kept: Arc<Mutex<Vec<String>>> = Arc::clone(&complaints);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                // That a reply is somebody else's is the fault that is inflicted, and to be said.
                let expected = line.contains("did not belong to its request");
                if line.contains("panicked") || line.contains(" ERROR ") && !expected {
                    kept.lock().unwrap().push(line);
                }
            }
        });
        Self { child, address: address.parse().unwrap(), complaints }
    }

    pub fn pid(&self) -> u32 {
        self.child.id().expect("the site runs")
    }

    /// Panics and errors that it spoke of, and that nobody inflicted.
    pub fn complaints(&self) -> Vec<String> {
        self.complaints.lock().unwrap().clone()
    }

    /// Waits until its store serves.
    pub async fn is_up(&self, client: &Client) {
        let begun = Instant::now();
        while client.send("GET", "/healthz", None, &[]).await.map_or(0, |answer| answer.status) != 200 {
            assert!(begun.elapsed() < Duration::from_secs(30), "the store does not come back");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Its open files once no client is connected any more: the same number for a second.
    pub async fn at_rest(&self, client: &Client) -> usize {
        client.rest();
        let (mut files, mut since) = (0, Instant::now());
        let begun = Instant::now();
        while since.elapsed() < Duration::from_secs(1) && begun.elapsed() < Duration::from_secs(20) {
            let now = look(self.pid()).map_or(0, |(_, files)| files);
            if now != files {
                (files, since) = (now, Instant::now());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        files
    }
}

/// Resident memory in KiB and open files; none where there is no `/proc`.
fn look(pid: u32) -> Option<(f64, usize)> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count();
    Some((line.trim().trim_end_matches(" kB").parse().ok()?, files))
}

/// Looks every second.
pub struct Watch {
    samples: Arc<Mutex<Vec<Sample>>>,
    task: JoinHandle<()>,
}

impl Watch {
    pub fn start(pid: u32) -> Self {
        let (samples, begun) = (Arc::new(Mutex::new(Vec::new())), Instant::now());
        let seen = Arc::clone(&samples);
        let task = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_secs(1));
            loop {
                ticks.tick().await;
                if let Some((rss_kib, files)) = look(pid) {
                    seen.lock().unwrap().push(Sample {
                        seconds: begun.elapsed().as_secs_f64(),
                        rss_kib,
                        files,
                    });
                }
            }
        });
        Self { samples, task }
    }

    pub fn stop(self) -> Vec<Sample> {
        self.task.abort();
        self.samples.lock().unwrap().clone()
    }
}
