//! The app of a test on a free loopback port, until the test's process ends.

use std::net::SocketAddr;

use actix_web::dev::Server;
use axum::Router;
use axum::serve::ListenerExt;

/// By axum, which tells the app the client's address.
pub async fn on_axum(app: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    address
}

/// By actix-web, on a thread and a runtime of its own. `start` tells where the server listens, and runs it.
pub async fn on_actix(start: impl FnOnce() -> (SocketAddr, Server) + Send + 'static) -> SocketAddr {
    let (tell, told) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let (address, server) = start();
            tell.send(address).unwrap();
            server.await.unwrap();
        });
    });
    told.await.unwrap()
}
