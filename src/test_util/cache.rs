//! The response cache: who may store, and what purging does.

use bytes::Bytes;

use super::unique;
use crate::store::Store;
use crate::store::key::Key;
use crate::store::op::cache::{
    Admission, Admit, ExpireUrl, Fetch, Forget, Head, Kind, Prolong, Publish, Published, Purge, PurgeLog,
    PutBlob, Severity, Spec, TagVersion, VariantOf, Wanted, What,
};
use crate::store::op::{Lease, LeaseOutcome, LeaseVerb};

const TTL_MS: u64 = 60_000;

pub(super) async fn accept(store: &Store) {
    values(store).await;
    only_who_fills_may_store(store).await;
    variants(store).await;
    what_does_not_vary_any_more(store).await;
    soft_purges_of_a_url(store).await;
    versions(store).await;
    logs(store).await;
}

struct Case<'a> {
    store: &'a Store,
    namespace: String,
    url: Key,
}

impl<'a> Case<'a> {
    fn new(store: &'a Store) -> Self {
        Self { store, namespace: unique(), url: Key::cached(store.prefix(), "suite", &unique()) }
    }

    async fn fill(&self, token: &str) -> bool {
        let key = self.url.cached_fill(None);
        let lease = Lease { verb: LeaseVerb::Take, key, token: token.into(), most: 1, ttl_us: 10_000_000 };
        self.store.run(lease).await.expect("serves").outcome == LeaseOutcome::Done
    }

    async fn publish(&self, token: &str, stored: &'static str, variant: Option<VariantOf>) -> Published {
        self.publish_after(token, stored, None, variant).await
    }

    async fn publish_after(
        &self,
        token: &str,
        stored: &'static str,
        expected: Option<(u32, &str)>,
        variant: Option<VariantOf>,
    ) -> Published {
        let publish = Publish {
            expected: expected.map(|(counter, generation)| (counter, generation.to_owned())),
            url: self.url.clone(),
            fill: self.url.cached_fill(None),
            token: token.to_owned(),
            ttl_ms: TTL_MS,
            stored: Bytes::from_static(stored.as_bytes()),
            variant,
        };
        self.store.run(publish).await.expect("serves")
    }

    fn variant(&self, name: &str, fields: &str) -> VariantOf {
        VariantOf {
            key: self.url.cached_variant("g", name),
            generation: "g".to_owned(),
            fields: fields.to_owned(),
            most: 3,
        }
    }

    async fn get(&self, key: &Key) -> Option<(Head, Bytes)> {
        Some(Head::split(&self.value(key.clone()).await?).expect("one of ours"))
    }

    async fn value(&self, key: Key) -> Option<Bytes> {
        let wanted = [key.into()];
        let fetch = Fetch::new(&wanted).expect("one key");
        self.store.run(fetch).await.expect("serves").remove(0)
    }

    fn log(&self) -> Key {
        Key::cache_log(self.store.prefix(), &self.namespace)
    }

    fn tag(&self, tag: &str) -> Key {
        Key::cache_tag(self.store.prefix(), &self.namespace, tag)
    }

    async fn admit(&self, seen: Option<(&str, u64)>, tags: &[&str]) -> Admission {
        let admit = Admit {
            namespace: self.namespace.clone(),
            log: self.log(),
            tags: tags.iter().map(|tag| self.tag(tag)).collect(),
            seen: seen.map(|(epoch, number)| (epoch.to_owned(), number)),
            fresh: unique(),
            ttl_ms: TTL_MS,
        };
        self.store.run(admit).await.expect("serves")
    }

    async fn purge(&self, severity: Severity, what: What) {
        let (namespace, log) = (self.namespace.clone(), self.log());
        let purge = Purge { namespace, log, fresh: unique(), ttl_ms: TTL_MS, severity, what };
        self.store.run(purge).await.expect("serves");
    }

    async fn read_log(&self) -> PurgeLog {
        let text = self.value(self.log()).await.expect("there is a log");
        PurgeLog::parse(&self.namespace, &text).expect("one of ours")
    }

    async fn version(&self, tag: &str) -> TagVersion {
        let text = self.value(self.tag(tag)).await.expect("there is a version");
        TagVersion::parse(&self.read_log().await, &text).expect("one of ours")
    }
}

