//! What clients are told.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, Response};
use keep_testing::Answer;
use serde_json::json;
use sfv::{BareItem, List, ListEntry, Parser};
use tower_keep_axum::by_client;
use tower_keep_axum::rate_limit::{
    Ask, By, ClientAddress, FailurePolicy, FieldsDraft, LegacyFields, Limit, Quota, RateLimitLayer,
    RefusalCause, ResponseFields, TrustedProxies,
};
use tower_keep_axum::store::Store;

use super::{HOUR, ask, from, hourly, one, site, statuses, unhurried};
use crate::harness::for_each_store;

/// Name, and the integers among the parameters, of each item of a field: by a parser that is not ours.
fn items(headers: &HeaderMap, name: &str) -> Vec<(String, Vec<(String, i64)>)> {
    let lines: Vec<_> = headers.get_all(name).iter().map(|line| line.to_str().unwrap()).collect();
    let list: List = Parser::new(&lines.join(", ")).parse().unwrap();
    let item = |entry: &ListEntry| {
        let ListEntry::Item(item) = entry else { panic!("an inner list in {name}") };
        let BareItem::String(policy) = &item.bare_item else { panic!("not a string in {name}") };
        let integers = item.params.iter().map(|(key, value)| {
            let BareItem::Integer(value) = value else { panic!("not an integer in {name}") };
            (key.to_string(), i64::from(*value))
        });
        (policy.to_string(), integers.collect())
    };
    list.iter().map(item).collect()
}

fn parameter(headers: &HeaderMap, field: &str, policy: &str, name: &str) -> i64 {
    let items = items(headers, field);
    let (_, parameters) = items.iter().find(|(found, _)| found == policy).unwrap();
    parameters.iter().find(|(found, _)| found == name).unwrap().1
}

#[tokio::test]
async fn several_limits_are_told_together_and_charged_together() {
    for_each_store(async |backend| {
        let limiter = unhurried(&backend.store).limit(hourly("few", 2)).limit(hourly("many", 10)).build();
        let (app, _) = site(RateLimitLayer::new(limiter.unwrap(), by_client(TrustedProxies::none())));
        for left in [1, 0] {
            let answer = ask(&app, from("192.0.2.1")).await;
            assert_eq!(answer.body, format!("Some({left})"), "the handler knows it too");
            let policy = |name: &str, q| (name.to_owned(), vec![("q".to_owned(), q), ("w".to_owned(), 3600)]);
            assert_eq!(items(&answer.headers, "ratelimit-policy"), [policy("few", 2), policy("many", 10)]);
            assert_eq!(parameter(&answer.headers, "ratelimit", "few", "r"), left);
            assert_eq!(parameter(&answer.headers, "ratelimit", "many", "r"), left + 8);
            assert_eq!(answer.header("retry-after"), None);
        }
        for _ in 0..5 {
            let answer = ask(&app, from("192.0.2.1")).await;
            assert_eq!(answer.status, 429);
            assert_eq!(answer.header("content-type"), Some("application/problem+json"));
            let problem = answer.json();
            assert_eq!((&problem["status"], &problem["violated-policies"]), (&json!(429), &json!(["few"])));
            let wait: i64 = answer.header("retry-after").unwrap().parse().unwrap();
            assert!((3_500..=3_600).contains(&wait), "{wait}");
            assert_eq!(parameter(&answer.headers, "ratelimit", "few", "t"), wait);
        }
        let many: Vec<_> = statuses(&app, "192.0.2.2", 3).await;
        assert_eq!(many, [200, 200, 429], "another client is untouched");
    })
    .await;
}

#[tokio::test]
async fn who_waits_as_long_as_told_is_admitted() {
    for_each_store(async |backend| {
        let quick = Limit::new("quick", Quota::per_second(2).burst(1));
        let limiter = unhurried(&backend.store).limit(quick).build().unwrap();
        let (app, _) = site(RateLimitLayer::new(limiter, by_client(TrustedProxies::none())));
        let mut refused = 0;
        while refused < 2 {
            let answer = ask(&app, from("192.0.2.1")).await;
            if answer.status == 200 {
                continue;
            }
            assert_eq!(answer.header("retry-after"), Some("1"), "half a second, rounded up");
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(ask(&app, from("192.0.2.1")).await.status, 200);
            refused += 1;
        }
    })
    .await;
}

#[tokio::test]
async fn what_can_never_pass_is_not_told_to_come_back() {
    let layer = RateLimitLayer::builder(one(&Store::in_memory(), 3), By::everybody());
    let (app, _) = site(layer.ask(|_, ask| Some(ask.cost(4))).build().unwrap());
    let answer = ask(&app, from("192.0.2.1")).await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (429, None));
}

