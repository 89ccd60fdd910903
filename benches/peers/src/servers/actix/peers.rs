//! actix-session with its Redis store, and actix-limitation: settings are those of their documentation.

use std::time::Duration;

use actix_limitation::{Limiter, RateLimiter};
use actix_session::storage::RedisSessionStore;
use actix_session::{Session, SessionMiddleware};
use actix_web::cookie::Key;
use actix_web::dev::ServiceRequest;
use actix_web::error::ErrorServiceUnavailable;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpResponse, Result};

use super::super::{COUNT, Error};

pub async fn sessions(redis: &str) -> Result<impl Fn(&mut ServiceConfig) + Clone + Send + use<>, Error> {
    let store = RedisSessionStore::new(redis).await.map_err(|error| error.to_string())?;
    let key = Key::generate();
    Ok(move |config: &mut ServiceConfig| {
        let session = || SessionMiddleware::builder(store.clone(), key.clone()).cookie_secure(false).build();
        config
            .service(web::resource("/read").get(read).wrap(session()))
            .service(web::resource("/write").post(write).wrap(session()));
    })
}

async fn read(session: Session) -> Result<String> {
    Ok(count(&session)?.to_string())
}

async fn write(session: Session) -> Result<String> {
    let count = count(&session)? + 1;
    session.insert(COUNT, count)?;
    Ok(count.to_string())
}

fn count(session: &Session) -> Result<i64> {
    Ok(session.get(COUNT).map_err(ErrorServiceUnavailable)?.unwrap_or(0))
}

/// By the peer's address, as the limit that it is compared with.
pub fn limits(redis: &str) -> Result<impl Fn(&mut ServiceConfig) + Clone + Send + use<>, Error> {
    let limiter = Limiter::builder(redis)
        .key_by(|request: &ServiceRequest| Some(request.peer_addr()?.ip().to_string()))
        .limit(usize::MAX)
        .period(Duration::from_secs(3600))
        .build()?;
    let limiter = Data::new(limiter);
    Ok(move |config: &mut ServiceConfig| {
        config
            .app_data(limiter.clone())
            .service(web::resource("/admitted").get(HttpResponse::Ok).wrap(RateLimiter::default()));
    })
}
