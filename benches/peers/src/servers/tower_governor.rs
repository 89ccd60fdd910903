//! tower_governor: limits in memory, by the peer's address.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use tower_governor::GovernorLayer;
use tower_governor::governor::GovernorConfigBuilder;

use super::Error;

pub fn router() -> Result<Router, Error> {
    // One a microsecond, up to a million; and one an hour.
    let many = GovernorConfigBuilder::default().per_nanosecond(1000).burst_size(1_000_000).finish();
    let few = GovernorConfigBuilder::default().per_second(3600).burst_size(1).finish();
    let (many, few) = (many.ok_or("no limit")?, few.ok_or("no limit")?);
    let handler = || get(|| async { StatusCode::OK });
    Ok(Router::new()
        .route("/admitted", handler().layer(GovernorLayer::new(many)))
        .route("/refused", handler().layer(GovernorLayer::new(few))))
}