#[tokio::test]
async fn other_drafts_and_none() {
    let told = async |fields| {
        let layer = RateLimitLayer::builder(one(&Store::in_memory(), 2), By::everybody());
        let (app, _) = site(layer.fields(fields).build().unwrap());
        let first = ask(&app, from("192.0.2.1")).await;
        ask(&app, from("192.0.2.1")).await;
        (first, ask(&app, from("192.0.2.1")).await)
    };
    let names = |answer: &Answer| {
        let mut names: Vec<_> = answer.headers.keys().map(|name| name.as_str().to_owned()).collect();
        names.retain(|name| name.contains("rate") || name == "retry-after");
        names.sort();
        names
    };
    let (admitted, refused) = told(ResponseFields::none()).await;
    assert_eq!(names(&admitted), Vec::<String>::new());
    assert_eq!(names(&refused), ["retry-after"]);
    let legacy = ResponseFields::new().draft(FieldsDraft::Draft07).legacy(LegacyFields::Send);
    let (admitted, _) = told(legacy).await;
    assert_eq!(admitted.header("ratelimit"), Some("limit=2, remaining=1, reset=3600"));
    assert_eq!(admitted.header("x-ratelimit-remaining"), Some("1"));
}

#[tokio::test]
async fn grpc_clients_get_a_status_that_they_understand() {
    let (app, _) = site(RateLimitLayer::new(one(&Store::in_memory(), 1), by_client(TrustedProxies::none())));
    let call = || from("192.0.2.1").header("content-type", "application/grpc+proto");
    assert_eq!(ask(&app, call()).await.headers.get("grpc-status"), None);
    let refused = ask(&app, call()).await;
    assert_eq!((refused.status.as_u16(), refused.body.as_str()), (200, ""));
    assert_eq!(
        (refused.header("grpc-status"), refused.header("content-type")),
        (Some("8"), Some("application/grpc"))
    );
    assert!(refused.header("grpc-message").unwrap().ends_with(": only"));
    assert!(refused.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    let nobody = ask(&app, axum::http::Request::get("/").header("content-type", "application/grpc")).await;
    assert_eq!((nobody.status.as_u16(), nobody.header("grpc-status")), (200, Some("13")));
}

#[tokio::test]
async fn the_answer_may_be_the_apps_own() {
    let layer = RateLimitLayer::builder(one(&Store::in_memory(), 1), by_client(TrustedProxies::none()));
    let layer = layer.refuse_with(|refused| {
        let names: Vec<_> = refused.decision().unwrap().refused().map(|status| &*status.name).collect();
        Response::builder()
            .status(420)
            .body(format!("{} {}", refused.request.path(), names.join(" ")))
            .unwrap()
            .map(Into::into)
    });
    let (app, _) = site(layer.build().unwrap());
    statuses(&app, "192.0.2.1", 1).await;
    let answer =
        crate::harness::send(&app, from("192.0.2.1").uri("/a?b").body(Body::from("x")).unwrap()).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (420, "/a only"));
    assert_eq!(items(&answer.headers, "ratelimit").len(), 1);
    assert!(answer.header("retry-after").is_some());
}

#[tokio::test]
async fn every_refusal_may_be_the_apps_own_and_says_why() {
    let layer = |limiter, by: By| {
        let layer = RateLimitLayer::builder(limiter, by).refuse_with(|refused| {
            let why = match refused.cause {
                RefusalCause::OverLimit(_) => "slow down".to_owned(),
                RefusalCause::NoKey(reason) => format!("who are you? {}", reason.as_str()),
                _ => "not now".to_owned(),
            };
            Response::builder().status(refused.status()).body(why.into()).unwrap()
        });
        site(layer.build().unwrap()).0
    };
    let tenant = || By::header(HeaderName::from_static("x-tenant"));
    let app = layer(one(&Store::in_memory(), 1), tenant());
    let with_tenant = || from("192.0.2.1").header("x-tenant", "a");
    assert_eq!(ask(&app, with_tenant()).await.status, 200);
    let over = ask(&app, with_tenant()).await;
    assert_eq!((over.status.as_u16(), over.body.as_str()), (429, "slow down"));
    assert!(over.header("retry-after").is_some());
    let nobody = ask(&app, from("192.0.2.1")).await;
    assert_eq!((nobody.status.as_u16(), nobody.body.as_str()), (403, "who are you? header"));
    assert_eq!(nobody.header("retry-after"), None);

    let app = layer(one(&Store::in_memory(), 1), By::session());
    let misconfigured = ask(&app, from("192.0.2.1")).await;
    assert_eq!(
        (misconfigured.status.as_u16(), misconfigured.body.as_str()),
        (500, "who are you? no_session_layer")
    );

    let down = Store::connect("redis://127.0.0.1:1").unwrap();
    let closed = hourly("only", 1).on_failure(FailurePolicy::Closed);
    let app = layer(unhurried(&down).limit(closed).build().unwrap(), tenant());
    let failed = ask(&app, with_tenant()).await;
    assert_eq!((failed.status.as_u16(), failed.body.as_str()), (503, "not now"));
    assert_eq!(failed.header("retry-after"), Some("1"));
}

