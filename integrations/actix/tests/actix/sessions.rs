//! Sessions.

use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::test::{TestRequest, init_service};
use actix_web::{App, Error, web};
use keep_testing::{Jar, Log, RedisServer};
use tower_keep_actix::session::{FailurePolicy, OriginCheck, SessionCookie, Sessions};
use tower_keep_actix::store::Store;
use tower_keep_actix::{
    Named, OptionalSession, RequiredSession, Session, SessionMiddleware, SessionName, SessionProblem, Typed,
};

use crate::harness::{Teapot, ask, browse};

async fn count(session: Session) -> Result<String, SessionProblem> {
    Ok(session.increment("n", 1).await?.to_string())
}

async fn set(session: Session) -> Result<&'static str, Teapot> {
    session.insert("set", &true).unwrap();
    Err(Teapot)
}

async fn is_set(session: Session) -> String {
    session.get::<bool>("set").unwrap().is_some().to_string()
}

/// A middleware that asks for the session outside of its middleware.
async fn asks_too_early(
    mut request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    request.extract::<Session>().await?;
    next.call(request).await
}

fn middleware() -> SessionMiddleware {
    SessionMiddleware::new(Sessions::new(Store::in_memory()))
}

#[actix_web::test]
async fn a_session_lasts_from_request_to_request() {
    let app = init_service(
        App::new()
            .route("/count", web::get().to(count))
            .route("/plain", web::get().to(|| async { "ok" }))
            .wrap(middleware()),
    )
    .await;
    let mut jar = Jar::new();
    let plain = browse(&app, &mut jar, TestRequest::with_uri("/plain")).await;
    assert!(jar.is_empty() && plain.header("vary").is_none(), "{plain:?}");
    for n in 1..=3 {
        let answer = browse(&app, &mut jar, TestRequest::with_uri("/count")).await;
        assert_eq!((answer.body.as_str(), answer.header("vary")), (n.to_string().as_str(), Some("cookie")));
        assert_eq!(answer.header("cache-control"), (n == 1).then_some("no-store"));
    }
    assert_eq!(ask(&app, TestRequest::with_uri("/nowhere")).await.status, 404);
}

#[actix_web::test]
async fn errors_of_handlers_and_of_middlewares_inside_save_and_carry_the_cookie() {
    let app = init_service(
        App::new()
            .route("/is-set", web::get().to(is_set))
            .route("/handler", web::get().to(set))
            .service(web::resource("/inside").get(set).wrap_fn(|request, inner| {
                let answered = inner.call(request);
                async move {
                    answered.await?;
                    Err::<ServiceResponse, _>(Teapot.into())
                }
            }))
            .wrap(middleware()),
    )
    .await;
    for path in ["/handler", "/inside"] {
        let mut jar = Jar::new();
        let failed = browse(&app, &mut jar, TestRequest::with_uri(path)).await;
        assert_eq!((failed.status.as_u16(), failed.body.as_str()), (418, "short and stout"), "{path}");
        assert_eq!((failed.header("x-own"), jar.len()), (Some("1"), 1), "{path}: {failed:?}");
        assert_eq!(browse(&app, &mut jar, TestRequest::with_uri("/is-set")).await.body, "true", "{path}");
    }
}

#[actix_web::test]
async fn middlewares_outside_see_the_error_that_it_was_and_may_ask_twice() {
    let failing = web::resource("/").get(set).wrap_fn(|request, inner| {
        let answered = inner.call(request);
        async move { answered.await.and_then(|_| Err::<ServiceResponse, _>(Teapot.into())) }
    });
    let app = init_service(App::new().service(failing).wrap(middleware()).wrap_fn(|request, inner| {
        let answered = inner.call(request);
        async move {
            answered.await.inspect_err(|error| {
                assert!(error.as_error::<Teapot>().is_some());
                assert_eq!(error.error_response().status().as_u16(), 418);
            })
        }
    }))
    .await;
    let answer = ask(&app, TestRequest::default()).await;
    assert_eq!((answer.body.as_str(), answer.set_cookies().len()), ("short and stout", 1), "{answer:?}");
}

