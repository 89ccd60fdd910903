//! What must hold of every answer, whatever happened before: a small model of a site, its visitors and its purges.

use std::collections::BTreeMap;

use tower_keep::cache::Purging;

use crate::fixture::{HOST, Reply};

pub const HOSTS: [&str; 2] = [HOST, "other.example"];
pub const PATHS: [&str; 3] = ["/a", "/a/b", "/c"];
pub const LANGUAGES: [&str; 3] = ["", "en", "fr"];
pub const VISITORS: [&str; 2] = ["alice", "bob"];

/// What the handler of a path says from now on.
#[derive(Clone, Debug, Default)]
pub struct Says {
    pub max_age: Option<u64>,
    pub shared_max_age: Option<u64>,
    pub while_revalidate: Option<u64>,
    pub if_error: Option<u64>,
    /// Other directives.
    pub words: Vec<&'static str>,
    /// How old it says it is.
    pub age: u64,
    pub vary: Option<&'static str>,
    pub validator: bool,
    pub cookie: bool,
    pub session: bool,
    pub status: u16,
}

impl Says {
    pub fn control(&self) -> String {
        let seconds = [
            ("max-age", self.max_age),
            ("s-maxage", self.shared_max_age),
            ("stale-while-revalidate", self.while_revalidate),
            ("stale-if-error", self.if_error),
        ];
        let named = seconds.iter().filter_map(|(name, value)| value.map(|value| format!("{name}={value}")));
        named.chain(self.words.iter().map(ToString::to_string)).collect::<Vec<_>>().join(", ")
    }

    fn has(&self, word: &str) -> bool {
        self.words.contains(&word)
    }

    fn lifetime(&self) -> u64 {
        self.shared_max_age.or(self.max_age).unwrap_or(0)
    }

    fn is_marked_public(&self) -> bool {
        self.has("public") || self.has("must-revalidate") || self.shared_max_age.is_some()
    }

    fn never_stale(&self) -> bool {
        self.has("must-revalidate")
            || self.has("no-cache")
            || self.has("proxy-revalidate")
            || self.shared_max_age.is_some()
    }

    /// Whether a response may be stored that says so, made for a request with or without `Authorization`.
    fn is_for_others(&self, authorized: bool) -> bool {
        let own = self.has("private") || self.has("no-store") || self.cookie || self.session;
        let speaks = self.max_age.or(self.shared_max_age).is_some() || self.has("no-cache");
        !own && speaks
            && self.vary != Some("*")
            && matches!(self.status, 200 | 404)
            && (!authorized || self.is_marked_public())
    }
}

/// A request of a visitor.
#[derive(Clone, Debug)]
pub struct Asks {
    pub host: usize,
    pub path: usize,
    pub language: usize,
    pub visitor: Option<usize>,
    pub authorized: bool,
    pub head: bool,
    pub control: &'static str,
    pub condition: bool,
    pub range: bool,
}

/// What happened at a moment.
#[derive(Clone, Copy, Debug)]
struct Moment {
    /// Counts everything that happens.
    turn: u64,
    seconds: u64,
}

/// A response that the handler made.
#[derive(Clone, Debug)]
struct Made {
    asked: Asks,
    says: Says,
    begun: Moment,
    /// The handler said again that it is good, at that moment and with these fields.
    validated: Vec<(Moment, Says)>,
}

#[derive(Clone, Debug)]
pub enum Target {
    Tag(usize),
    Url(usize, usize),
    Below(usize, usize),
    All,
}

impl Target {
    pub fn purging(&self) -> Purging {
        match self {
            Self::Tag(path) => Purging::tags([PATHS[*path]]),
            Self::Url(host, path) => Purging::url(HOSTS[*host], PATHS[*path]),
            Self::Below(host, path) => Purging::below(HOSTS[*host], PATHS[*path]),
            Self::All => Purging::all(),
        }
    }

    fn concerns(&self, asked: &Asks) -> bool {
        match self {
            Self::Tag(path) => *path == asked.path,
            Self::Url(host, path) => (*host, *path) == (asked.host, asked.path),
            Self::Below(host, path) => *host == asked.host && PATHS[asked.path].starts_with(PATHS[*path]),
            Self::All => true,
        }
    }
}

/// All that happened so far.
#[derive(Debug, Default)]
pub struct Model {
    pub says: [Says; 3],
    seconds: u64,
    turn: u64,
    made: BTreeMap<usize, Made>,
    purges: Vec<(u64, Target, bool)>,
    /// The turn in which the request under way began.
    asked_at: u64,
    failed: bool,
}

impl Model {
    fn now(&mut self) -> Moment {
        self.turn += 1;
        Moment { turn: self.turn, seconds: self.seconds }
    }

    pub fn advance(&mut self, seconds: u64) {
        self.seconds += seconds;
    }

