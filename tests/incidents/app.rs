//! A small app behind a session layer, and the browsers that speak to it.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use keep_testing::{Answer, Jar, cookie_line};
use tokio::sync::Barrier;
use tower::util::ServiceFn;
use tower::{Layer, ServiceExt};
use tower_keep::session::{Session, SessionError, SessionLayer, SessionService, SessionSet, Sessions};

pub const COOKIE: &str = "__Host-session";

/// In a request's extensions: its handler stops twice between load and save, and goes on when the test comes there too.
pub type Pause = Arc<Barrier>;

type Page = Response<Full<Bytes>>;
type Handling = Pin<Box<dyn Future<Output = Result<Page, Infallible>> + Send>>;

type Handler = ServiceFn<fn(Request<()>) -> Handling>;

/// `/me` tells user and entries, `/login/USER`, `/logout`, `/put/NAME/VALUE` and `/count/NAME` do what they say.
#[derive(Clone)]
pub struct App(SessionService<Handler>);

impl App {
    pub fn new(sessions: &Sessions) -> Self {
        let handler: fn(Request<()>) -> Handling =
            |request| Box::pin(async move { Ok(handle(request).await) });
        Self(SessionLayer::new(sessions.clone()).layer(tower::service_fn(handler)))
    }

    pub async fn send(&self, request: Request<()>) -> Answer {
        Answer::read(self.0.clone().oneshot(request).await.unwrap()).await
    }

    /// What `/me` tells to whoever shows these `Cookie` lines.
    pub async fn me(&self, lines: &[&[u8]]) -> Answer {
        let mut request = Request::get("/me").body(()).unwrap();
        for line in lines {
            request.headers_mut().append(header::COOKIE, HeaderValue::from_bytes(line).unwrap());
        }
        self.send(request).await
    }

    /// A browser that has signed in.
    pub async fn signed_in(&self, user: &str) -> Browser {
        let mut browser = Browser::new(self);
        assert_eq!(browser.get(&format!("/login/{user}")).await.status, StatusCode::OK);
        browser
    }
}

async fn handle(request: Request<()>) -> Page {
    let session = request.extensions().get::<SessionSet>().unwrap().innermost().load().await;
    let done = match session {
        Ok(session) => act(&session, &request).await,
        Err(error) => Err(error),
    };
    if let Some(pause) = request.extensions().get::<Pause>() {
        pause.wait().await;
        pause.wait().await;
    }
    match done {
        Ok(text) => Response::new(text.into()),
        Err(_) => {
            let mut response = Response::new(Full::default());
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            response
        }
    }
}

async fn act(session: &Session, request: &Request<()>) -> Result<String, SessionError> {
    let words: Vec<_> = request.uri().path().split('/').skip(1).collect();
    match words[..] {
        ["me"] => return Ok(format!("{:?} {:?}", session.principal().as_deref(), session.entries())),
        ["login", user] => drop(session.login(user)?),
        ["logout"] => session.logout()?,
        ["put", name, value] => session.insert(name, value)?,
        ["count", name] => return Ok(session.increment(name, 1).await?.to_string()),
        _ => panic!("no such path: {words:?}"),
    }
    Ok("done".to_owned())
}

/// What `/me` says to a stranger.
pub const STRANGER: &str = "None {}";

/// What `/me` says to a user without entries.
pub fn greeting(user: &str) -> String {
    format!("Some({user:?}) {{}}")
}

/// Keeps the cookies that it is given and sends them back. Clones have cookie jars of their own.
#[derive(Clone)]
pub struct Browser {
    app: App,
    pub cookies: Jar,
}

impl Browser {
    pub fn new(app: &App) -> Self {
        Self { app: app.clone(), cookies: Jar::new() }
    }

    /// The same browser at another instance of the app.
    pub fn at(&self, app: &App) -> Self {
        Self { app: app.clone(), cookies: self.cookies.clone() }
    }

    pub fn request(&self, path: &str) -> Request<()> {
        let mut request = Request::get(path).body(()).unwrap();
        if let Some(line) = cookie_line(&self.cookies) {
            request.headers_mut().insert(header::COOKIE, line);
        }
        request
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        let answer = self.app.send(self.request(path)).await;
        answer.fill(&mut self.cookies);
        answer
    }

    pub async fn me(&mut self) -> String {
        let answer = self.get("/me").await;
        assert_eq!(answer.status, StatusCode::OK);
        answer.body
    }

    /// Sends a request that stops between load and save; gives its answer to come, and where it waits.
    pub async fn paused(&self, path: &str) -> (tokio::task::JoinHandle<Answer>, Pause) {
        let (pause, mut request) = (Arc::new(Barrier::new(2)), self.request(path));
        request.extensions_mut().insert(Arc::clone(&pause));
        let app = self.app.clone();
        let answer = tokio::spawn(async move { app.send(request).await });
        pause.wait().await;
        (answer, pause)
    }

    pub fn session(&self) -> &str {
        &self.cookies[COOKIE]
    }

    pub fn handle(&self) -> &str {
        self.session().split('.').next().unwrap()
    }

    /// Its `Cookie` line.
    pub fn line(&self) -> Vec<u8> {
        format!("{COOKIE}={}", self.session()).into_bytes()
    }
}
