//! Order updates to browsers by WebSocket, from whichever instance they come.
//!
//! ```sh
//! REDIS_URL=redis://127.0.0.1 ADDR=127.0.0.1:3001 cargo run --example broadcast
//! REDIS_URL=redis://127.0.0.1 ADDR=127.0.0.1:3002 cargo run --example broadcast
//! curl -d shipped http://127.0.0.1:3002/orders/7       # a client of ws://127.0.0.1:3001/orders/7 gets it
//! ```
//!
//! Without `REDIS_URL` there is one instance, and messages stay within it.

use std::env;
use std::error::Error;

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use serde::{Deserialize, Serialize};
use tower_keep_axum::pubsub::{Missed, PubSub, PubSubError, Subscription};
use tower_keep_axum::store::Store;

#[derive(Serialize, Deserialize)]
struct Update {
    order: u64,
    status: String,
}

/// What a client is sent: an update, or that it should load the order again.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Push {
    Update(Update),
    Reload,
}

#[allow(clippy::needless_pass_by_value, reason = "used with map_err")]
fn unavailable(error: PubSubError) -> StatusCode {
    tracing::warn!(error = &error as &dyn Error, "an order's updates are unavailable");
    StatusCode::SERVICE_UNAVAILABLE
}

/// Listens before it answers, so a client that is connected misses nothing from then on.
async fn follow(
    State(events): State<PubSub>,
    Path(order): Path<u64>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, StatusCode> {
    let updates = events.subscribe(&format!("order:{order}")).await.map_err(unavailable)?;
    Ok(upgrade.on_upgrade(|socket| forward(socket, updates)))
}

async fn forward(mut socket: WebSocket, mut updates: Subscription<Update>) {
    loop {
        let push = tokio::select! {
            update = updates.next() => match update {
                Ok(update) => Push::Update(update.value),
                Err(Missed::Undecodable) => continue,
                // A browser that is told what it missed can ask for it.
                Err(_) => Push::Reload,
            },
            // What clients say does not matter here, only that they leave.
            said = socket.recv() => match said {
                Some(Ok(_)) => continue,
                _ => return,
            },
        };
        let Ok(text) = serde_json::to_string(&push) else { return };
        if socket.send(Message::text(text)).await.is_err() {
            return;
        }
    }
}

async fn change(
    State(events): State<PubSub>,
    Path(order): Path<u64>,
    status: String,
) -> Result<StatusCode, StatusCode> {
    // Here the order would be written to a database; then everybody who looks at it is told.
    events.publish(&format!("order:{order}"), &Update { order, status }).await.map_err(unavailable)?;
    Ok(StatusCode::NO_CONTENT)
}

#[tokio::main]
#[allow(clippy::print_stdout, reason = "this line is for the person who started the program")]
async fn main() -> Result<(), Box<dyn Error>> {
    let store = match env::var("REDIS_URL") {
        Ok(url) if !url.is_empty() => Store::connect(&url)?,
        _ => Store::in_memory(),
    };
    let app = Router::new().route("/orders/{order}", get(follow).post(change)).with_state(PubSub::new(store));
    let address = env::var("ADDR").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}
