//! A soak: mixed traffic of sessions, limits and a cache over real HTTP, against a site in a process of its own, while its Redis is broken
//! in turn in every way of a list. Each answer is judged: nobody may ever get what is not theirs.
//!
//! `scripts/soak [--seconds N] [--rate N]` builds and runs it. It starts `redis-server` and the site on free loopback ports, and ends both.
//! It fails when one value was wrong, a request was never answered, or the site's memory or file descriptors grow.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    reason = "a program for developers, which fails by panicking"
)]

mod client;
mod faults;
mod judge;
mod load;
mod process;
mod site;
mod summary;
mod users;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use keep_testing::{Proxy, RedisServer};

use crate::client::Client;
use crate::judge::Judge;
use crate::load::Load;
use crate::process::{Site, Watch};
use crate::summary::Summary;

/// What the arguments say.
struct Settings {
    seconds: u64,
    /// Requests a second.
    rate: u64,
}

impl Settings {
    fn read() -> Option<Self> {
        let mut settings = Self { seconds: 600, rate: 1_000 };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let number = words.next()?.parse().ok().filter(|n| *n > 0)?;
            match word.as_str() {
                "--seconds" => settings.seconds = number,
                "--rate" => settings.rate = number,
                _ => return None,
            }
        }
        Some(settings)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("serve") {
        site::serve().await;
        return ExitCode::SUCCESS;
    }
    let Some(settings) = Settings::read() else {
        println!("soak [--seconds N] [--rate N]: default 600 s, 1000 requests a second");
        return ExitCode::from(2);
    };
    soak(&settings).await
}

async fn soak(settings: &Settings) -> ExitCode {
    let server = RedisServer::start();
    let proxy = Arc::new(Proxy::start(server.port()).await);
    let site = Site::start(&proxy.url()).await;
    let judge = Arc::new(Judge::default());
    let load = Arc::new(Load::new(Client::new(site.address), Arc::clone(&judge)));
    load.everybody_signs_in().await;
    let before = site.at_rest(&load.client).await;

    load.everybody_comes_at_once().await;
    let watch = Watch::start(site.pid());
    let faults = faults::Faults::start(server, Arc::clone(&proxy), Arc::clone(&judge));
    load.run(Duration::from_secs(settings.seconds), settings.rate).await;
    let (_server, done) = faults.stop().await;
    site.is_up(&load.client).await;
    load.everybody_is_themselves().await;
    let watched = watch.stop();
    let after = site.at_rest(&load.client).await;

    let summary = Summary {
        judge: &judge,
        faults: &done,
        watched: &watched,
        before,
        after,
        complaints: site.complaints(),
    };
    let holds = summary.print(settings.seconds);
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
