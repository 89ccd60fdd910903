//! The page for people, a stream, and what operators look at.

use actix_web::http::header::{CACHE_CONTROL, ContentType};
use actix_web::web::{Data, Html};
use actix_web::{Error, HttpResponse};
use demo_site::{Site, pages};
use futures_util::StreamExt;
use tower_keep_actix::OptionalSession;

use crate::problem::status;

pub async fn index(session: OptionalSession) -> Html {
    Html::new(pages::index(&session))
}

pub async fn stream() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((CACHE_CONTROL, "no-cache"))
        .streaming(pages::events().map(Ok::<_, Error>))
}

pub async fn health(site: Data<Site>) -> HttpResponse {
    let (code, body) = pages::health(&site.store).await;
    HttpResponse::build(status(code)).json(body)
}

pub async fn metrics(site: Data<Site>) -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::plaintext()).body(site.metrics.render())
}
