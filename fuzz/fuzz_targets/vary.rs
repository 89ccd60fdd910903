//! `Vary` and the keys of variants: equal for what is the same, different for what is not, and without any value of the client's.
//!
//! The input is three parts with line feeds between them: `Vary`, and the field `foo` (or `accept-language`) of two requests.

#![no_main]

use http::header::ACCEPT_LANGUAGE;
use http::{HeaderValue, Request};
use libfuzzer_sys::fuzz_target;
use tower_keep::cache::rules::{Normalise, Preferences, VaryNames};
use tower_keep_fuzz::headers;

fn request(name: &'static str, value: Option<&HeaderValue>) -> Request<()> {
    let mut request = Request::new(());
    if let Some(value) = value {
        request.headers_mut().insert(name, value.clone());
    }
    request
}

fuzz_target!(|input: &[u8]| {
    let mut parts = input.splitn(3, |b| *b == b'\n');
    let mut next = || parts.next().unwrap_or_default();
    let (vary, one, other) = (next(), next(), next());
    let (Ok(one), Ok(other)) = (HeaderValue::from_bytes(one), HeaderValue::from_bytes(other)) else { return };

    let plain = VaryNames::from_names(["foo"]).expect("a name");
    let safe = Normalise::safe();
    let key = |value: Option<&HeaderValue>| plain.key(&request("foo", value), &safe);
    let trimmed = |value: &HeaderValue| value.as_bytes().trim_ascii().to_vec();
    assert_eq!(key(Some(&one)) == key(Some(&other)), trimmed(&one) == trimmed(&other));
    assert_ne!(key(Some(&one)), key(None));

    // Two lines are the one that they make together.
    let mut lines = request("foo", Some(&one));
    lines.headers_mut().append("foo", other.clone());
    let joined = [trimmed(&one), b", ".to_vec(), trimmed(&other)].concat();
    let joined = HeaderValue::from_bytes(&joined).expect("values with a comma between them");
    assert_eq!(plain.key(&lines, &safe), key(Some(&joined)));

    // The best language for a request is the best for whoever sends just that.
    let language = VaryNames::from_names(["Accept-Language"]).expect("a name");
    let mut best = Normalise::by_meaning();
    best.languages = Preferences::best(["en", "de-CH", "fr"]);
    let asked = request("accept-language", Some(&one));
    let chosen = best.replacement(&ACCEPT_LANGUAGE, &asked).expect("the field is there");
    let again = request("accept-language", Some(&chosen));
    assert_eq!(best.replacement(&ACCEPT_LANGUAGE, &again), Some(chosen));
    assert_eq!(language.key(&asked, &best), language.key(&again, &best));

    let Some(response) = headers("vary", &[vary]) else { return };
    if let Ok(names) = VaryNames::of(&response) {
        let mut members = vary.split(|b| *b == b',').map(|name| name.trim_ascii());
        assert!(members.all(|name| name != b"*"), "a star was not seen");
        assert_eq!(VaryNames::from_names(names.iter()).expect("what was read"), names);
        let is_named = names.iter().any(|name| name == "foo");
        let (with, without) = (request("foo", Some(&one)), request("foo", None));
        assert_eq!(names.key(&with, &safe) != names.key(&without, &safe), is_named);
    }
});
