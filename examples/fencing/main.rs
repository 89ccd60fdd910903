//! A writer that cannot be sure that it still holds its lock, and a record that refuses it when it does not.
//!
//! ```sh
//! REDIS_URL=redis://127.0.0.1 cargo run --example fencing
//! ```
//!
//! It takes the lock `report`, says its fencing number, and writes each line of its input into one record. Start it twice: the second
//! waits. Freeze the first with `kill -STOP` for longer than the lock's time and the second gets the lock; thaw the first with
//! `kill -CONT`, and whatever it writes is refused, although it has not noticed anything yet.

use std::env;
use std::error::Error;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, BufReader};
use tower_keep_axum::kv::{KeyValue, Ttl, Update, UpdateError};
use tower_keep_axum::lock::Locks;
use tower_keep_axum::store::Store;

#[derive(Serialize, Deserialize)]
struct Report {
    text: String,
    /// The number of the lock under which it was written.
    fence: u64,
}

/// Somebody wrote under a later lock.
#[derive(Debug)]
struct Overtaken(u64);

/// Writes, unless somebody wrote under a later lock: what the lock itself cannot guarantee.
async fn write(
    reports: &KeyValue<Report>,
    fence: u64,
    text: &str,
) -> Result<Option<Report>, UpdateError<Overtaken>> {
    let updater = |current: Option<&Report>| match current {
        Some(current) if current.fence > fence => Err(Overtaken(current.fence)),
        _ => Ok(Update::Set(Report { text: text.to_owned(), fence }, Ttl::Never)),
    };
    reports.try_update("today", updater).await
}

#[tokio::main]
#[allow(clippy::print_stdout, reason = "it speaks to the person who started it")]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1".to_owned());
    let store = Store::builder().deadline(Duration::from_secs(5)).connect(&url)?;
    let locks =
        Locks::builder(store.clone()).ttl(Duration::from_secs(1)).wait(Duration::from_secs(60)).build()?;
    let reports = KeyValue::<Report>::new(store, "reports")?;

    let lock = locks.acquire("report").await?.keep()?;
    println!("holds {}", lock.fence());
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        match write(&reports, lock.fence(), &line).await {
            Ok(_) => println!("written"),
            Err(UpdateError::Updater(Overtaken(by))) => println!("refused: {by} has written since"),
            Err(error) => println!("failed: {error}"),
        }
    }
    let _ = lock.release().await?;
    Ok(())
}
