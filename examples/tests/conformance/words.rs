//! What the log is made of.

/// A small generator (SplitMix64): the log must be the same in each run.
pub struct Rng(pub u64);

impl Rng {
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % end as u64).unwrap()
    }

    pub fn of(&mut self, words: &[&'static str]) -> &'static str {
        words[self.below(words.len())]
    }
}

pub const USERS: [&str; 5] = ["alice", "bob", "%C3%BC", "%3Cb%3E", "a+b"];

pub const NAMES: [&str; 9] =
    ["a", "b", "color", "visits", "%C3%BC%20%2F", "%FF", "%", "a%2", "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"];

pub const QUERIES: [&str; 8] =
    ["", "", "", "?delay_ms=1", "?delay_ms=soon", "?delay_ms=-1", "?other=1", "?delay_ms=1&delay_ms=2"];

pub const BODIES: [&str; 5] = ["", "green", "ü", "\"quoted\"", "{\"json\": [1, 2]}"];

pub const FORMS: [&str; 8] =
    ["", "user=", "name=alice", "user=%00", "user=a&user=b", "&&&", "user=%FF", "user"];

pub const COOKIES: [&str; 9] = [
    "session",
    "session=",
    "session=x",
    "session=AAAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "session=AAAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA; session=x; session=AAAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "session=\"AAAAAAAAAAAAAAAAAAAAAA.BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB\"",
    "Session=AAAAAAAAAAAAAAAAAAAAAA.BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB",
    "; =; ;;; =x; a=b",
    "__Host-session=x; session =y",
];

pub const PATHS: [&str; 24] = [
    "/",
    "/plain",
    "/login",
    "/logout",
    "/nowhere",
    "/api/nowhere",
    "/api/me/",
    "/api/entries/",
    "/api/entries/a/b",
    "/api/devices/%FF",
    "/api/devices/nonsense",
    "/api/visits",
    "/cached",
    "/cached/",
    "/cached/odd?ms=soon",
    "/cached/odd?ms=-1",
    "/cached/%FF",
    "/cached-big/none",
    "/cached-big/10241",
    "/cached-big/-1",
    "/limited/x",
    "/purge",
    "/purge?tags=x",
    "//plain",
];
