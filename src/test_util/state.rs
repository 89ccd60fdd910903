//! Values, counters, sets and lists: what the operations of typed state answer, on either store.

use std::time::Duration;

use bytes::Bytes;

use super::unique;
use crate::store::key::{Key, KeySpace};
use crate::store::op::state::{
    AboutMember, AddMember, Added, AllItems, AllMembers, Condition, Count, CountMembers, Effect, GetValue,
    GetValues, Lifetime, MemberVerb, PopItem, PushItem, Remaining, Remains, RemoveValue, Scan, SetValue,
    Unlink, Why, Write, WriteOutcome, WriteValues,
};
use crate::store::{Operation, Store, StoreErrorKind};

const HOUR: Lifetime = Lifetime::Millis(3_600_000);
const R1: [u8; 16] = *b"AAAAAAAAAAAAAAA1";
const R2: [u8; 16] = *b"AAAAAAAAAAAAAAA2";

pub(super) async fn accept(store: &Store, advance: &impl AsyncFn(Duration)) {
    let case = Case { store, space: KeySpace::tagged(store.prefix(), &["state", "suite"]) };
    values(&case).await;
    conditions(&case).await;
    transactions(&case).await;
    lifetimes(&case, advance).await;
    types(&case).await;
    counters(&case, advance).await;
    sets(&case).await;
    lists(&case).await;
    scans(&case).await;
}

struct Case<'a> {
    store: &'a Store,
    space: KeySpace,
}

fn stored(revision: [u8; 16], value: &str) -> Bytes {
    [b"1", &revision[..], value.as_bytes()].concat().into()
}

fn put(key: &Key, condition: Condition, revision: [u8; 16], lifetime: Lifetime) -> Write {
    Write { key: key.clone(), condition, effect: Effect::Put(stored(revision, "x"), lifetime) }
}

fn remove(key: &Key, condition: Condition) -> Write {
    Write { key: key.clone(), condition, effect: Effect::Remove }
}

impl Case<'_> {
    fn key(&self) -> Key {
        self.space.of(&unique()).expect("it fits")
    }

    async fn run<O: Operation>(&self, operation: O) -> O::Output {
        self.store.run(operation).await.expect("the store serves")
    }

    async fn refusal<O: Operation<Output: std::fmt::Debug>>(&self, operation: O) -> StoreErrorKind {
        self.store.run(operation).await.expect_err("it is refused").kind()
    }

    async fn set(&self, key: &Key, lifetime: Lifetime) -> bool {
        self.run(SetValue { key: key.clone(), value: stored(R1, "x"), lifetime }).await
    }

    async fn write(&self, writes: Vec<Write>) -> WriteOutcome {
        self.run(WriteValues::new(writes).expect("there are some")).await
    }
}

async fn values(case: &Case<'_>) {
    let (key, other) = (case.key(), case.key());
    assert_eq!(case.run(GetValue(key.clone())).await, None);
    assert!(case.set(&key, Lifetime::Never).await);
    assert_eq!(case.run(GetValue(key.clone())).await, Some(stored(R1, "x")));
    for value in [&b""[..], b"\0\x01\xff", b"{\"json\":\"in text\"}"] {
        let value = Bytes::from_static(value);
        assert!(case.run(SetValue { key: key.clone(), value: value.clone(), lifetime: HOUR }).await);
        assert_eq!(case.run(GetValue(key.clone())).await, Some(value));
    }
    let all = GetValues::new([other.clone(), key.clone()]).expect("there are some");
    assert_eq!(case.run(all).await, [None, Some(Bytes::from_static(b"{\"json\":\"in text\"}"))]);
    assert!(case.run(RemoveValue(key.clone())).await && !case.run(RemoveValue(key.clone())).await);
    assert!(!case.run(Unlink(key)).await);
}

async fn conditions(case: &Case<'_>) {
    let key = case.key();
    let refused = |why| WriteOutcome::Refused { index: 0, why };
    let (r1, r2) = (Condition::Revision(R1), Condition::Revision(R2));
    assert_eq!(
        case.write(vec![put(&key, r1, R2, HOUR)]).await,
        refused(Why::Changed),
        "never made by a revision"
    );
    assert_eq!(case.write(vec![remove(&key, r1)]).await, refused(Why::Changed));
    let keep = vec![put(&key, Condition::Absent, R1, Lifetime::Keep)];
    assert_eq!(case.write(keep).await, refused(Why::Missing), "there is no time to keep");
    assert_eq!(case.write(vec![put(&key, Condition::Absent, R1, HOUR)]).await, WriteOutcome::Done);
    assert_eq!(case.write(vec![put(&key, Condition::Absent, R2, HOUR)]).await, refused(Why::Exists));
    assert_eq!(case.write(vec![put(&key, r1, R2, HOUR)]).await, WriteOutcome::Done);
    assert_eq!(case.write(vec![put(&key, r1, R1, HOUR)]).await, refused(Why::Changed));
    assert_eq!(case.write(vec![remove(&key, r1)]).await, refused(Why::Changed));
    assert_eq!(
        case.run(GetValue(key.clone())).await,
        Some(stored(R2, "x")),
        "who is refused changes nothing"
    );
    assert_eq!(case.write(vec![remove(&key, r2)]).await, WriteOutcome::Done);
    assert_eq!(case.write(vec![put(&key, r2, R1, HOUR)]).await, refused(Why::Changed), "gone is gone");
}