#[tokio::test]
async fn who_is_banned_hears_that_it_is_not_for_want_of_quota() {
    for_each_store(async |backend| {
        let limiter =
            unhurried(&backend.store).limit(hourly("few", 1)).limit(hourly("many", 9)).build().unwrap();
        let (app, _) = site(RateLimitLayer::new(limiter.clone(), by_client(TrustedProxies::none())));
        let client = ClientAddress::new("192.0.2.1".parse().unwrap());
        let problem = async || {
            let answer = ask(&app, from("192.0.2.1")).await;
            assert_eq!(answer.status, 429);
            let kind = answer.json()["type"].as_str().unwrap().to_owned();
            (kind.split_once('#').unwrap().1.to_owned(), answer.json()["violated-policies"].clone())
        };
        assert_eq!(ask(&app, from("192.0.2.1")).await.status, 200);
        let exceeded = ("quota-exceeded".to_owned(), json!(["few"]));
        assert_eq!(problem().await, exceeded);
        let banned = limiter.ban(client, Duration::from_secs(600)).await.unwrap();
        assert!(banned[0].is_banned());
        let abnormal = ("abnormal-usage-detected".to_owned(), json!(["few", "many"]));
        for _ in 0..2 {
            assert_eq!(problem().await, abnormal);
        }
        limiter.ban(client, Duration::ZERO).await.unwrap();
        assert_eq!(problem().await, exceeded);
    })
    .await;
}

/// An answer may be written once for several requests: not where they differ.
#[tokio::test]
async fn each_client_and_each_plan_hears_its_own_numbers() {
    for_each_store(async |backend| {
        let limiter =
            unhurried(&backend.store).limit(hourly("few", 1)).limit(hourly("many", 9)).build().unwrap();
        let layer = RateLimitLayer::builder(limiter.clone(), by_client(TrustedProxies::none()));
        let plan = |request: &dyn tower_keep_axum::view::RequestView, ask: Ask| {
            Some(if request.path() == "/plan" { ask.quota_for("few", Quota::window(2, HOUR)) } else { ask })
        };
        let (app, _) = site(layer.ask(plan).build().unwrap());
        let charge = |client: &str, more| {
            let ask = Ask::new(ClientAddress::new(client.parse().unwrap())).cost(more).without("few");
            limiter.penalise(ask)
        };
        charge("192.0.2.2", 3).await.unwrap();
        for turn in 0..4 {
            for (client, path, few, many) in
                [("192.0.2.1", "/", 1, 6), ("192.0.2.2", "/", 1, 5), ("192.0.2.1", "/plan", 2, 6)]
            {
                let answer = ask(&app, from(client).uri(path)).await;
                assert_eq!(parameter(&answer.headers, "ratelimit-policy", "few", "q"), few);
                // Where a refusal is remembered, nobody is asked about the other limit.
                let asked = items(&answer.headers, "ratelimit").len() == 2;
                if turn == 3 && asked {
                    assert_eq!(parameter(&answer.headers, "ratelimit", "many", "r"), many);
                }
                assert!(asked || backend.redis.is_some() && answer.status == 429);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_missing_limit_layer_is_an_opaque_500_and_a_log_line_that_names_it() {
    let handler = async |_: tower_keep_axum::RateLimitStatus| "ok";
    let app = axum::Router::new().route("/", axum::routing::get(handler));
    let log = keep_testing::Log::start();
    let answer = ask(&app, from("192.0.2.1")).await;
    let problem = json!({ "type": "about:blank", "title": "Internal Server Error", "status": 500 });
    assert_eq!((answer.status.as_u16(), answer.json()), (500, problem));
    let said = log.warnings();
    assert!(said.len() == 1 && said[0].contains("ERROR") && said[0].contains("RateLimitLayer"), "{said:?}");
}
