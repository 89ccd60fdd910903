//! Waiting instead of being refused, and limits that only watch.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;
use tower_keep_axum::rate_limit::{By, FailurePolicy, Limit, LimitEvent, Quota, RateLimitLayer};

use super::{HOUR, ask, from, hourly, site, statuses, unhurried};
use crate::harness::{for_each_store, in_parallel};

#[tokio::test]
async fn who_may_wait_is_admitted_in_time_and_never_early() {
    for_each_store(async |backend| {
        let quick = Limit::new("quick", Quota::per(1, Duration::from_millis(50)).burst(2));
        let limiter = unhurried(&backend.store).limit(quick).build().unwrap();
        let layer = RateLimitLayer::builder(limiter, By::everybody()).wait(Duration::from_secs(30), 100);
        let (app, runs) = site(layer.build().unwrap());
        let begun = Instant::now();
        in_parallel(12, |_| {
            let app = app.clone();
            async move { assert_eq!(ask(&app, from("192.0.2.1")).await.status, 200) }
        })
        .await;
        assert_eq!(runs.load(Ordering::SeqCst), 12);
        assert!(begun.elapsed() >= Duration::from_millis(500), "2 at once, then one each 50 ms");
    })
    .await;
}

#[tokio::test]
async fn waiting_is_bounded_in_time_and_number() {
    for_each_store(async |backend| {
        let limiter = unhurried(&backend.store).namespace("long").limit(hourly("long", 1)).build().unwrap();
        let layer = RateLimitLayer::builder(limiter, By::everybody()).wait(Duration::from_secs(60), 100);
        let (app, _) = site(layer.build().unwrap());
        let begun = Instant::now();
        assert_eq!(statuses(&app, "192.0.2.1", 2).await, [200, 429]);
        assert!(begun.elapsed() < Duration::from_secs(60), "an hour is not worth waiting");

        let slow = Limit::new("slow", Quota::window(1, Duration::from_secs(1)));
        let limiter = unhurried(&backend.store).namespace("number").limit(slow).build().unwrap();
        let layer = RateLimitLayer::builder(limiter, By::everybody()).wait(Duration::from_secs(30), 3);
        let (app, _) = site(layer.build().unwrap());
        let counts = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
        assert_eq!(statuses(&app, "192.0.2.1", 1).await, [200]);
        in_parallel(8, |_| {
            let (app, counts) = (app.clone(), Arc::clone(&counts));
            async move {
                let admitted = ask(&app, from("192.0.2.1")).await.status == 200;
                counts[usize::from(!admitted)].fetch_add(1, Ordering::SeqCst);
            }
        })
        .await;
        assert_eq!(counts.each_ref().map(|count| count.load(Ordering::SeqCst)), [3, 5]);
    })
    .await;
}

#[tokio::test]
async fn a_limit_in_shadow_mode_tells_and_refuses_nobody() {
    for_each_store(async |backend| {
        let would = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&would);
        let limiter = unhurried(&backend.store)
            .limit(Limit::new("trial", Quota::window(2, HOUR)).shadow().on_failure(FailurePolicy::Closed))
            .limit(hourly("real", 4))
            .limit(hourly("other-trial", 3).shadow())
            .on_event(move |event| {
                if let LimitEvent::WouldRefuse { limit } = event {
                    heard.lock().unwrap().push(limit.to_string());
                }
            })
            .build()
            .unwrap();
        let (app, _) = site(RateLimitLayer::new(limiter.clone(), By::everybody()));
        for (left, expected) in [(3, &[][..]), (2, &[]), (1, &["trial"]), (0, &["trial", "other-trial"])] {
            let answer = ask(&app, from("192.0.2.1")).await;
            assert_eq!(answer.body, format!("Some({left})"));
            let told = answer.header("ratelimit").unwrap();
            assert!(told.contains("real") && !told.contains("trial"), "{told}");
            assert_eq!(std::mem::take(&mut *would.lock().unwrap()), expected);
        }
        let refused = ask(&app, from("192.0.2.1")).await;
        assert_eq!((refused.status.as_u16(), &refused.json()["violated-policies"]), (429, &json!(["real"])));
    })
    .await;
}

#[tokio::test]
async fn a_limiter_of_shadows_admits_everything() {
    for_each_store(async |backend| {
        let limiter = unhurried(&backend.store).limit(hourly("trial", 1).shadow()).build().unwrap();
        let (app, _) = site(RateLimitLayer::new(limiter.clone(), By::everybody()));
        assert_eq!(statuses(&app, "192.0.2.1", 5).await, [200; 5]);
        assert!(
            limiter.peek(tower_keep_axum::rate_limit::LimitKey::from("everybody")).await.unwrap().limits()[0]
                .would_refuse()
        );
    })
    .await;
}