async fn transactions(case: &Case<'_>) {
    let [a, b, c] = [case.key(), case.key(), case.key()].map(|key| {
        // One hash tag for all.
        KeySpace::group(case.store.prefix(), &["state", "suite"], "g")
            .and_then(|g| g.of(&key.as_str()[10..]))
            .expect("fits")
    });
    let any = Condition::Any;
    assert_eq!(case.write(vec![put(&a, any, R1, HOUR), put(&b, any, R1, HOUR)]).await, WriteOutcome::Done);
    let wrong = vec![put(&c, any, R1, HOUR), remove(&a, any), put(&b, Condition::Revision(R2), R2, HOUR)];
    assert_eq!(case.write(wrong).await, WriteOutcome::Refused { index: 2, why: Why::Changed });
    let all = || GetValues::new([a.clone(), b.clone(), c.clone()]).expect("there are some");
    assert_eq!(
        case.run(all()).await,
        [Some(stored(R1, "x")), Some(stored(R1, "x")), None],
        "nothing was written"
    );
    let ordered = vec![remove(&a, any), put(&b, any, R2, HOUR), remove(&b, any), put(&c, any, R2, HOUR)];
    assert_eq!(case.write(ordered).await, WriteOutcome::Done);
    assert_eq!(case.run(all()).await, [None, None, Some(stored(R2, "x"))]);
}

async fn lifetimes(case: &Case<'_>, advance: &impl AsyncFn(Duration)) {
    let (short, long, never) = (case.key(), case.key(), case.key());
    let brief = Lifetime::Millis(100);
    assert!(!case.set(&short, Lifetime::Keep).await, "there is nothing to keep");
    let keep = vec![put(&short, Condition::Any, R1, Lifetime::Keep)];
    assert_eq!(case.write(keep).await, WriteOutcome::Refused { index: 0, why: Why::Missing });
    assert!(case.set(&short, brief).await && case.set(&long, brief).await && case.set(&never, brief).await);
    assert!(case.set(&short, Lifetime::Keep).await && case.set(&long, HOUR).await);
    let (r1, by) = (Condition::Revision(R1), Lifetime::Never);
    assert_eq!(case.write(vec![put(&never, r1, R2, by)]).await, WriteOutcome::Done);
    assert!(matches!(case.run(Remaining(short.clone())).await, Remains::Millis(1..=100)));
    assert!(matches!(case.run(Remaining(long.clone())).await, Remains::Millis(3_000_000..=3_600_000)));
    assert_eq!(case.run(Remaining(never.clone())).await, Remains::Forever);
    assert!(case.set(&never, Lifetime::Keep).await);
    assert_eq!(case.run(Remaining(never.clone())).await, Remains::Forever);
    advance(Duration::from_millis(120)).await;
    assert_eq!(case.run(Remaining(short.clone())).await, Remains::Nothing);
    assert_eq!(case.run(GetValue(short)).await, None);
    let both = GetValues::new([long, never]).expect("there are some");
    assert!(case.run(both).await.iter().all(Option::is_some));
}

async fn types(case: &Case<'_>) {
    let (set, text) = (case.key(), case.key());
    let add = |key: &Key| AddMember { key: key.clone(), member: "a".into(), most: 9, lifetime: HOUR };
    let push = |key: &Key| PushItem { key: key.clone(), item: "a".into(), most: 9, lifetime: HOUR };
    case.run(add(&set)).await;
    assert!(case.set(&text, HOUR).await);
    let wrong = StoreErrorKind::WrongType;
    assert_eq!(case.refusal(GetValue(set.clone())).await, wrong);
    assert_eq!(
        case.refusal(SetValue { key: set.clone(), value: stored(R1, "x"), lifetime: HOUR }).await,
        wrong
    );
    assert_eq!(case.refusal(Count { key: set.clone(), by: 1, ttl_ms: None }).await, wrong);
    assert_eq!(case.refusal(push(&set)).await, wrong);
    assert_eq!(case.refusal(add(&text)).await, wrong);
    // Keys that are written together lie in one slot of a Cluster.
    let group = KeySpace::group(case.store.prefix(), &["state", "suite"], &unique()).expect("fits");
    let [other, new] = ["a", "b"].map(|name| group.of(name).expect("fits"));
    case.run(add(&other)).await;
    for condition in [Condition::Any, Condition::Absent, Condition::Revision(R1)] {
        let writes = [put(&new, Condition::Any, R1, HOUR), put(&other, condition, R1, HOUR)];
        assert_eq!(case.refusal(WriteValues::new(writes).expect("some")).await, wrong);
    }
    assert_eq!(case.run(GetValue(new)).await, None, "nothing was written");
    assert_eq!(case.run(AllMembers(set.clone())).await, ["a"], "and nothing was written over");
    assert!(case.run(RemoveValue(set)).await, "what is not wanted can be removed");
}

