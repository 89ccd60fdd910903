//! When two answers are the same: to the byte, but for what is random, and for clocks that tick between them.

use keep_testing::Answer;
use serde_json::Value;

use crate::script::Ask;

/// The fields that are compared.
const FIELDS: [&str; 13] = [
    "set-cookie",
    "vary",
    "cache-control",
    "content-type",
    "content-range",
    "accept-ranges",
    "cache-status",
    "age",
    "retry-after",
    "ratelimit",
    "ratelimit-policy",
    "location",
    "www-authenticate",
];
/// Those whose numbers are seconds.
const CLOCKS: [&str; 4] = ["age", "cache-status", "retry-after", "ratelimit"];

/// Random words in the order in which they came: the third handle of one side is the third of the other.
#[derive(Default)]
pub struct Names(Vec<String>);

impl Names {
    /// Takes note of a cookie's value: handle and secret.
    pub fn learn(&mut self, cookie: &str) {
        for word in cookie.split('.') {
            if !self.0.iter().any(|known| known == word) {
                self.0.push(word.to_owned());
            }
        }
    }

    fn replace(&self, text: &str) -> String {
        let numbered = self.0.iter().enumerate();
        numbered.fold(text.to_owned(), |text, (number, word)| text.replace(word, &format!("<{number}>")))
    }
}

pub fn assert_alike(about: (usize, &Ask), one: (&Answer, &Names), other: (&Answer, &Names)) {
    let whole = || format!("{about:?}\naxum: {:?}\nactix: {:?}", one.0, other.0);
    assert_eq!(one.0.status, other.0.status, "{}", whole());
    for name in FIELDS {
        let lines = |(answer, names): (&Answer, &Names)| -> Vec<String> {
            let lines = answer.headers.get_all(name).iter();
            lines.map(|line| names.replace(line.to_str().unwrap())).collect()
        };
        let (one, other) = (lines(one), lines(other));
        if CLOCKS.contains(&name) {
            assert!(alike_but_for_a_tick(&one.join(", "), &other.join(", ")), "{name}: {}", whole());
        } else {
            assert_eq!(one, other, "{name}: {}", whole());
        }
    }
    let path = about.1.path.as_str();
    let body = |(answer, names): (&Answer, &Names)| shown(path, &names.replace(&answer.body));
    assert_eq!(body(one), body(other), "{}", whole());
}

/// Whether texts differ by numbers alone, and by no more than one.
fn alike_but_for_a_tick(one: &str, other: &str) -> bool {
    let parts = |text: &str| {
        let is_digit = |c: char| c.is_ascii_digit();
        let numbers: Vec<i64> = text
            .split(|c| !is_digit(c))
            .filter(|part| !part.is_empty())
            .map(|part| part.parse().unwrap())
            .collect();
        let words: Vec<String> =
            text.split(is_digit).filter(|part| !part.is_empty()).map(str::to_owned).collect();
        (words, numbers)
    };
    let ((words, numbers), (other_words, other_numbers)) = (parts(one), parts(other));
    let close = |(one, other): (&i64, &i64)| (one - other).abs() <= 1;
    words == other_words
        && numbers.len() == other_numbers.len()
        && numbers.iter().zip(&other_numbers).all(close)
}

/// A body without what no two programs can have in common.
fn shown(path: &str, body: &str) -> String {
    match path {
        "/metrics" => String::new(),
        "/healthz" => {
            let mut health: Value = serde_json::from_str(body).unwrap_or_default();
            for measured in ["latency_us", "pool"] {
                health[measured].take();
            }
            health.to_string()
        }
        "/api/devices" => match serde_json::from_str::<Vec<Value>>(body) {
            Ok(mut devices) => {
                for device in &mut devices {
                    device["created_at"].take();
                    device["last_seen_at"].take();
                }
                Value::from(devices).to_string()
            }
            Err(_) => body.to_owned(),
        },
        _ => body.to_owned(),
    }
}
