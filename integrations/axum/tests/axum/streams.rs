//! Long responses and long connections.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ws::{Message as Frame, WebSocket, WebSocketUpgrade};
use axum::http::{Request, StatusCode};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::{SinkExt, Stream, StreamExt, stream};
use http_body_util::BodyExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async};
use tower::ServiceExt;
use tower_keep_axum::session::{SessionError, SessionHandle};
use tower_keep_axum::{Session, SessionProblem};

use crate::harness::{Backend, Browser, COOKIE, for_each_store, with_layer};
use crate::site::site;

type Events = Arc<tokio::sync::Mutex<Option<mpsc::Receiver<u32>>>>;

/// A stream that has as many events as the test sends.
async fn events(
    session: Session,
    axum::Extension(events): axum::Extension<Events>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, SessionProblem> {
    session.insert("listening", &true)?;
    let receiver = events.lock().await.take().unwrap();
    Ok(Sse::new(stream::unfold(receiver, |mut receiver| async move {
        let n = receiver.recv().await?;
        Some((Ok(Event::default().data(n.to_string())), receiver))
    })))
}

#[tokio::test]
async fn events_are_not_held_back() {
    for_each_store(async |backend| {
        let (sender, receiver) = mpsc::channel(1);
        let app = with_layer(Router::new().route("/events", get(events)), &backend.sessions());
        let receiver: Events = Arc::new(tokio::sync::Mutex::new(Some(receiver)));
        let request = Request::get("/events").extension(receiver).body(axum::body::Body::empty());
        let response = app.oneshot(request.unwrap()).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert!(response.headers().contains_key("set-cookie"), "the session is saved before the body");
        let mut body = response.into_body();
        for n in 0..5 {
            sender.send(n).await.unwrap();
            let frame = tokio::time::timeout(Duration::from_secs(10), body.frame()).await;
            let frame = frame.expect("an event was held back").unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), format!("data: {n}\n\n"));
        }
        drop(sender);
        assert!(body.frame().await.is_none());
    })
    .await;
}

async fn connect(session: Session, upgrade: WebSocketUpgrade) -> Response {
    let _ = session.insert("connected", &true);
    upgrade.on_upgrade(|socket| talk(session, socket)).into_response()
}

/// `+` counts and saves; `?` reads; the end of the session ends the connection with a word.
async fn talk(session: Session, mut socket: WebSocket) {
    let (sessions, handle) = (session.sessions(), session.handle().unwrap());
    let ended = sessions.ended(&handle);
    tokio::pin!(ended);
    loop {
        let frame = tokio::select! {
            () = &mut ended => {
                let _ = socket.send(Frame::text("ended")).await;
                return;
            }
            frame = socket.recv() => match frame {
                Some(Ok(Frame::Text(text))) => text,
                Some(Ok(_)) => continue,
                _ => return,
            },
        };
        let answer = match frame.as_str() {
            "+" => count(&session).await.map_or_else(|error| error.to_string(), |n| n.to_string()),
            _ => format!("{:?}", session.get::<i64>("n").unwrap()),
        };
        let _ = socket.send(Frame::text(answer)).await;
    }
}

async fn count(session: &tower_keep_axum::session::Session) -> Result<i64, SessionError> {
    let n = session.get("n")?.unwrap_or(0) + 1;
    session.insert("n", &n)?;
    session.save().await?;
    Ok(n)
}

type Socket = WebSocketStream<TcpStream>;

async fn say(socket: &mut Socket, text: &str) -> String {
    socket.send(Message::text(text)).await.unwrap();
    hear(socket).await
}

async fn hear(socket: &mut Socket) -> String {
    let heard = tokio::time::timeout(Duration::from_secs(20), socket.next()).await;
    heard.expect("silence").unwrap().unwrap().into_text().unwrap().to_string()
}

/// The app on a real port, a browser that has signed in, and its WebSocket.
async fn open(backend: &Backend) -> (Browser, Socket, tokio::task::JoinHandle<()>) {
    let sessions = backend.sessions();
    let app = with_layer(Router::new().route("/connect", get(connect)), &sessions).merge(site(&sessions));
    let mut browser = Browser::new(&app);
    browser.post("/login/alice").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let mut request = format!("ws://{address}/connect").into_client_request().unwrap();
    let cookie = format!("{COOKIE}={}", browser.session());
    request.headers_mut().insert("cookie", cookie.parse().unwrap());
    let stream = TcpStream::connect(address).await.unwrap();
    let (socket, response) = client_async(request, stream).await.unwrap();
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    (browser, socket, server)
}

#[tokio::test]
async fn a_websocket_keeps_its_session_and_saves_by_itself() {
    for_each_store(async |backend| {
        let (mut browser, mut socket, server) = open(backend).await;
        assert_eq!(browser.get("/me").await.json()["entries"]["connected"], true);
        assert_eq!(say(&mut socket, "?").await, "None");
        for n in 1..=3 {
            assert_eq!(say(&mut socket, "+").await, n.to_string());
            assert_eq!(browser.get("/me").await.json()["entries"]["n"], n);
        }
        server.abort();
    })
    .await;
}

#[tokio::test]
async fn a_websocket_hears_that_its_session_was_revoked() {
    for_each_store(async |backend| {
        for elsewhere in [false, true] {
            let (mut browser, mut socket, server) = open(backend).await;
            assert_eq!(say(&mut socket, "+").await, "1");
            if elsewhere {
                backend.delete(&backend.sessions(), &browser.handle()).await;
            } else {
                browser.post("/logout").await;
            }
            assert_eq!(hear(&mut socket).await, "ended", "elsewhere: {elsewhere}");
            server.abort();
        }
    })
    .await;
}

#[tokio::test]
async fn a_websocket_cannot_write_to_a_session_that_ended() {
    for_each_store(async |backend| {
        let sessions = backend.sessions();
        let app = site(&sessions);
        let mut browser = Browser::new(&app);
        browser.post("/login/alice").await;
        let handle: SessionHandle = browser.handle();
        let session = sessions.open(&handle).await.unwrap().unwrap();
        assert_eq!(count(&session).await.unwrap(), 1);
        browser.post("/logout").await;
        assert!(matches!(count(&session).await, Err(SessionError::Ended)));
        assert!(matches!(session.insert("x", &1), Err(SessionError::Ended)));
        assert_eq!(session.take_set_cookie(), None);
        assert!(sessions.open(&handle).await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn waiting_for_the_end_outlives_a_failing_store() {
    let mut backend = Backend::redis();
    let store = tower_keep_axum::store::Store::builder()
        .prefix(backend.store.prefix().clone())
        .deadline(Duration::from_millis(200))
        .connect(&backend.redis.as_ref().unwrap().url())
        .unwrap();
    let sessions = tower_keep_axum::session::Sessions::new(store);
    let app = Router::new().route(
        "/login",
        post(
            |session: Session| async move { session.login("alice").map(drop).map_err(SessionProblem::from) },
        ),
    );
    let app = with_layer(app, &sessions);
    let mut browser = Browser::new(&app);
    browser.post("/login").await;
    let handle = browser.handle();
    let server = backend.redis.as_mut().unwrap();
    server.freeze();
    let mut waiting = Box::pin(sessions.ended(&handle));
    assert!(tokio::time::timeout(Duration::from_secs(3), &mut waiting).await.is_err(), "a failure is no end");
    server.thaw();
    let _: u64 = server.cmd("DEL", format!("app:session:{handle}"));
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("nobody told of the end");
}
