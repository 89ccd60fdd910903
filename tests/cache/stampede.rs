//! Many requests for what is not there: the handler runs once, and nobody waits in vain.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Barrier, Notify, watch};
use tokio::task::JoinSet;
use tower_keep::cache::{CachePolicy, CacheTags, Purging};

use crate::fixture::{Fields, *};

on_both_threads!(
    a_thousand_misses_of_a_page_run_the_handler_once,
    a_thousand_requests_refresh_a_stale_page_once,
);
on_both!(
    a_cancelled_leader_frees_the_waiters_and_one_takes_over,
    a_leader_whose_client_drops_the_body_frees_the_waiters,
    waiters_do_not_line_up_behind_what_is_not_for_others,
    waiters_do_not_line_up_behind_a_handler_that_fails,
    who_is_answered_for_one_visitor_keeps_nobody_from_storing,
    a_purge_while_waiters_wait_costs_one_more_run,
    the_handler_gets_those_who_waited_long_enough,
);

/// Sends requests at once and gives what each was answered.
async fn all_at_once(site: &Site, requests: usize, path: &str) -> Vec<Reply> {
    let mut tasks = JoinSet::new();
    for _ in 0..requests {
        let (site, path) = (site.clone(), path.to_owned());
        tasks.spawn(async move { site.get(&path).await });
    }
    tokio::time::timeout(LONG, tasks.join_all()).await.expect("nobody hangs")
}

async fn a_thousand_misses_of_a_page_run_the_handler_once(world: World) {
    let site = Site::counting(world.cache(), DAY);
    for round in 0..5 {
        let replies = all_at_once(&site, 1000, &format!("/{round}")).await;
        assert!(replies.iter().all(|reply| reply.text() == round.to_string()));
        assert_eq!(replies.iter().filter(|reply| reply.is_hit()).count(), 999);
        assert_eq!(site.calls(), round + 1);
    }
}

async fn a_thousand_requests_refresh_a_stale_page_once(world: World) {
    // Stale as it comes, and then fresh.
    let site = Site::new(world.cache(), |_, n| async move {
        let control = if n % 2 == 0 { "max-age=60, stale-while-revalidate=600" } else { "max-age=86400" };
        page(n.to_string(), &[("cache-control", control), ("age", "90")])
    });
    for round in 0..5 {
        let path = format!("/{round}");
        assert_eq!(site.stored(|| get(&path, &[])).await.text(), (2 * round).to_string());
        eventually("it is fresh", async || site.get(&path).await.text() == (2 * round + 1).to_string()).await;
        all_at_once(&site, 1000, &path).await;
        assert_eq!(site.calls(), 2 * (round + 1));
    }
}

/// A handler whose first run waits until it is told to go on, and how a test hears of it.
struct Gate {
    entered: watch::Sender<usize>,
    open: Notify,
}

impl Gate {
    fn new() -> Arc<Self> {
        Arc::new(Self { entered: watch::channel(0).0, open: Notify::new() })
    }

    async fn pass(&self, n: usize) {
        self.entered.send_modify(|entered| *entered += 1);
        if n == 0 {
            self.open.notified().await;
        }
    }

    async fn entered(&self, times: usize) {
        self.entered.subscribe().wait_for(|entered| *entered >= times).await.unwrap();
    }
}

/// A site whose first run waits at the gate.
fn gated(world: &World, gate: &Arc<Gate>, wait: Duration) -> Site {
    let gate = Arc::clone(gate);
    Site::new(world.builder().wait(wait).build().unwrap(), move |_, n| {
        let gate = Arc::clone(&gate);
        async move {
            gate.pass(n).await;
            let mut response = answer(200, n.to_string(), DAY);
            response.extensions_mut().insert(CacheTags::new(["tag"]));
            Ok(response)
        }
    })
}

/// Starts the requests that wait for the first run, and lets each take its place.
async fn waiters(site: &Site, count: usize) -> JoinSet<Reply> {
    let mut tasks = JoinSet::new();
    for _ in 0..count {
        let site = site.clone();
        tasks.spawn(async move { site.get("/").await });
    }
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    tasks
}

