//! What the log is made of.

pub use keep_testing::Rng;

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