async fn values(store: &Store) {
    let case = Case::new(store);
    let long = Bytes::from(vec![b'x'; 100_000]);
    let (a, b) = (case.url.cached_segment("a", 0), case.url.cached_segment("a", 1));
    store.run(PutBlob { key: b.clone(), value: long.clone(), ttl_ms: TTL_MS }).await.expect("serves");
    for seen in [None, Some(long.clone()), Some(long.slice(1..)), Some(Bytes::new())] {
        let wanted = [a.clone(), b.clone()].map(|key| Wanted { key, seen: seen.clone() });
        let both = store.run(Fetch::new(&wanted).expect("two keys")).await.expect("serves");
        assert_eq!(both[..], [None, Some(long.clone())], "what was seen does not matter");
    }
    assert!(store.run(Prolong { key: b, ttl_ms: TTL_MS }).await.expect("serves"));
    assert!(!store.run(Prolong { key: a, ttl_ms: TTL_MS }).await.expect("serves"));
}

async fn only_who_fills_may_store(store: &Store) {
    let case = Case::new(store);
    assert_eq!(case.publish("a", "x", None).await, Published::Lost);
    assert!(case.fill("a").await && !case.fill("b").await);
    assert_eq!(case.publish("b", "x", None).await, Published::Lost);
    assert_eq!(case.publish("a", "x", None).await, Published::Stored);
    assert_eq!(case.get(&case.url).await, Some((Head { kind: Kind::Entry, counter: 0 }, "x".into())));
    assert_eq!(case.publish("a", "y", None).await, Published::Lost, "the right ended");

    assert!(case.fill("b").await);
    store.run(Forget::url(case.url.clone())).await.expect("serves");
    assert_eq!(case.publish("b", "y", None).await, Published::Lost, "it was purged meanwhile");
    assert_eq!(case.get(&case.url).await, None);
}

async fn variants(store: &Store) {
    let case = Case::new(store);
    assert!(case.fill("a").await);
    assert_eq!(case.publish("a", "en", Some(case.variant("1", "accept"))).await, Published::Stored);
    let (head, spec) = case.get(&case.url).await.expect("there is a list of variants");
    assert_eq!(head.kind, Kind::Spec);
    let spec = Spec::parse(&spec).expect("one of ours");
    assert_eq!(spec, Spec { generation: "g".into(), count: 1, fields: vec!["accept".into()] });
    assert!(case.get(&case.url.cached_variant("g", "1")).await.is_some());

    for (name, expected, outcome) in [
        ("2", None, Published::Changed),
        ("2", Some((0, "other")), Published::Changed),
        ("2", Some((1, "g")), Published::Changed),
        ("2", Some((0, "g")), Published::Stored),
        ("2", Some((0, "g")), Published::Stored),
        ("3", Some((0, "g")), Published::Stored),
        ("4", Some((0, "g")), Published::Full),
        ("4", Some((0, "g")), Published::Changed),
    ] {
        assert!(case.fill("a").await);
        let variant = case.variant(name, if name == "3" { "cookie" } else { "accept" });
        let published = case.publish_after("a", "x", expected, Some(variant)).await;
        assert_eq!(published, outcome, "{name} {expected:?}");
        if name == "3" {
            let (_, spec) = case.get(&case.url).await.expect("there is a list of variants");
            assert_eq!(Spec::parse(&spec).expect("one of ours").fields, ["cookie", "accept"]);
        }
    }
}

async fn what_does_not_vary_any_more(store: &Store) {
    let case = Case::new(store);
    assert!(case.fill("a").await);
    case.publish("a", "x", Some(case.variant("1", "accept"))).await;
    assert!(case.fill("a").await);
    assert_eq!(case.publish_after("a", "y", Some((0, "other")), None).await, Published::Changed);
    assert!(case.fill("a").await);
    assert_eq!(case.publish_after("a", "y", Some((0, "g")), None).await, Published::Stored);
    assert_eq!(case.get(&case.url).await.map(|(head, _)| head.kind), Some(Kind::Entry));
    assert!(case.fill("a").await);
    assert_eq!(case.publish_after("a", "z", Some((0, "g")), None).await, Published::Changed);
}

async fn soft_purges_of_a_url(store: &Store) {
    let case = Case::new(store);
    let expire = ExpireUrl { url: case.url.clone(), fill: case.url.cached_fill(None) };
    store.run(expire.clone()).await.expect("serves");
    assert!(case.fill("a").await);
    case.publish("a", "x", None).await;
    assert!(case.fill("b").await);
    store.run(expire.clone()).await.expect("serves");
    assert_eq!(case.get(&case.url).await, Some((Head { kind: Kind::Entry, counter: 1 }, "x".into())));
    assert_eq!(case.publish("b", "y", None).await, Published::Lost, "its answer is from before");

    assert!(case.fill("c").await);
    case.publish("c", "z", Some(case.variant("1", "accept"))).await;
    store.run(expire).await.expect("serves");
    assert!(case.fill("c").await);
    let before = case.publish_after("c", "z", Some((0, "g")), Some(case.variant("2", "accept"))).await;
    assert_eq!(before, Published::Changed, "its answer is from before the purge");
    assert!(case.fill("c").await);
    case.publish_after("c", "z", Some((1, "g")), Some(case.variant("2", "accept"))).await;
    let counter = async |key: &Key| case.get(key).await.map(|(head, _)| head.counter);
    assert_eq!(counter(&case.url).await, Some(1));
    assert_eq!(counter(&case.url.cached_variant("g", "1")).await, Some(0), "stored before");
    assert_eq!(counter(&case.url.cached_variant("g", "2")).await, Some(1), "stored after");
}