#[actix_web::test]
async fn without_a_middleware_the_log_names_it_and_the_client_hears_nothing() {
    let log = Log::start();
    let app = init_service(
        App::new()
            .route("/session", web::get().to(count))
            .route("/named", web::get().to(async |_: Named<Admin>| "never"))
            .route("/option", web::get().to(async |session: Option<Session>| session.is_some().to_string()))
            .service(
                // The wrong way round: the last `wrap` is the outermost.
                web::resource("/order")
                    .get(async |_: Session| "never")
                    .wrap(middleware())
                    .wrap(actix_web::middleware::from_fn(asks_too_early)),
            ),
    )
    .await;
    for (path, name) in [("/session", "`session`"), ("/named", "`admin`"), ("/order", "`session`")] {
        let before = log.warnings().len();
        let answer = ask(&app, TestRequest::with_uri(path)).await;
        assert_eq!(answer.status, 500);
        assert_eq!(answer.body, r#"{"type":"about:blank","title":"Internal Server Error","status":500}"#);
        let said = &log.warnings()[before..];
        assert!(
            said.iter().any(|line| line.contains(name) && line.contains("`SessionMiddleware`")),
            "{path}: {said:?}"
        );
    }
    assert_eq!(ask(&app, TestRequest::with_uri("/option")).await.body, "false");
}

struct Admin;
impl SessionName for Admin {
    const NAMESPACE: &'static str = "admin";
}

#[actix_web::test]
async fn two_session_middlewares_in_an_app_with_scopes_and_resources() {
    async fn both(inner: Session, outer: Named<Main>, admin: Named<Admin>) -> Result<String, SessionProblem> {
        admin.increment("n", 10).await?;
        Ok(format!("{} {}", inner.increment("n", 10).await?, outer.increment("n", 1).await?))
    }
    struct Main;
    impl SessionName for Main {
        const NAMESPACE: &'static str = "session";
    }
    let store = Store::in_memory();
    let cookie = SessionCookie::builder("admin").build().unwrap();
    let admin = Sessions::builder(store.clone()).namespace("admin").cookie(cookie).build().unwrap();
    let (scoped, alone) = (SessionMiddleware::new(admin.clone()), SessionMiddleware::new(admin));
    let app = init_service(
        App::new()
            .service(web::scope("/scope").wrap(scoped).route("/{name}", web::get().to(both)))
            .service(web::resource("/resource").get(both).wrap(alone))
            .route("/outside", web::get().to(count))
            .wrap(SessionMiddleware::new(Sessions::new(store))),
    )
    .await;
    let mut jar = Jar::new();
    assert_eq!(browse(&app, &mut jar, TestRequest::with_uri("/scope/a")).await.body, "20 1");
    assert_eq!(jar.keys().collect::<Vec<_>>(), ["__Host-session", "admin"]);
    assert_eq!(browse(&app, &mut jar, TestRequest::with_uri("/resource")).await.body, "40 2");
    assert_eq!(browse(&app, &mut jar, TestRequest::with_uri("/outside")).await.body, "3");
}

#[actix_web::test]
async fn a_store_that_is_away_follows_the_policies() {
    let server = RedisServer::reserve(&[]);
    let sessions = |policy| {
        let store = Store::connect(&server.url()).unwrap();
        SessionMiddleware::new(Sessions::builder(store).on_failure(policy).build().unwrap())
    };
    let app = init_service(
        App::new().service(
            web::scope("")
                .wrap(sessions(FailurePolicy::Required))
                .route("/policy", web::get().to(async |_: Session| "never"))
                .route("/typed", web::get().to(async |_: Typed<String>| "never"))
                .route("/required", web::get().to(async |_: RequiredSession| "never"))
                .route(
                    "/optional",
                    web::get().to(async |session: OptionalSession| session.is_read_only().to_string()),
                ),
        ),
    )
    .await;
    let known = |path| {
        let cookie = format!("__Host-session={}.{}", "A".repeat(22), "A".repeat(43));
        TestRequest::with_uri(path).insert_header(("cookie", cookie))
    };
    for path in ["/policy", "/typed", "/required"] {
        let answer = ask(&app, known(path)).await;
        assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, Some("1")), "{path}");
        assert_eq!(answer.set_cookies(), Vec::<&str>::new());
    }
    assert_eq!(ask(&app, known("/optional")).await.body, "true");
}

#[actix_web::test]
async fn requests_of_other_sites_reach_no_handler() {
    let sessions = Sessions::builder(Store::in_memory()).origin_check(OriginCheck::new()).build().unwrap();
    let app =
        init_service(App::new().route("/", web::post().to(count)).wrap(SessionMiddleware::new(sessions)))
            .await;
    let foreign = TestRequest::post().insert_header(("sec-fetch-site", "cross-site"));
    assert_eq!(ask(&app, foreign).await.status, 403);
    assert_eq!(ask(&app, TestRequest::post()).await.status, 200);
}
