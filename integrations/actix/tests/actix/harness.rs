//! Asking an app.

use std::fmt;

use actix_web::body::{BoxBody, MessageBody, to_bytes};
use actix_web::dev::{Service, ServiceResponse};
use actix_web::test::TestRequest;
use actix_web::{Error, HttpResponse, ResponseError};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use keep_testing::{Answer, Jar, cookie_line};

/// Asks, and reads the answer to its end; an error becomes a response as in a server.
pub async fn ask<S, B>(app: &S, request: TestRequest) -> Answer
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    match app.call(request.to_request()).await {
        Ok(response) => read(HttpResponse::from(response)).await,
        Err(error) => read(error.error_response()).await,
    }
}

/// The same as a browser that keeps cookies.
pub async fn browse<S, B>(app: &S, jar: &mut Jar, mut request: TestRequest) -> Answer
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    if let Some(line) = cookie_line(jar) {
        request = request.insert_header(("cookie", line.as_bytes()));
    }
    let answer = ask(app, request).await;
    answer.fill(jar);
    answer
}

async fn read<B: MessageBody + 'static>(response: HttpResponse<B>) -> Answer {
    let mut headers = HeaderMap::new();
    for (name, value) in response.headers() {
        let name = HeaderName::from_bytes(name.as_str().as_bytes()).unwrap();
        headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    let status = StatusCode::from_u16(response.status().as_u16()).unwrap();
    let body = to_bytes(BoxBody::new(response.into_body())).await.unwrap();
    Answer { status, headers, body: String::from_utf8(body.to_vec()).unwrap() }
}

/// What handlers and middlewares fail with.
#[derive(Clone, Copy, Debug)]
pub struct Teapot;

impl fmt::Display for Teapot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the inside of a teapot")
    }
}

impl ResponseError for Teapot {
    fn status_code(&self) -> actix_web::http::StatusCode {
        actix_web::http::StatusCode::IM_A_TEAPOT
    }

    fn error_response(&self) -> HttpResponse {
        HttpResponse::build(self.status_code()).insert_header(("x-own", "1")).body("short and stout")
    }
}