async fn versions(store: &Store) {
    let case = Case::new(store);
    let Admission::Admitted(epoch) = case.admit(None, &["a", "b"]).await else {
        panic!("nothing was purged")
    };
    assert_eq!((case.read_log().await.epoch, case.read_log().await.number), (epoch.clone(), 0));
    assert_eq!(case.version("a").await, TagVersion { hard: 0, soft: 0 });
    assert!(matches!(case.admit(None, &[]).await, Admission::Admitted(again) if again == epoch));

    case.purge(Severity::Hard, What::Tags(vec![case.tag("a")])).await;
    assert_eq!(case.version("a").await, TagVersion { hard: 1, soft: 1 });
    assert_eq!(case.admit(Some((&epoch, 0)), &["a"]).await, Admission::Purged);
    assert_eq!(case.admit(None, &[]).await, Admission::Purged, "who saw no log cannot know");
    let admitted = Admission::Admitted(epoch.clone());
    assert_eq!(case.admit(Some((&epoch, 0)), &["b"]).await, admitted, "another tag was purged");
    assert_eq!(case.admit(Some((&epoch, 0)), &["new"]).await, Admission::Purged, "its past is not known");
    assert_eq!(case.admit(Some((&epoch, 1)), &["a", "b", "new"]).await, admitted);

    case.purge(Severity::Soft, What::Tags(vec![case.tag("b"), case.tag("unknown")])).await;
    assert_eq!(case.version("b").await, TagVersion { hard: 0, soft: 2 });
    assert_eq!(case.version("unknown").await, TagVersion { hard: 2, soft: 2 });
    assert_eq!(case.admit(Some(("another", 9)), &[]).await, Admission::Purged, "another epoch");

    case.purge(Severity::Hard, What::All).await;
    let PurgeLog { epoch, number, .. } = case.read_log().await;
    assert_eq!(number, 1);
    let admitted = Admission::Admitted(epoch.clone());
    assert_eq!(case.admit(Some((&epoch, 1)), &["unknown", "b"]).await, admitted, "numbers begin anew");
    assert_eq!(case.version("unknown").await, TagVersion { hard: 1, soft: 1 });
    case.purge(Severity::Soft, What::Tags(vec![case.tag("a"), case.tag("b")])).await;
    assert_eq!(case.version("a").await, TagVersion { hard: 2, soft: 2 }, "of the old epoch");
    assert_eq!(case.version("b").await, TagVersion { hard: 1, soft: 2 });
}

async fn logs(store: &Store) {
    let case = Case::new(store);
    let paths = |paths: &[&str]| What::Paths(paths.iter().map(ToString::to_string).collect());
    case.purge(Severity::Soft, paths(&["h/a", "h/b"])).await;
    case.purge(Severity::Hard, paths(&["h/a"])).await;
    case.purge(Severity::Soft, paths(&["h/a"])).await;
    let log = case.read_log().await;
    let bans: Vec<_> = log.bans.iter().map(|ban| (ban.number, ban.severity, ban.pattern.as_str())).collect();
    let expected = [(1, Severity::Soft, "h/b"), (2, Severity::Hard, "h/a"), (3, Severity::Soft, "h/a")];
    assert_eq!(bans, expected);
    assert_eq!(log.number, 3);

    case.purge(Severity::Hard, What::All).await;
    let after = case.read_log().await;
    assert!(after.epoch != log.epoch && after.bans.is_empty());
    let many: Vec<String> = (0..Purge::MAX_BANS).map(|i| format!("h/{i}")).collect();
    case.purge(Severity::Soft, What::Paths(many)).await;
    let full = case.read_log().await;
    assert_eq!((full.epoch == after.epoch, full.bans.len()), (true, Purge::MAX_BANS));
    case.purge(Severity::Soft, paths(&["h/more"])).await;
    let emptied = case.read_log().await;
    assert!(emptied.epoch != full.epoch && emptied.bans.is_empty() && emptied.number > full.number);
}
