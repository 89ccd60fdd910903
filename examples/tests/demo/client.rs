//! A browser without a window: one connection for each request.

use std::net::SocketAddr;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Request, Response, header};
use hyper_util::rt::TokioIo;
use keep_testing::{Answer, Jar, cookie_line};
use serde_json::Value;
use tokio::net::TcpStream;

/// Keeps the cookies that it is given and sends them back. Clones have cookie jars of their own.
#[derive(Clone, Debug)]
pub struct Client {
    address: SocketAddr,
    pub cookies: Jar,
}

impl Client {
    pub fn new(address: SocketAddr) -> Self {
        Self { address, cookies: Jar::new() }
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        self.call("GET", path, "").await
    }

    pub async fn post(&mut self, path: &str) -> Answer {
        self.call("POST", path, "").await
    }

    pub async fn put(&mut self, path: &str, body: &str) -> Answer {
        self.call("PUT", path, body).await
    }

    pub async fn delete(&mut self, path: &str) -> Answer {
        self.call("DELETE", path, "").await
    }

    /// The form of the page, as a browser sends it.
    pub async fn login(&mut self, user: &str) -> Answer {
        self.send(form(user).body(user_is(user)).unwrap()).await
    }

    pub async fn me(&mut self) -> Value {
        let answer = self.get("/api/me").await;
        assert_eq!(answer.status, 200);
        answer.json()
    }

    /// The session cookie, whichever name the settings gave it.
    pub fn session(&self) -> &str {
        assert_eq!(self.cookies.len(), 1, "{:?}", self.cookies);
        self.cookies.values().next().unwrap()
    }

    /// The public half of the session cookie.
    pub fn handle(&self) -> &str {
        self.session().split('.').next().unwrap()
    }

    async fn call(&mut self, method: &str, path: &str, body: &str) -> Answer {
        self.send(Request::builder().method(method).uri(path).body(body.to_owned()).unwrap()).await
    }

    /// Sends a request with the jar's cookies, and keeps those of the response.
    pub async fn send(&mut self, request: Request<String>) -> Answer {
        let answer = Answer::read(self.begin(request).await).await;
        answer.fill(&mut self.cookies);
        answer
    }

    /// Sends a request and gives the response as soon as its head is there.
    pub async fn begin(&self, mut request: Request<String>) -> Response<Incoming> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let headers = request.headers_mut();
        headers.entry(header::HOST).or_insert(self.address.to_string().parse().unwrap());
        if let Some(line) = cookie_line(&self.cookies) {
            headers.insert(header::COOKIE, line);
        }
        sender.send_request(request.map(|body| Full::new(Bytes::from(body)))).await.unwrap()
    }
}

/// `POST /login` with the content type of a form.
pub fn form(agent: &str) -> hyper::http::request::Builder {
    let builder = Request::post("/login").header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    builder.header(header::USER_AGENT, format!("{agent}'s browser"))
}

fn user_is(user: &str) -> String {
    let escaped: String = user.bytes().map(|b| format!("%{b:02X}")).collect();
    format!("user={escaped}")
}
