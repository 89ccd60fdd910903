//! Changes of entries: applied in order, all or nothing, and atomic.

use super::{Case, add, hash, is_done, remove, set};
use crate::store::Store;
use crate::store::op::{Change, Commit, CommitOutcome, Expected, Rotation};

pub(super) async fn accept(store: &Store) {
    changes_apply_in_order(store).await;
    additions_are_exact(store).await;
    limits_refuse_the_whole_commit(store).await;
    any_name_and_value_survives(store).await;
    parallel_changes_all_win(store).await;
    the_usual_write_decides_alike(store).await;
}

/// One change of a known field while no timer is due takes a shorter way in Redis.
async fn the_usual_write_decides_alike(store: &Store) {
    let case = Case::created(store).await;
    assert!(is_done(&case.change(&[set("n", "1"), set("t", "007")]).await));
    let loaded = Some(case.record().await.meta);
    let usual = |change| Commit {
        touch_ms: None,
        max_fields: None,
        loaded: loaded.clone(),
        ..case.update(&[change])
    };
    assert!(is_done(&case.commit(usual(set("s", "x"))).await));
    assert_eq!(case.field("s").await.as_deref(), Some("x"));
    assert!(matches!(case.commit(usual(add("n", 4))).await, CommitOutcome::Done(None, sums) if sums == [5]));
    for text in ["007", "1.5", "", "\"x\"", "9007199254740992"] {
        assert!(is_done(&case.change(&[set("t", text)]).await));
        assert_eq!(case.commit(usual(add("t", 1))).await, CommitOutcome::NotAnInteger, "{text}");
        assert_eq!(case.field("t").await.as_deref(), Some(text));
    }
    assert!(is_done(&case.change(&[set("t", "9007199254740991")]).await));
    assert_eq!(case.commit(usual(add("t", 1))).await, CommitOutcome::NotAnInteger);
    assert_eq!(case.field("t").await.as_deref(), Some("9007199254740991"));
    for by in [i64::MIN, -18_014_398_509_481_983, 9_007_199_254_740_993, i64::MAX] {
        assert_eq!(case.commit(usual(add("t", by))).await, CommitOutcome::NotAnInteger, "{by}");
        assert_eq!(case.field("t").await.as_deref(), Some("9007199254740991"));
    }
    let wrong = Commit { presented: Some(hash("wrong")), ..usual(set("s", "y")) };
    assert_eq!(case.commit(wrong).await, CommitOutcome::Gone);
    let stale = Commit { expected: Expected::Generation(7), ..usual(set("s", "y")) };
    assert_eq!(case.commit(stale).await, CommitOutcome::Gone);
    assert_eq!(case.field("s").await.as_deref(), Some("x"));
    let both = Commit { touch_ms: None, max_fields: None, ..case.update(&[Change::Clear, remove("t")]) };
    assert!(is_done(&case.commit(both).await));
    assert!(case.record().await.fields.is_empty());
    what_changed_meanwhile_is_told_from_an_end(&case, usual).await;
    let missing = Case::new(store);
    let late = Commit { touch_ms: None, max_fields: None, loaded, ..missing.update(&[set("s", "y")]) };
    assert_eq!(missing.commit(late).await, CommitOutcome::Gone);
}

async fn what_changed_meanwhile_is_told_from_an_end(case: &Case<'_>, usual: impl Fn(Change) -> Commit) {
    let renew = Commit { rotation: Rotation::Renew(hash("s1")), ..case.update(&[]) };
    assert!(is_done(&case.commit(renew).await));
    assert!(is_done(&case.commit(usual(set("s", "z"))).await), "the renewed secret still counts");
    assert_eq!(case.commit(usual(add("s", 1))).await, CommitOutcome::NotAnInteger);
    assert!(matches!(case.commit(usual(add("m", 2))).await, CommitOutcome::Done(_, sums) if sums == [2]));
    assert_eq!(case.field("s").await.as_deref(), Some("z"));
    let swap =
        Commit { presented: Some(hash("s1")), rotation: Rotation::Swap(hash("s2")), ..case.update(&[]) };
    assert!(is_done(&case.commit(swap).await));
    assert_eq!(case.commit(usual(set("s", "w"))).await, CommitOutcome::Gone);
    assert_eq!(case.field("s").await.as_deref(), Some("z"));
}

