//! The cached routes, and purging by tag.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::{Data, Query, ServiceConfig};
use actix_web::{Error, HttpResponse, Responder};
use demo_site::Site;
use demo_site::cached::{self, FRESH, FRESH_BIG, Slow, Tag};
use http::StatusCode;
use tower_keep_actix::ResponderExt;
use tower_keep_actix::cache::{CacheMiddleware, HttpCache};

use crate::problem::{Problem, unreadable};
use crate::segment::Segment;
use crate::{at, get, pages};

pub fn routes(routes: &mut ServiceConfig, cache: &HttpCache) {
    let cached = || CacheMiddleware::new(cache.clone());
    routes
        .service(at("/cached/{name}").route(get().to(page).wrap(cached())))
        .service(at("/cached-big/{kib}").route(get().to(big).wrap(cached())))
        // Nothing of a stream is stored, and nothing of it is held back.
        .service(at("/stream").route(get().to(pages::stream).wrap(cached())));
}

async fn page(Segment(name): Segment, slow: Result<Query<Slow>, Error>) -> Result<impl Responder, Problem> {
    let Query(slow) = slow.map_err(unreadable)?;
    let (tags, text) = cached::page(&name, slow).await;
    Ok(text.customize().insert_header((CACHE_CONTROL, FRESH)).with(tags))
}

async fn big(Segment(kib): Segment) -> Result<impl Responder, Problem> {
    let kib = kib.parse().map_err(|_| StatusCode::BAD_REQUEST)?;
    Ok(cached::big(kib)?.customize().insert_header((CACHE_CONTROL, FRESH_BIG)))
}

pub async fn purge(site: Data<Site>, tag: Result<Query<Tag>, Error>) -> Result<HttpResponse, Problem> {
    let Query(tag) = tag.map_err(unreadable)?;
    cached::purge(&site.cache, tag).await?;
    Ok(HttpResponse::NoContent().finish())
}
