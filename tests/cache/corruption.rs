//! Values that are not what was written: cut, flipped, another key's, another type's. Whoever reads them gets a sound answer, and they are
//! mended.

use keep_testing::RedisServer;
use redis::Connection;

use crate::eviction::{ASKED, fill, keys, pages, reset, sound, survive};
use crate::fixture::*;

fn value(admin: &mut Connection, key: &str) -> Vec<u8> {
    redis::cmd("GET").arg(key).query(admin).unwrap()
}

fn put(admin: &mut Connection, key: &str, value: &[u8]) {
    let _: () = redis::cmd("SET").arg(key).arg(value).arg("KEEPTTL").query(admin).unwrap();
}

#[tokio::test]
async fn values_that_were_cut_or_flipped_at_any_key_are_never_served_and_mended() {
    let world = World::redis();
    let site = pages(&world);
    fill(&site).await;
    let mut admin = world.server().admin();
    for at in 0..keys(world.server()).len() {
        for spoil in 0..12 {
            reset(&site, world.server()).await;
            let name = &keys(world.server())[at];
            let good = value(&mut admin, name);
            let spoiled = match spoil {
                0 => Vec::new(),
                1 => good[..good.len() / 2].to_vec(),
                2 => good[..good.len() - 1].to_vec(),
                3 => [&good[..], b"x"].concat(),
                4 => b"rubbish".to_vec(),
                // One bit, at places all over the value, in the first bytes and the last.
                n => {
                    let places = [0, 1, 8, 9, 12, good.len() / 3, good.len() - 1];
                    flipped(&good, places[n - 5].min(good.len() - 1) * 8 + n % 8)
                }
            };
            put(&mut admin, name, &spoiled);
            survive(&site, &format!("{name} spoiled {spoil}")).await;
        }
    }
}

fn flipped(value: &[u8], bit: usize) -> Vec<u8> {
    let mut flipped = value.to_vec();
    flipped[bit / 8] ^= 1 << (bit % 8);
    flipped
}

/// The short values have no check of their own.
#[tokio::test]
async fn no_flipped_bit_of_a_log_a_version_or_a_list_of_variants_does_harm() {
    let world = World::redis();
    let site = pages(&world);
    let mut admin = world.server().admin();
    let mut short = |server: &RedisServer| -> Vec<String> {
        keys(server).into_iter().filter(|key| value(&mut admin, key).len() < 80).collect()
    };
    let mut admin = world.server().admin();
    reset(&site, world.server()).await;
    let count = short(world.server()).len();
    assert_eq!(count, 4, "the log, two versions, a list of variants");
    for at in 0..count {
        // Not all, for time's sake: but each byte, and each place in a byte.
        for bit in (0..).step_by(5) {
            reset(&site, world.server()).await;
            let name = &short(world.server())[at];
            let good = value(&mut admin, name);
            if bit >= good.len() * 8 {
                break;
            }
            put(&mut admin, name, &flipped(&good, bit));
            let what = format!("{name} bit {bit} of {}", String::from_utf8_lossy(&good));
            survive(&site, &what).await;
        }
    }
}

#[tokio::test]
async fn a_value_of_another_key_is_never_taken_for_ones_own() {
    let world = World::redis();
    let site = pages(&world);
    fill(&site).await;
    let mut admin = world.server().admin();
    let count = keys(world.server()).len();
    for to in 0..count {
        for from in 0..count {
            reset(&site, world.server()).await;
            let names = keys(world.server());
            let (to, from) = (&names[to], &names[from]);
            let foreign = value(&mut admin, from);
            put(&mut admin, to, &foreign);
            survive(&site, &format!("{from} under {to}")).await;
        }
    }
}

/// Also under the right to fill: then nothing is stored until it is gone, and everybody is answered.
#[tokio::test]
async fn a_value_of_another_type_at_any_key_does_no_harm() {
    let world = World::redis();
    let site = pages(&world);
    fill(&site).await;
    for at in 0..keys(world.server()).len() {
        for command in ["LPUSH", "SADD"] {
            reset(&site, world.server()).await;
            let name = &keys(world.server())[at];
            let _: () = world.server().cmd("DEL", name);
            let _: () = world.server().cmd(command, &[name, "foreign"]);
            survive(&site, &format!("{command} {name}")).await;
        }
    }
    let names = keys(world.server());
    for url in names.iter().filter(|name| name.ends_with("}")) {
        let fill = format!("{url}:fill");
        world.server().tell("FLUSHALL");
        let _: () = world.server().cmd("SET", &[&fill, "foreign"]);
        for (path, asked) in ASKED {
            sound(&site, path, asked, &fill).await;
            sound(&site, path, asked, &fill).await;
        }
        let _: () = world.server().cmd("DEL", &fill);
        survive(&site, &fill).await;
    }
}