async fn a_cancelled_leader_frees_the_waiters_and_one_takes_over(world: World) {
    let gate = Gate::new();
    let site = gated(&world, &gate, LONG);
    let leader = tokio::spawn({
        let site = site.clone();
        async move { site.get("/").await }
    });
    gate.entered(1).await;
    let waiters = waiters(&site, 50).await;
    assert_eq!(site.calls(), 1);
    leader.abort();
    let replies = tokio::time::timeout(LONG, waiters.join_all()).await.expect("nobody hangs");
    assert!(replies.iter().all(|reply| reply.text() == "1"));
    assert_eq!(site.calls(), 2);
}

async fn a_leader_whose_client_drops_the_body_frees_the_waiters(world: World) {
    let site = Site::new(world.cache(), |_, n| async move {
        let (pieces, body) = piped();
        pieces.send(Ok("some".into())).unwrap();
        if n == 0 {
            tokio::spawn(async move { pieces.closed().await });
        }
        Ok(answer(200, "", DAY).map(|_| body))
    });
    let response = site.raw(get("/", &[])).await;
    let waiters = waiters(&site, 50).await;
    drop(response);
    let replies = tokio::time::timeout(LONG, waiters.join_all()).await.expect("nobody hangs");
    assert!(replies.iter().all(|reply| reply.text() == "some"));
    assert_eq!(site.calls(), 2);
}