async fn counters(case: &Case<'_>, advance: &impl AsyncFn(Duration)) {
    let (key, text) = (case.key(), case.key());
    let add = |by| Count { key: key.clone(), by, ttl_ms: Some(100) };
    assert_eq!(case.run(add(5)).await, Some(5));
    advance(Duration::from_millis(60)).await;
    assert_eq!(case.run(add(-7)).await, Some(-2));
    advance(Duration::from_millis(60)).await;
    assert_eq!(case.run(add(1)).await, Some(1), "its end was not put off");
    let most = Count { key: text.clone(), by: i64::MAX, ttl_ms: None };
    assert_eq!(case.run(most.clone()).await, Some(i64::MAX));
    assert_eq!(case.run(Remaining(text.clone())).await, Remains::Forever);
    assert_eq!(case.run(most.clone()).await, None, "beyond 64 bits");
    assert_eq!(case.run(GetValue(text.clone())).await, Some(i64::MAX.to_string().into()));
    assert!(case.set(&text, HOUR).await);
    assert_eq!(case.run(most).await, None, "no number");
}

async fn sets(case: &Case<'_>) {
    let key = case.key();
    let add = |member: &str, lifetime| {
        let member = Bytes::copy_from_slice(member.as_bytes());
        case.run(AddMember { key: key.clone(), member, most: 2, lifetime })
    };
    let about = |verb, member: &str| {
        case.run(AboutMember { verb, key: key.clone(), member: Bytes::copy_from_slice(member.as_bytes()) })
    };
    assert_eq!(add("a", Lifetime::Keep).await, Added::Missing);
    assert_eq!([add("a", HOUR).await, add("a", Lifetime::Keep).await], [Added::New, Added::Already]);
    assert_eq!([add("b", Lifetime::Keep).await, add("c", HOUR).await], [Added::New, Added::Full]);
    assert!(matches!(case.run(Remaining(key.clone())).await, Remains::Millis(_)));
    assert_eq!(add("a", Lifetime::Never).await, Added::Already);
    assert_eq!(case.run(Remaining(key.clone())).await, Remains::Forever);
    assert!(about(MemberVerb::Has, "a").await && !about(MemberVerb::Has, "c").await);
    assert_eq!(case.run(CountMembers(key.clone())).await, 2);
    let mut all = case.run(AllMembers(key.clone())).await;
    all.sort();
    assert_eq!(all, ["a", "b"]);
    assert!(about(MemberVerb::Remove, "a").await && !about(MemberVerb::Remove, "a").await);
    assert!(about(MemberVerb::Remove, "b").await);
    assert_eq!(case.run(Remaining(key.clone())).await, Remains::Nothing, "it ends with its last member");
}

async fn lists(case: &Case<'_>) {
    let key = case.key();
    let push = |item: &str, lifetime| {
        let item = Bytes::copy_from_slice(item.as_bytes());
        case.run(PushItem { key: key.clone(), item, most: 2, lifetime })
    };
    assert_eq!(push("a", Lifetime::Keep).await, None);
    assert_eq!(push("a", HOUR).await, Some(1));
    assert_eq!([push("b", Lifetime::Keep).await, push("c", Lifetime::Never).await], [Some(2), Some(2)]);
    assert_eq!(case.run(Remaining(key.clone())).await, Remains::Forever);
    assert_eq!(case.run(AllItems(key.clone())).await, ["b", "c"]);
    assert_eq!(case.run(PopItem(key.clone())).await.as_deref(), Some(&b"b"[..]));
    assert_eq!(case.run(PopItem(key.clone())).await.as_deref(), Some(&b"c"[..]));
    assert_eq!(case.run(PopItem(key.clone())).await, None);
    assert!(case.run(AllItems(key)).await.is_empty());
}

async fn scans(case: &Case<'_>) {
    let space = KeySpace::plain(case.store.prefix(), &["state", "scans"]);
    let start = unique();
    let mut keys: Vec<Key> =
        (0..50).filter_map(|n| space.of(&format!("{start}:{n}*"))).chain(space.of("another")).collect();
    for key in &keys {
        case.set(key, HOUR).await;
    }
    let other = keys.pop();
    let pattern = space.starting_with(&start).expect("it fits");
    let (mut cursor, mut found) = (0, Vec::new());
    loop {
        let page = case.run(Scan { pattern: pattern.clone(), cursor, count: 10 }).await;
        found.extend(page.keys);
        cursor = page.next;
        if cursor == 0 {
            break;
        }
    }
    found.sort();
    found.dedup();
    keys.sort();
    assert!(found == keys, "{} of {} keys", found.len(), keys.len());
    let unlinked = case.store.batch(keys.into_iter().map(Unlink).collect::<Vec<_>>()).await.expect("serves");
    assert!(unlinked.into_iter().all(|unlinked| unlinked.expect("serves")));
    assert!(case.run(Unlink(other.expect("it was made"))).await, "what does not match stays");
}
