//! Views of one request, and header sections.

use super::*;

/// A view that says no more than it must.
struct Plain<'a>(&'a http::Request<()>);

impl RequestView for Plain<'_> {
    fn method(&self) -> &str {
        RequestView::method(self.0)
    }

    fn path(&self) -> &str {
        RequestView::path(self.0)
    }

    fn each_header(&self, name: &str, visit: &mut dyn FnMut(&[u8])) {
        self.0.each_header(name, visit);
    }
}

#[test]
fn several_headers_are_found_as_one_by_one() {
    const NAMES: [&str; 5] = ["range", "host", "x-own", "x-own-2", "cookie"];
    fn found(view: impl RequestView) -> u32 {
        view.which_headers(&NAMES)
    }
    for (uri, names, expected) in [
        ("/", &[][..], 0),
        ("/", &["host"], 0b10),
        ("http://h/", &[], 0b10),
        ("http://h/", &["host", "cookie", "other"], 0b10010),
        ("/", &["x-own-2", "range", "x-own-2"], 0b1001),
        ("/", &["x-own", "cookie"], 0b10100),
    ] {
        let request = names.iter().fold(http::Request::get(uri), |request, name| request.header(*name, ""));
        let request = request.body(()).unwrap();
        assert_eq!(found(&request), expected, "{uri} {names:?}");
        assert_eq!(found(Plain(&request)), expected, "{uri} {names:?}");
        assert_eq!(found(request.clone()), expected, "{uri} {names:?}");
        assert_eq!(found(request.into_parts().0), expected, "{uri} {names:?}");
    }
}

/// What each view says of a request, and of some names: whether there is a line, the first one, and all.
type Told = (String, String, Option<String>, Vec<Lines>);
type Lines = (bool, Option<Vec<u8>>, Vec<Vec<u8>>);

fn told(view: impl RequestView, names: &[&'static str]) -> Told {
    let lines = |name: &&'static str| {
        let mut lines = Vec::new();
        view.each_header(name, &mut |line| lines.push(line.to_vec()));
        let first = view.with_header(name, |line| line.map(<[u8]>::to_vec));
        assert_eq!(view.header(name).map(Cow::into_owned), first, "{name}");
        (view.has_header(&HeaderName::from_static(name)), first, lines)
    };
    let all = names.iter().map(lines).collect();
    (view.method().to_owned(), view.path().to_owned(), view.query().map(str::to_owned), all)
}

#[test]
fn all_views_say_the_same_however_many_headers_there_are() {
    const NAMES: [&str; 4] = ["host", "x-own", "x-two", "x-none"];
    for (uri, host, of_host) in [
        ("/p?q", None, None),
        ("/p?q", Some("a"), Some("a")),
        ("http://h:80/p?q", None, Some("h:80")),
        ("http://h:80/p?q", Some("a"), Some("a")),
    ] {
        for others in [0, 100] {
            let mut request =
                http::Request::put(uri).header("x-own", "1").header("x-two", "2").header("x-two", "3");
            request = host.into_iter().fold(request, |request, host| request.header("host", host));
            request = (0..others).fold(request, |request, n| request.header(format!("x-{n}"), "x"));
            let request = request.body(()).unwrap();
            let lines = |lines: &[&str]| {
                let lines: Vec<_> = lines.iter().map(|line| line.as_bytes().to_vec()).collect();
                (!lines.is_empty(), lines.first().cloned(), lines)
            };
            let all = vec![lines(of_host.as_slice()), lines(&["1"]), lines(&["2", "3"]), lines(&[])];
            let expected = |query: Option<&str>| {
                ("PUT".to_owned(), "/p".to_owned(), query.map(str::to_owned), all.clone())
            };
            assert_eq!(told(Plain(&request), &NAMES), expected(None), "{uri} {host:?}");
            assert_eq!(told(&request, &NAMES), expected(Some("q")), "{uri} {host:?}");
            assert_eq!(told(request.clone(), &NAMES), expected(Some("q")), "{uri} {host:?}");
            assert_eq!(told(request.into_parts().0, &NAMES), expected(Some("q")), "{uri} {host:?}");
        }
    }
}

#[test]
fn peer_and_full_path_come_from_what_was_left_with_the_request() {
    fn told(view: impl RequestView) -> (Option<IpAddr>, String) {
        (view.peer(), view.full_path().to_owned())
    }
    let mut request = http::Request::get("/inner").body(()).unwrap();
    assert_eq!(told(&request), (None, "/inner".to_owned()));
    assert_eq!(told(Plain(&request)), (None, "/inner".to_owned()));
    assert!(Plain(&request).extensions().is_none() && RequestView::extensions(&&request).is_some());
    request.extensions_mut().insert(PeerAddr(([192, 0, 2, 1], 4711).into()));
    request.extensions_mut().insert(FullUri(Uri::from_static("/outer/inner?q")));
    let expected = (Some(IpAddr::from([192, 0, 2, 1])), "/outer/inner".to_owned());
    assert_eq!(told(&request), expected);
    assert_eq!(told(request.clone()), expected);
    assert_eq!(told(request.into_parts().0), expected);
}

#[test]
fn only_a_framework_knows_routes_and_a_lent_view_knows_them_too() {
    struct Routed;
    impl RequestView for Routed {
        fn method(&self) -> &str {
            "GET"
        }

        fn path(&self) -> &str {
            "/users/7"
        }

        fn route(&self) -> Option<Cow<'_, str>> {
            Some("/users/{id}".into())
        }

        fn each_header(&self, _: &str, _: &mut dyn FnMut(&[u8])) {}
    }
    fn route(view: impl RequestView) -> Option<String> {
        view.route().map(Cow::into_owned)
    }
    let lent: &dyn RequestView = &Routed;
    assert_eq!(
        (route(lent), route(Routed)),
        (Some("/users/{id}".to_owned()), Some("/users/{id}".to_owned()))
    );
    assert_eq!(route(http::Request::new(())), None);
}

/// A section that does no more than it must.
struct Bare(HeaderMap);

impl HeaderSection for Bare {
    fn each_line(&self, name: &HeaderName, visit: &mut dyn FnMut(&[u8])) {
        self.0.each_line(name, visit);
    }

    fn append(&mut self, name: HeaderName, value: HeaderValue) {
        HeaderSection::append(&mut self.0, name, value);
    }

    fn remove(&mut self, name: &HeaderName) {
        HeaderSection::remove(&mut self.0, name);
    }
}

#[test]
fn sections_are_read_and_written_line_by_line() {
    let name = || HeaderName::from_static("x-own");
    let value = HeaderValue::from_static;
    for section in [&mut HeaderMap::new() as &mut dyn HeaderSection, &mut Bare(HeaderMap::new())] {
        let lines = |section: &dyn HeaderSection| {
            let mut lines = Vec::new();
            section.each_line(&name(), &mut |line| lines.push(String::from_utf8_lossy(line).into_owned()));
            assert_eq!(section.has(&name()), !lines.is_empty());
            lines
        };
        assert_eq!(lines(section), [""; 0]);
        section.append(name(), value("1"));
        section.append(name(), value("2"));
        assert_eq!(lines(section), ["1", "2"]);
        section.replace(name(), value("3"));
        assert_eq!(lines(section), ["3"]);
        section.remove(&name());
        assert_eq!(lines(section), [""; 0]);
        section.replace(name(), value("4"));
        assert_eq!(lines(section), ["4"]);
    }
}
