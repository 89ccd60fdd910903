//! The routes that need a session.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, FormRejection, PathRejection, QueryRejection};
use axum::extract::{Form, Path, Query};
use axum::http::{HeaderMap, StatusCode, header};
use demo_site::account::{self, Credentials, Delay, Me};
use serde_json::Value;
use tower_keep_axum::RequiredSession;

use crate::problem::Problem;

type Answer<T> = Result<T, Problem>;

pub async fn login(
    session: RequiredSession,
    headers: HeaderMap,
    form: Result<Form<Credentials>, FormRejection>,
) -> Answer<Json<Value>> {
    let Form(credentials) = form.map_err(|rejection| rejection.status())?;
    let browser = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    Ok(Json(account::login(&session, &credentials, browser)?))
}

pub async fn logout(session: RequiredSession) -> Answer<StatusCode> {
    session.logout()?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn me(session: RequiredSession) -> Answer<Json<Me>> {
    Ok(Json(account::me(&session)?))
}

pub async fn visits(session: RequiredSession) -> Answer<Json<Value>> {
    Ok(Json(account::visits(&session).await?))
}

pub async fn put_entry(
    session: RequiredSession,
    name: Result<Path<String>, PathRejection>,
    delay: Result<Query<Delay>, QueryRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Answer<StatusCode> {
    let Path(name) = name.map_err(|rejection| rejection.status())?;
    let Query(delay) = delay.map_err(|rejection| rejection.status())?;
    let body = body.map_err(|rejection| rejection.status())?;
    account::put_entry(&session, &name, delay, &body).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn delete_entry(
    session: RequiredSession,
    name: Result<Path<String>, PathRejection>,
) -> Answer<StatusCode> {
    let Path(name) = name.map_err(|rejection| rejection.status())?;
    account::delete_entry(&session, &name)?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn devices(session: RequiredSession) -> Answer<Json<Value>> {
    Ok(Json(account::devices(&session).await?))
}

pub async fn revoke_device(
    session: RequiredSession,
    handle: Result<Path<String>, PathRejection>,
) -> Answer<StatusCode> {
    let Path(handle) = handle.map_err(|rejection| rejection.status())?;
    account::revoke_device(&session, &handle).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn logout_others(session: RequiredSession) -> Answer<Json<Value>> {
    Ok(Json(account::logout_others(&session).await?))
}
