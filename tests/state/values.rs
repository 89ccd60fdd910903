//! Reading and writing values; what is refused, and why.

use std::time::Duration;

use keep_testing::RedisServer;
use tower_keep::kv::{KeyValue, KvConfigError, KvError, Remainder, Ttl, Update, Write};
use tower_keep::store::key::KeyPrefix;
use tower_keep::store::{Store, StoreErrorKind};

use crate::fixture::*;

#[tokio::test]
async fn rights_are_types_and_each_handle_does_what_it_says() {
    on_both(async |store| {
        let all = carts(&store);
        let (writer, reader) = (all.writer(), all.reader());
        let first = writer.create("a", &cart("tea"), HOUR).await.unwrap();
        assert_eq!(reader.get("a").await.unwrap(), Some(cart("tea")));
        writer.replace("a", &cart("milk"), Ttl::KeepRemaining, first).await.unwrap();
        assert!(matches!(reader.remaining("a").await.unwrap(), Some(Remainder::For(_))));
        assert!(all.remove("a").await.unwrap());
        assert_eq!(reader.remaining("a").await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn times_to_live_are_said_each_time_and_checked() {
    on_both(async |store| {
        let carts = carts(&store);
        for nothing in
            [Ttl::After(Duration::ZERO), Ttl::After(Duration::from_nanos(1)), Ttl::After(Duration::MAX)]
        {
            assert!(matches!(carts.set("a", &cart("x"), nothing).await, Err(KvError::Ttl)));
        }
        assert!(matches!(carts.set("a", &cart("x"), Ttl::KeepRemaining).await, Err(KvError::Missing)));
        carts.set("a", &cart("x"), Ttl::Never).await.unwrap();
        assert_eq!(carts.remaining("a").await.unwrap(), Some(Remainder::Forever));
        carts.set("a", &cart("x"), HOUR).await.unwrap();
        carts.set("a", &cart("y"), Ttl::KeepRemaining).await.unwrap();
        assert!(matches!(carts.remaining("a").await.unwrap(), Some(Remainder::For(_))));
    })
    .await;
}

#[tokio::test]
async fn what_is_not_valid_is_neither_written_nor_read() {
    on_both(async |store| {
        let any = carts(&store);
        let not_empty =
            |cart: &Cart| if cart.items.is_empty() { Err("an empty cart".to_owned()) } else { Ok(()) };
        let strict = KeyValue::<Cart>::builder(store.clone(), "carts").validate(not_empty).build().unwrap();
        let empty = Cart { items: vec![] };
        let refused = strict.set("a", &empty, HOUR).await.unwrap_err();
        assert_eq!(refused.to_string(), "the value is not valid: an empty cart");
        assert_eq!(any.get("a").await.unwrap(), None);
        any.set("a", &empty, HOUR).await.unwrap();
        assert!(matches!(strict.get("a").await, Err(KvError::Invalid(_))));
        assert_eq!(any.get("a").await.unwrap(), Some(empty), "it stays");
    })
    .await;
}

#[tokio::test]
async fn bounds_are_checked_before_anything_is_sent() {
    on_both(async |store| {
        let small = KeyValue::<String>::builder(store.clone(), "notes").max_bytes(5).build().unwrap();
        small.set("a", &"123".to_owned(), HOUR).await.unwrap();
        assert!(matches!(small.set("a", &"1234".to_owned(), HOUR).await, Err(KvError::TooLarge)));
        for key in ["", &"x".repeat(129), &":".repeat(43)] {
            assert!(matches!(small.get(key).await, Err(KvError::Key)));
        }
        let many: Vec<_> = (0..1001).map(|n| n.to_string()).collect();
        assert!(matches!(small.get_many(&many).await, Err(KvError::TooMany)));
        assert!(small.get_many::<&str>([]).await.unwrap().is_empty());
    })
    .await;
    let build = |name: &str| KeyValue::<String>::new(Store::in_memory(), name).unwrap_err();
    for name in ["", "A", "a:b", "a b", &"x".repeat(33)] {
        assert_eq!(build(name), KvConfigError::Name);
    }
    let zero = KeyValue::<String>::builder(Store::in_memory(), "a").max_bytes(0).build();
    assert_eq!(zero.unwrap_err(), KvConfigError::OutOfRange("max_bytes"));
}

/// Whatever somebody else put there is told by its kind, and nothing is written over it.
#[tokio::test]
async fn foreign_values_are_told_apart_and_left_alone() {
    let server = RedisServer::start();
    let carts = carts(&on_redis(&server));
    let key = "keep:state:carts:{a}";
    for foreign in ["{bad", "", "{\"items\":[]}", "1AAAAAAAAAAAAAAAA 00000000 {\"items\":[]}"] {
        let _: () = server.cmd("SET", &[key, foreign]);
        assert!(matches!(carts.get("a").await, Err(KvError::Decode(_))), "{foreign}");
        let keep = |_: Option<&Cart>| Update::<Cart>::Keep;
        assert!(matches!(carts.update("a", keep).await, Err(KvError::Decode(_))));
        let held: String = server.cmd("GET", key);
        assert_eq!(held, foreign);
    }
    carts.set("a", &cart("x"), HOUR).await.unwrap();
    assert_eq!(carts.get("a").await.unwrap(), Some(cart("x")), "and can be replaced");

    let _: u64 = server.cmd("DEL", key);
    let _: u64 = server.cmd("RPUSH", &[key, "x"]);
    for result in [
        carts.get("a").await.map(drop),
        carts.set("a", &cart("x"), HOUR).await.map(drop),
        carts.create("a", &cart("x"), HOUR).await.map(drop),
    ] {
        let Err(KvError::Store(error)) = result else { panic!("{result:?}") };
        assert_eq!(error.kind(), StoreErrorKind::WrongType);
    }
    let length: u64 = server.cmd("LLEN", key);
    assert_eq!(length, 1);
    assert!(carts.remove("a").await.unwrap());
}

/// A value that somebody copied by hand to another key is not that key's value.
#[tokio::test]
async fn a_value_under_another_key_is_not_read() {
    let server = RedisServer::start();
    let store = on_redis(&server);
    carts(&store).set("a", &cart("x"), HOUR).await.unwrap();
    let copy = |to: &str| {
        let _: u64 = server.cmd("COPY", &["keep:state:carts:{a}", to]);
    };
    copy("keep:state:carts:{b}");
    assert!(matches!(carts(&store).get("b").await, Err(KvError::Decode(None))));
    copy("other:state:carts:{a}");
    let moved = store.with_prefix(KeyPrefix::new("other").unwrap());
    assert_eq!(carts(&moved).get("a").await.unwrap(), Some(cart("x")), "another prefix is a copy of all");
}

#[tokio::test]
async fn keys_are_found_and_purged_by_how_they_begin() {
    on_both(async |store| {
        let carts = carts(&store);
        let group = carts.group("user:1").unwrap();
        for n in 0..1200 {
            carts.set(&format!("user:1:{n}*"), &cart("x"), HOUR).await.unwrap();
        }
        carts.set("user:2", &cart("x"), HOUR).await.unwrap();
        group.set("user:1:group", &cart("x"), HOUR).await.unwrap();
        let (mut pages, mut found) = (carts.scan("user:1:").unwrap(), std::collections::BTreeSet::new());
        while let Some(page) = pages.next().await.unwrap() {
            found.extend(page);
        }
        assert_eq!(found.len(), 1200);
        assert!(found.contains("user:1:7*"));
        assert!(matches!(carts.purge("").await, Err(KvError::Key)), "nothing is not a beginning");
        assert_eq!(carts.purge("user:1:").await.unwrap(), 1200);
        assert_eq!(carts.purge_all().await.unwrap(), 1);
        assert_eq!(group.purge_all().await.unwrap(), 1);
    })
    .await;
}

#[tokio::test]
async fn groups_have_keys_of_their_own() {
    on_both(async |store| {
        let carts = carts(&store);
        let (a, b) = (carts.group("a").unwrap(), carts.group("b").unwrap());
        a.set("x", &cart("a"), HOUR).await.unwrap();
        assert_eq!(b.get("x").await.unwrap(), None);
        assert_eq!(carts.get("x").await.unwrap(), None);
        let long = [carts.group("").unwrap_err(), carts.group(&"x".repeat(129)).unwrap_err()];
        assert_eq!(long, [KvConfigError::Group, KvConfigError::Group]);
        let bad = [Write::remove("x"), Write::remove("")];
        let Err(KvError::Transaction { index: 1, error }) = a.commit(&bad).await else { panic!() };
        assert!(matches!(*error, KvError::Key));
        let value = cart("b");
        let new = Write::set("x", &value, Ttl::KeepRemaining);
        let keeps = [Write::set("x", &value, HOUR), Write::remove("x"), new];
        let Err(KvError::Transaction { index: 2, error }) = a.commit(&keeps).await else { panic!() };
        assert!(matches!(*error, KvError::Ttl), "there is no time left to keep");
        assert!(a.get("x").await.unwrap().is_some());
    })
    .await;
}
