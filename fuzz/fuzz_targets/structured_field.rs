//! Structured fields of caches, compared with an implementation that is not ours: `CDN-Cache-Control`, `Cache-Groups` and
//! `No-Vary-Search`.
//!
//! The input is the value of each of them.

#![no_main]

use http::{Request, StatusCode};
use libfuzzer_sys::fuzz_target;
use tower_keep::cache::rules::{NoVarySearch, NotStored, Received, RequestHead, Rules, cache_groups, store};
use tower_keep_fuzz::{START_MS, headers};

const QUERY: &str = "b=%31&a=2&utm=x&&a=1";

fn strings(text: &str) -> Option<Vec<String>> {
    let list: sfv::List = sfv::Parser::new(text).with_version(sfv::Version::Rfc9651).parse().ok()?;
    let string = |entry: sfv::ListEntry| match entry {
        sfv::ListEntry::Item(sfv::Item { bare_item: sfv::BareItem::String(text), .. }) => {
            Some(text.as_str().to_owned())
        }
        _ => None,
    };
    list.into_iter().map(string).collect()
}

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Some(mut response) = headers("cdn-cache-control", &[input]) else { return };
    let theirs = sfv::Parser::new(text).with_version(sfv::Version::Rfc9651).parse::<sfv::Dictionary>().ok();

    // Where the targeted field is ignored, `Cache-Control` forbids; where it is not, it does not.
    response.append("cache-control", "no-store".parse().expect("a value"));
    let received = Received::new(StatusCode::OK, &response, START_MS, START_MS);
    let refused = store(&RequestHead::read(&Request::new(())), &received, &Rules::safe()).err();
    match &theirs {
        Some(members) if !members.is_empty() => {
            let forbids = members.contains_key("no-store");
            assert!(forbids || refused != Some(NotStored::NoStore), "a valid field was ignored");
        }
        _ => assert_eq!(refused, Some(NotStored::NoStore), "an invalid field was used"),
    }

    if let Some(no_vary) =
        headers("no-vary-search", &[input]).and_then(|response| NoVarySearch::of(&response))
    {
        assert!(theirs.is_some());
        let canonical = no_vary.canonical(QUERY);
        assert_eq!(no_vary.canonical(&canonical), canonical);
    }

    let Ok(groups) = cache_groups(&headers("cache-groups", &[input]).expect("as above")) else { return };
    let mut expected: Vec<String> = Vec::new();
    for group in strings(text).unwrap_or_default() {
        if !expected.contains(&group) {
            expected.push(group);
        }
    }
    assert_eq!(groups, expected);
});