    pub fn purged(&mut self, target: Target, soft: bool) {
        let turn = self.now().turn;
        self.purges.push((turn, target, soft));
    }

    /// A request begins.
    pub fn asked(&mut self) {
        self.asked_at = self.now().turn;
        self.failed = false;
    }

    /// The handler makes a response.
    pub fn makes(&mut self, n: usize, asked: Asks) {
        let (begun, says) = (self.now(), self.says[asked.path].clone());
        self.failed |= says.status >= 500;
        self.made.insert(n, Made { asked, says, begun, validated: Vec::new() });
    }

    /// The handler says that a response is still good. `false`: it is none of this URL and language.
    pub fn validates(&mut self, n: usize, asked: &Asks) -> bool {
        let (now, says) = (self.now(), self.says[asked.path].clone());
        let Some(made) = self.made.get_mut(&n) else { return false };
        let of = |asks: &Asks| (asks.host, asks.path, asks.language);
        let is_good =
            of(&made.asked) == of(asked) && says.validator && says.status == 200 && made.says.status == 200;
        if is_good {
            made.validated.push((now, says));
        }
        is_good
    }

    /// Checks an answer. Whether it came from the store.
    pub fn check(&mut self, asks: &Asks, reply: &Reply) -> bool {
        if reply.status == 504 {
            assert!(asks.control.contains("only-if-cached"), "nobody else gets a 504");
            return false;
        }
        let n: usize = reply.field("x-n").unwrap_or_else(|| panic!("{asks:?} {reply:?}")).parse().unwrap();
        let made = &self.made[&n];
        let of = |asks: &Asks| (asks.host, asks.path);
        assert_eq!(of(&made.asked), of(asks), "another URL's: {reply:?}");
        if !asks.head && reply.status == 200 {
            assert_eq!(reply.text(), format!("body {n}"), "another one's body");
        }
        // Made for this very request, and not by a refresh beside it.
        if made.begun.turn > self.asked_at && !reply.is_hit() {
            return false;
        }
        assert!(reply.headers.get("set-cookie").is_none() || self.is_validated_now(made), "{reply:?}");
        assert!(made.says.is_for_others(made.asked.authorized), "one visitor's own: {made:?} for {asks:?}");
        if made.says.vary.is_some() {
            assert_eq!(made.asked.language, asks.language, "another variant: {made:?}");
        }
        if asks.authorized && !self.is_validated_now(made) {
            assert!(self.words(made).any(Says::is_marked_public), "not for who signs: {made:?}");
        }
        self.check_purges(asks, made);
        self.check_age(asks, made, reply);
        reply.is_hit()
    }

    /// Whether the handler was asked about it in the request under way.
    fn is_validated_now(&self, made: &Made) -> bool {
        made.validated.iter().any(|(moment, _)| moment.turn > self.asked_at)
    }

    /// What was said about a response, first and later.
    fn words<'a>(&self, made: &'a Made) -> impl Iterator<Item = &'a Says> {
        std::iter::once(&made.says).chain(made.validated.iter().map(|(_, says)| says))
    }

    fn check_purges(&self, asks: &Asks, made: &Made) {
        let concerning = self
            .purges
            .iter()
            .filter(|(turn, target, _)| *turn > made.begun.turn && target.concerns(&made.asked));
        for (turn, target, soft) in concerning {
            assert!(*soft, "purged by {target:?}: {made:?}");
            let validated = made.validated.iter().any(|(moment, _)| moment.turn > *turn);
            let tolerated = asks.control.contains("max-stale")
                || self
                    .words(made)
                    .any(|says| says.while_revalidate.is_some() || (says.if_error.is_some() && self.failed));
            assert!(validated || tolerated, "purged softly by {target:?}, and used: {made:?}");
        }
    }

    /// Not beyond what any word about it allows.
    fn check_age(&self, asks: &Asks, made: &Made, reply: &Reply) {
        let first = std::iter::once((made.begun, &made.says));
        let words: Vec<_> =
            first.chain(made.validated.iter().map(|(moment, says)| (*moment, says))).collect();
        let allows = |(moment, says): &(Moment, &Says)| {
            let age = says.age + self.seconds - moment.seconds;
            if moment.turn > self.asked_at {
                return true;
            }
            if says.has("no-cache") {
                return false;
            }
            let over = age.saturating_sub(says.lifetime());
            if age < says.lifetime() {
                return true;
            }
            let stale = says.while_revalidate.is_some_and(|allowed| over < allowed)
                || (self.failed && says.if_error.is_some_and(|allowed| over <= allowed))
                || asks.control.contains("max-stale");
            stale && !says.never_stale()
        };
        assert!(words.iter().any(allows), "too old at {}: {made:?} for {asks:?}: {reply:?}", self.seconds);
    }
}
