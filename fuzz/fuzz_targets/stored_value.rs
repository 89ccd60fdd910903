//! Foreign bytes under a value's key: read, updated, fetched anew. And as a key of a scan, which must come back whole.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tower_keep::kv::{KeyValue, Ttl, Update};
use tower_keep::store::Store;
use tower_keep::store::key::{KeyPrefix, KeySpace};
use tower_keep::store::op::state::{Lifetime, SetValue};
use tower_keep_fuzz::now;

fuzz_target!(|input: &[u8]| {
    let store = Store::in_memory();
    let state = KeyValue::<serde_json::Value>::new(store.clone(), "n").expect("the name is allowed");
    let space = KeySpace::tagged(&KeyPrefix::default(), &["state", "n"]);
    let key = space.of("a").expect("it fits");
    let plant = SetValue { key, value: input.to_vec().into(), lifetime: Lifetime::Never };
    assert!(now(store.run(plant)).expect("there is room"));

    let read = now(state.get_versioned("a")).is_ok();
    let updated = now(state.update("a", |_| Update::Set(1.into(), Ttl::Never)));
    assert_eq!(read, updated.is_ok(), "what can be read can be updated");
    now(state.set("a", &2.into(), Ttl::Never)).expect("anything can be written over");

    if let Ok(part) = std::str::from_utf8(input)
        && let Some(key) = space.of(part)
    {
        assert_eq!(space.part(key.as_str()).as_deref(), Some(part));
    }
    let _ = space.part(&String::from_utf8_lossy(input));
});
