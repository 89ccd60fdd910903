//! What a state store must do, as the conformance suites of others ask it: operations and expectations, and the cases beyond.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tower_keep::kv::{KeyValue, KvError, Lists, Revision, Ttl, Write};
use tower_keep::store::Store;

use crate::fixture::*;

async fn round_trip<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug + 'static>(
    store: &Store,
    value: T,
) {
    let state = KeyValue::<T>::new(store.clone(), "types").unwrap();
    state.set("k", &value, HOUR).await.unwrap();
    assert_eq!(state.get("k").await.unwrap(), Some(value));
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Record {
    name: String,
    tags: BTreeMap<String, Option<f64>>,
}

#[tokio::test]
async fn values_of_every_kind_come_back() {
    on_both(async |store| {
        round_trip(&store, 123).await;
        round_trip(&store, u64::MAX).await;
        round_trip(&store, true).await;
        round_trip(&store, vec![0_u8, 1, 255]).await;
        round_trip(&store, "text".to_owned()).await;
        round_trip(&store, r#"{"json":"in text"}"#.to_owned()).await;
        round_trip(&store, String::new()).await;
        round_trip(&store, None::<u8>).await;
        round_trip(
            &store,
            Record { name: "ü\0".into(), tags: [("a".into(), Some(0.5)), ("b".into(), None)].into() },
        )
        .await;
    })
    .await;
}

#[tokio::test]
async fn what_is_removed_is_gone_and_what_was_never_there_is_no_error() {
    on_both(async |store| {
        let state = carts(&store);
        state.set("a", &cart("x"), HOUR).await.unwrap();
        assert!(state.remove("a").await.unwrap() && !state.remove("a").await.unwrap());
        assert!(!state.remove("never").await.unwrap());
        assert_eq!(state.get("a").await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn several_at_once_have_results_of_their_own() {
    on_both(async |store| {
        let state = carts(&store);
        let (x, y) = (cart("x"), cart("y"));
        let made = state.write_all(&[Write::set("a", &x, HOUR), Write::set("b", &x, HOUR)]).await.unwrap();
        let revisions: Vec<_> = made.into_iter().map(|made| made.unwrap().unwrap()).collect();
        let all = state.get_many(["b", "none", "a"]).await.unwrap();
        let all: Vec<_> = all.into_iter().map(|found| found.unwrap().map(|found| found.revision)).collect();
        assert_eq!(all, [Some(revisions[1]), None, Some(revisions[0])]);

        let wrong = [
            Write::set("a", &y, HOUR).if_match(revisions[1]),
            Write::set("b", &y, HOUR).if_match(revisions[1]),
            Write::remove("none"),
            Write::set("", &y, HOUR),
        ];
        let results = state.write_all(&wrong).await.unwrap();
        assert!(matches!(&results[..], [Err(KvError::Mismatch), Ok(Some(_)), Ok(None), Err(KvError::Key)]));
        let a = state.get_versioned("a").await.unwrap().unwrap();
        assert_eq!((a.value, a.revision), (x, revisions[0]), "unchanged");
        assert_eq!(state.get("b").await.unwrap(), Some(y));
        assert!(
            state
                .write_all(&[Write::remove("a"), Write::remove("b")])
                .await
                .unwrap()
                .iter()
                .all(Result::is_ok)
        );
        assert!(state.get("a").await.unwrap().is_none() && state.get("b").await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn revisions_guard_writes_and_removals() {
    on_both(async |store| {
        let state = carts(&store);
        let other = Revision::parse("AAAAAAAAAAAAAAAA").unwrap();
        let first = state.set("a", &cart("1"), HOUR).await.unwrap();
        assert!(matches!(state.replace("a", &cart("2"), HOUR, other).await, Err(KvError::Mismatch)));
        let second = state.replace("a", &cart("2"), HOUR, first).await.unwrap();
        assert_ne!(first, second);
        assert!(matches!(state.remove_if("a", first).await, Err(KvError::Mismatch)));
        state.remove_if("a", second).await.unwrap();
        assert!(state.get_versioned("a").await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn the_first_write_wins() {
    on_both(async |store| {
        let state = carts(&store);
        state.set("last", &cart("1"), HOUR).await.unwrap();
        assert!(
            matches!(state.create("last", &cart("2"), HOUR).await, Err(KvError::Exists)),
            "whoever wrote it"
        );
        let first = state.create("a", &cart("1"), HOUR).await.unwrap();
        assert!(matches!(state.create("a", &cart("2"), HOUR).await, Err(KvError::Exists)));
        state.replace("a", &cart("3"), HOUR, first).await.unwrap();
        assert!(matches!(state.replace("a", &cart("4"), HOUR, first).await, Err(KvError::Mismatch)));
        assert_eq!(state.get("a").await.unwrap(), Some(cart("3")));
    })
    .await;
}

/// A revision from before a removal fits nothing after it, and brings nothing back.
#[tokio::test]
async fn no_revision_outlives_its_value() {
    on_both(async |store| {
        let state = carts(&store);
        let before = state.set("a", &cart("same"), HOUR).await.unwrap();
        state.remove("a").await.unwrap();
        assert!(matches!(state.replace("a", &cart("x"), HOUR, before).await, Err(KvError::Mismatch)));
        assert!(matches!(state.remove_if("a", before).await, Err(KvError::Mismatch)));
        assert_eq!(state.get("a").await.unwrap(), None, "not brought back");
        let after = state.set("a", &cart("same"), HOUR).await.unwrap();
        assert_ne!(before, after, "though it is the same value");
        assert!(matches!(state.replace("a", &cart("x"), HOUR, before).await, Err(KvError::Mismatch)));
        assert_eq!(state.get("a").await.unwrap(), Some(cart("same")));
    })
    .await;
}

#[tokio::test]
async fn transactions_are_in_order_and_all_or_nothing() {
    on_both(async |store| {
        let state = carts(&store).group("order:7").unwrap();
        let (x, y) = (cart("x"), cart("y"));
        state.set("k1", &x, HOUR).await.unwrap();
        let ordered = [
            Write::remove("k1"),
            Write::set("k2", &x, HOUR),
            Write::remove("k2"),
            Write::set("k3", &x, HOUR),
        ];
        let revisions = state.commit(&ordered).await.unwrap();
        assert_eq!(revisions.iter().map(Option::is_some).collect::<Vec<_>>(), [false, true, false, true]);
        let all = state.get_many(["k1", "k2", "k3"]).await.unwrap();
        assert_eq!(
            all.iter().map(|found| found.as_ref().unwrap().is_some()).collect::<Vec<_>>(),
            [false, false, true]
        );

        let stale = Revision::parse("AAAAAAAAAAAAAAAA").unwrap();
        let wrong = [
            Write::set("k1", &y, HOUR),
            Write::set("k3", &y, HOUR).if_match(revisions[3].unwrap()),
            Write::remove("k3").if_match(stale),
        ];
        let Err(KvError::Transaction { index: 2, error }) = state.commit(&wrong).await else {
            panic!("refused")
        };
        assert!(matches!(*error, KvError::Mismatch));
        assert_eq!((state.get("k1").await.unwrap(), state.get("k3").await.unwrap()), (None, Some(x)));
        assert!(
            state.commit(&[Write::remove("none")]).await.is_ok()
                && state.commit(&[]).await.unwrap().is_empty()
        );
    })
    .await;
}

#[tokio::test]
async fn a_bounded_list_drops_its_oldest_and_is_a_queue() {
    on_both(async |store| {
        let list = Lists::<u32>::new(store, "queue", 3).unwrap();
        for n in 0..5 {
            list.push("a", &n, HOUR).await.unwrap();
        }
        list.push("b", &9, Ttl::Never).await.unwrap();
        assert_eq!(list.items("a").await.unwrap(), [2, 3, 4]);
        for n in [Some(2), Some(3), Some(4), None] {
            assert_eq!(list.pop("a").await.unwrap(), n);
        }
        assert!(list.clear("b").await.unwrap());
    })
    .await;
}