async fn changes_apply_in_order(store: &Store) {
    let case = Case::created(store).await;
    assert!(is_done(&case.change(&[set("a", "1"), set("b", "2"), set("@own", "x")]).await));
    assert!(is_done(&case.change(&[remove("a"), set("b", "3"), set("c", "4"), remove("c")]).await));
    assert_eq!((case.field("a").await, case.field("b").await.as_deref()), (None, Some("3")));
    assert_eq!(case.field("c").await, None);
    assert!(is_done(&case.change(&[set("d", "5"), Change::Clear, set("e", "6")]).await));
    let fields = case.record().await.fields;
    assert_eq!(fields.keys().collect::<Vec<_>>(), ["@own", "e"], "a clear spares what is not an entry");
}

async fn additions_are_exact(store: &Store) {
    let case = Case::created(store).await;
    let CommitOutcome::Done(_, sums) = case.change(&[add("n", 5), add("n", -7), set("s", "\"x\"")]).await
    else {
        panic!("an addition to a missing entry counts from zero");
    };
    assert_eq!(sums, [5, -2]);
    assert_eq!(case.field("n").await.as_deref(), Some("-2"));
    for text in ["\"x\"", "1.5", "007", "+1", "-0", "", " 1", "9007199254740992", "99999999999999999999"] {
        assert!(is_done(&case.change(&[set("t", text)]).await));
        assert_eq!(case.change(&[set("u", "1"), add("t", 1)]).await, CommitOutcome::NotAnInteger, "{text}");
        assert_eq!(case.field("u").await, None, "nothing of a refused commit is written");
    }
    assert!(is_done(&case.change(&[set("t", "9007199254740990")]).await));
    assert!(
        matches!(case.change(&[add("t", 1)]).await, CommitOutcome::Done(_, sums) if sums == [9_007_199_254_740_991])
    );
    assert_eq!(case.change(&[add("t", 1)]).await, CommitOutcome::NotAnInteger);
}

async fn limits_refuse_the_whole_commit(store: &Store) {
    let case = Case::created(store).await;
    let fill: Vec<_> = (0..19).map(|i| set(&format!("f{i}"), "1")).collect();
    assert!(is_done(&case.change(&fill).await), "19 entries and the metadata are 20 fields");
    assert_eq!(case.change(&[set("one-more", "1")]).await, CommitOutcome::TooMany);
    assert_eq!(case.change(&[add("one-more", 1)]).await, CommitOutcome::TooMany);
    assert!(is_done(&case.change(&[set("f0", "2")]).await), "an entry that is there may change");
    assert!(is_done(&case.change(&[remove("f0"), set("one-more", "1")]).await), "one out, one in");
    assert!(is_done(&case.change(&[Change::Clear, set("a", "1"), set("b", "1")]).await));
}

async fn any_name_and_value_survives(store: &Store) {
    let case = Case::created(store).await;
    let names = ["ä:{b}*\r\n", "\0", " ", "s", "r", "c", "i", "1", &"n".repeat(128)];
    let value = "\r\n\0\u{10ffff}\"\\".repeat(1000);
    for name in names {
        assert!(is_done(&case.change(&[set(name, &value)]).await));
        assert_eq!(case.field(name).await.as_deref(), Some(value.as_str()), "{name:?}");
    }
    let bytes: Vec<u8> = (0..=255).collect();
    assert!(is_done(&case.change(&[Change::Set("bytes".to_owned(), bytes.clone())]).await));
    assert_eq!(case.record().await.fields["bytes"], bytes);
}

async fn parallel_changes_all_win(store: &Store) {
    let case = Case::created(store).await;
    let mut commits = Vec::new();
    for i in 0..16 {
        commits.push(case.change(&[add("n", 1), add("m", i)]).await);
        let (a, b) = (format!("a{}", i % 3), format!("b{}", i % 3));
        let (first, second) = (case.update(&[set(&a, "1")]), case.update(&[set(&b, "1")]));
        let pair =
            [first, second].map(|commit| crate::store::op::CommitSession::new(case.at.clone(), commit));
        let answers = store.batch(Vec::from(pair)).await.expect("serves");
        assert!(
            answers.iter().all(|answer| answer.as_ref().is_ok_and(|committed| is_done(&committed.outcome)))
        );
    }
    assert!(commits.iter().all(is_done));
    assert_eq!(case.field("n").await.as_deref(), Some("16"));
    assert_eq!(case.field("m").await.as_deref(), Some("120"));
    assert_eq!(case.record().await.fields.len(), 8);
}
