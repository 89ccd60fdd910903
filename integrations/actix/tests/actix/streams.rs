//! Streams, upgrades and bodies that are not `Send`.

use std::cell::RefCell;
use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::{BodySize, MessageBody};
use actix_web::web::Bytes;
use actix_web::{App, Error, HttpRequest, HttpResponse, HttpServer, web};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;
use tower_keep_actix::cache::HttpCache;
use tower_keep_actix::rate_limit::{By, Limit, Quota, RateLimitLayer, RateLimiter, Settle};
use tower_keep_actix::session::Sessions;
use tower_keep_actix::store::Store;
use tower_keep_actix::{CacheMiddleware, RateLimitMiddleware, Session, SessionMiddleware};

/// A body in pieces that belongs to one thread.
pub struct Pieces(Rc<RefCell<Vec<&'static str>>>);

pub fn pieces(pieces: &[&'static str]) -> HttpResponse<Pieces> {
    let left = pieces.iter().rev().copied().collect();
    HttpResponse::with_body(actix_web::http::StatusCode::OK, Pieces(Rc::new(RefCell::new(left))))
}

impl MessageBody for Pieces {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        Poll::Ready(self.0.borrow_mut().pop().map(|piece| Ok(Bytes::from_static(piece.as_bytes()))))
    }
}

/// Waits for a word from the test before it goes on.
struct Asked(tokio::sync::mpsc::UnboundedReceiver<&'static str>);

impl MessageBody for Asked {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        self.0.poll_recv(cx).map(|word| word.map(|word| Ok(Bytes::from_static(word.as_bytes()))))
    }
}

type Word = std::sync::Mutex<Option<tokio::sync::mpsc::UnboundedReceiver<&'static str>>>;

async fn events(word: web::Data<Word>, session: Session) -> HttpResponse<Asked> {
    session.insert("heard", &true).unwrap();
    let body = Asked(word.lock().unwrap().take().unwrap());
    let mut response = HttpResponse::with_body(actix_web::http::StatusCode::OK, body);
    let kind = actix_web::http::header::HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert(actix_web::http::header::CONTENT_TYPE, kind);
    response
}

/// An echo in capitals.
async fn upgrade(_: Session, request: HttpRequest, body: web::Payload) -> Result<HttpResponse, Error> {
    let (response, mut socket, mut messages) = actix_ws::handle(&request, body)?;
    actix_web::rt::spawn(async move {
        while let Some(Ok(actix_ws::Message::Text(text))) = messages.recv().await {
            socket.text(text.to_uppercase()).await.unwrap();
        }
    });
    Ok(response)
}

/// All three middlewares around everything.
fn serve(word: tokio::sync::mpsc::UnboundedReceiver<&'static str>) -> std::net::SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let word = web::Data::new(Word::new(Some(word)));
    let store = Store::in_memory();
    let limiter = RateLimiter::builder(store.clone()).limit(Limit::new("all", Quota::per_day(1_000)));
    let limiter = limiter.build().unwrap();
    let (sessions, cache) = (Sessions::new(store.clone()), HttpCache::new(store).unwrap());
    let app = move || {
        let settle = Settle::by_bytes(std::num::NonZeroU64::MIN);
        let limit = RateLimitLayer::builder(limiter.clone(), By::everybody()).settle(settle).build().unwrap();
        App::new()
            .app_data(word.clone())
            .route("/events", web::get().to(events))
            .route("/upgrade", web::get().to(upgrade))
            .wrap(CacheMiddleware::new(cache.clone()))
            .wrap(RateLimitMiddleware::from(limit))
            .wrap(SessionMiddleware::new(sessions.clone()))
    };
    let server = HttpServer::new(app).workers(1).listen(listener).unwrap().run();
    std::thread::spawn(move || actix_web::rt::System::new().block_on(server));
    address
}

async fn read_until(stream: &mut TcpStream, read: &mut String, wanted: &str) {
    let reading = async {
        let mut bytes = [0; 1024];
        while !read.contains(wanted) {
            let n = stream.read(&mut bytes).await.unwrap();
            assert!(n > 0, "it ended: {read:?}");
            read.push_str(std::str::from_utf8(&bytes[..n]).unwrap());
        }
    };
    tokio::time::timeout(Duration::from_secs(30), reading).await.expect(wanted);
}

#[tokio::test]
async fn an_event_stream_passes_all_middlewares_event_by_event() {
    let (say, word) = tokio::sync::mpsc::unbounded_channel();
    let mut stream = TcpStream::connect(serve(word)).await.unwrap();
    stream.write_all(b"GET /events HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut read = String::new();
    read_until(&mut stream, &mut read, "\r\n\r\n").await;
    assert!(read.contains("set-cookie: __Host-session=") && read.contains("ratelimit: "), "{read}");
    assert!(read.contains("cache-status: "), "{read}");
    for event in ["data: 1\n\n", "data: 2\n\n"] {
        say.send(event).unwrap(); // the next one is not there until this one was heard
        read_until(&mut stream, &mut read, event).await;
    }
    drop(say);
    read_until(&mut stream, &mut read, "0\r\n\r\n").await;
}

#[tokio::test]
async fn an_upgraded_connection_passes_all_middlewares_both_ways() {
    let (_say, word) = tokio::sync::mpsc::unbounded_channel();
    let stream = TcpStream::connect(serve(word)).await.unwrap();
    let (mut socket, response) = client_async("ws://x/upgrade", stream).await.unwrap();
    assert!(response.headers().contains_key("ratelimit"), "{response:?}");
    for word in ["ping", "again"] {
        socket.send(Message::text(word)).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::text(word.to_uppercase()));
    }
    socket.close(None).await.unwrap();
}