async fn waiters_do_not_line_up_behind_what_is_not_for_others(world: World) {
    const WAITERS: usize = 30;
    const LONG: &str = match std::str::from_utf8(&[b'x'; 3000]) {
        Ok(text) => text,
        Err(_) => "",
    };
    const CASES: [(Fields<'_>, u16, &str); 7] = [
        (&[("cache-control", "no-store")], 200, ""),
        (&[("cache-control", "max-age=60"), ("set-cookie", "a=b")], 200, ""),
        (&[("cache-control", "no-cache"), ("etag", "\"1\"")], 200, ""),
        (&[("cache-control", "max-age=60"), ("age", "90"), ("etag", "\"1\"")], 200, ""),
        (DAY, 500, ""),
        (DAY, 200, LONG),
        (&[DAY[0], ("content-type", "text/event-stream; charset=utf-8")], 200, ""),
    ];
    let world = &world;
    for (case, (fields, status, body)) in CASES.into_iter().enumerate() {
        let (gate, together) = (Gate::new(), Arc::new(Barrier::new(WAITERS)));
        let at_gate = Arc::clone(&gate);
        let (fields, body) = (fields.to_vec(), body.to_owned());
        let fields: Vec<(&'static str, &'static str)> = fields;
        let policy = CachePolicy::new().max_body(2000);
        let site = Site::new(world.with(policy), move |_, n| {
            let (gate, together) = (Arc::clone(&at_gate), Arc::clone(&together));
            let (fields, body) = (fields.clone(), body.clone());
            async move {
                gate.pass(n).await;
                if n > 0 {
                    together.wait().await;
                }
                // Without a length that is known before.
                Ok(answer(status, "", &fields).map(|_| made(async { body.into() })))
            }
        });
        let path = format!("/{case}");
        let leader = tokio::spawn({
            let (site, path) = (site.clone(), path.clone());
            async move { site.get(&path).await }
        });
        gate.entered(1).await;
        let waiting = tokio::spawn({
            let (site, path) = (site.clone(), path.clone());
            async move { all_at_once(&site, WAITERS, &path).await }
        });
        tokio::task::yield_now().await;
        gate.open.notify_one();
        let replies = waiting.await.unwrap();
        assert!(replies.iter().all(|reply| reply.status == status), "case {case}");
        assert_eq!(
            (leader.await.unwrap().status.as_u16(), site.calls()),
            (status, WAITERS + 1),
            "case {case}"
        );
    }
}

async fn waiters_do_not_line_up_behind_a_handler_that_fails(world: World) {
    const WAITERS: usize = 30;
    let (gate, together) = (Gate::new(), Arc::new(Barrier::new(WAITERS)));
    let at_gate = Arc::clone(&gate);
    let site = Site::new(world.cache(), move |_, n| {
        let (gate, together) = (Arc::clone(&at_gate), Arc::clone(&together));
        async move {
            gate.pass(n).await;
            if n > 0 {
                together.wait().await;
            }
            Err(Trouble("no database"))
        }
    });
    let ask = |_| {
        let site = site.clone();
        async move { site.try_raw(get("/", &[])).await.unwrap_err() }
    };
    let leader = tokio::spawn(ask(0));
    gate.entered(1).await;
    let mut waiting = JoinSet::new();
    (0..WAITERS).map(ask).for_each(|asked| drop(waiting.spawn(asked)));
    tokio::task::yield_now().await;
    gate.open.notify_one();
    let errors = tokio::time::timeout(LONG, waiting.join_all()).await.expect("nobody hangs");
    assert!(errors.into_iter().chain([leader.await.unwrap()]).all(|error| error == Trouble("no database")));
}

/// A client that signs its requests, or has a copy, must not keep a page from everybody else.
async fn who_is_answered_for_one_visitor_keeps_nobody_from_storing(world: World) {
    for fields in [("authorization", "alice"), ("if-none-match", "\"1\""), ("range", "bytes=0-0")] {
        let site = Site::new(world.cache(), |request, _| async move {
            let has = |name: &str| request.headers().contains_key(name);
            Ok(match () {
                () if has("if-none-match") => answer(304, "", &[DAY[0], ("etag", "\"1\"")]),
                () if has("range") => answer(206, "p", &[DAY[0], ("content-range", "bytes 0-0/4")]),
                () => answer(200, "page", &[DAY[0], ("etag", "\"1\"")]),
            })
        });
        let path = format!("/{}", fields.0);
        assert!(!site.send(get(&path, &[fields])).await.told().contains("stored"));
        assert!(site.get(&path).await.told().contains("stored"), "{}", fields.0);
        assert!(site.get(&path).await.is_hit());
    }
}

async fn a_purge_while_waiters_wait_costs_one_more_run(world: World) {
    for purging in
        [Purging::tags(["tag"]), Purging::url(HOST, "/"), Purging::below(HOST, "/"), Purging::all()]
    {
        let gate = Gate::new();
        let site = gated(&world, &gate, LONG);
        let mut waiters = waiters(&site, 30).await;
        gate.entered(1).await;
        site.cache.purge(purging.clone()).await.unwrap();
        gate.open.notify_one();
        let mut texts = Vec::new();
        while let Some(reply) = waiters.join_next().await {
            texts.push(reply.unwrap().text().to_owned());
        }
        assert_eq!(texts.iter().filter(|text| *text == "0").count(), 1, "{purging:?}: the leader's own");
        assert!(texts.iter().all(|text| text == "0" || text == "1"), "{texts:?}");
        assert_eq!(site.calls(), 2, "{purging:?}");
        site.cache.purge(Purging::all()).await.unwrap();
    }
}

async fn the_handler_gets_those_who_waited_long_enough(world: World) {
    let gate = Gate::new();
    let site = gated(&world, &gate, Duration::from_millis(200));
    let leader = waiters(&site, 1).await;
    gate.entered(1).await;
    let replies = all_at_once(&site, 20, "/").await;
    let mut texts: Vec<usize> = replies.iter().map(|reply| reply.text().parse().unwrap()).collect();
    texts.sort_unstable();
    assert_eq!(texts, (1..=20).collect::<Vec<_>>());
    assert!(replies.iter().all(|reply| !reply.told().contains("stored")));
    gate.open.notify_one();
    assert_eq!(leader.join_all().await[0].text(), "0");
    eventually("the first one's page is stored all the same", async || site.get("/").await.text() == "0")
        .await;
}
