//! The routes that need a session.

use actix_web::http::header::USER_AGENT;
use actix_web::web::{Bytes, Form, Json, Query};
use actix_web::{Error, HttpRequest, HttpResponse};
use demo_site::account::{self, Credentials, Delay, Me};
use serde_json::Value;
use tower_keep_actix::RequiredSession;

use crate::problem::{Problem, unreadable};
use crate::segment::Segment;

type Answer<T> = Result<T, Problem>;

pub async fn login(
    session: RequiredSession,
    request: HttpRequest,
    form: Result<Form<Credentials>, Error>,
) -> Answer<Json<Value>> {
    let Form(credentials) = form.map_err(unreadable)?;
    let browser = request.headers().get(USER_AGENT).and_then(|value| value.to_str().ok());
    Ok(Json(account::login(&session, &credentials, browser)?))
}

pub async fn logout(session: RequiredSession) -> Answer<HttpResponse> {
    session.logout()?;
    Ok(HttpResponse::NoContent().finish())
}

pub async fn me(session: RequiredSession) -> Answer<Json<Me>> {
    Ok(Json(account::me(&session)?))
}

pub async fn visits(session: RequiredSession) -> Answer<Json<Value>> {
    Ok(Json(account::visits(&session).await?))
}

pub async fn put_entry(
    session: RequiredSession,
    name: Result<Segment, Problem>,
    delay: Result<Query<Delay>, Error>,
    body: Result<Bytes, Error>,
) -> Answer<HttpResponse> {
    let Segment(name) = name?;
    let Query(delay) = delay.map_err(unreadable)?;
    let body = body.map_err(unreadable)?;
    account::put_entry(&session, &name, delay, &body).await?;
    Ok(HttpResponse::NoContent().finish())
}

pub async fn delete_entry(session: RequiredSession, name: Result<Segment, Problem>) -> Answer<HttpResponse> {
    let Segment(name) = name?;
    account::delete_entry(&session, &name)?;
    Ok(HttpResponse::NoContent().finish())
}

pub async fn devices(session: RequiredSession) -> Answer<Json<Value>> {
    Ok(Json(account::devices(&session).await?))
}

pub async fn revoke_device(
    session: RequiredSession,
    handle: Result<Segment, Problem>,
) -> Answer<HttpResponse> {
    let Segment(handle) = handle?;
    account::revoke_device(&session, &handle).await?;
    Ok(HttpResponse::NoContent().finish())
}

pub async fn logout_others(session: RequiredSession) -> Answer<Json<Value>> {
    Ok(Json(account::logout_others(&session).await?))
}
