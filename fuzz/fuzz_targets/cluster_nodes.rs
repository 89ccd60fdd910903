//! What a node of a Cluster says about the others: no panic, and every slot lies where a key can.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tower_keep::store::fuzzing::read_cluster_nodes;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    if let Some((masters, slots)) = read_cluster_nodes(&text) {
        assert!((1..=1000).contains(&masters));
        assert!(slots.iter().all(|slot| *slot < 16384));
    }
});
