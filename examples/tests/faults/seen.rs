//! What visitors saw.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::load::Visitor;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Route {
    /// No Redis.
    Plain,
    /// Reads the session.
    Me,
    /// Writes it.
    Count,
    /// A limit that lets everybody pass without Redis.
    Limited,
    /// A limit that lets nobody pass without Redis.
    Strict,
    /// A cached page.
    Page,
}

impl Route {
    pub const ALL: [Self; 6] = [Self::Plain, Self::Me, Self::Limited, Self::Count, Self::Page, Self::Strict];
    /// Those that no outage of Redis may touch.
    pub const UNTOUCHED: [Self; 3] = [Self::Plain, Self::Limited, Self::Page];
    /// Those whose policy is a 503.
    pub const REFUSED: [Self; 3] = [Self::Me, Self::Count, Self::Strict];
}

/// One request.
#[derive(Debug)]
pub struct Seen {
    pub route: Route,
    pub phase: &'static str,
    pub took: Duration,
    pub status: u16,
    /// Whoever had signed in was nobody.
    pub is_stranger: bool,
    /// Framework and user.
    pub who: (&'static str, String),
}

/// How often each user counted: acknowledged, and unclear.
type Counts = BTreeMap<(&'static str, String), (u64, u64)>;

/// Everything.
pub struct Report {
    pub seen: Vec<Seen>,
    pub visitors: Vec<Visitor>,
}

/// A part of it.
pub struct Part<'a>(Vec<&'a Seen>);

impl Report {
    /// What was asked in a phase.
    pub fn during(&self, phase: &str) -> Part<'_> {
        Part(self.seen.iter().filter(|seen| seen.phase == phase).collect())
    }

    /// Everything that an outage promises: without Redis nothing but what the policies say, before and after all is well, nobody is
    /// signed out, and no increment is lost or done twice.
    pub async fn is_an_outage(&self, phase: &str) {
        self.during("before").is_well();
        self.during(phase).of(&Route::UNTOUCHED).is_well();
        self.during(phase).of(&Route::REFUSED).has_only(&[200, 503]);
        self.during("after").is_well();
        self.adds_up().await;
    }

    /// Each increment that was acknowledged happened, and none happened twice.
    pub async fn adds_up(&self) {
        for (who, (acknowledged, unclear)) in self.counts() {
            let visitor = self.visitors.iter().find(|v| (v.site.framework, &v.name) == (who.0, &who.1));
            let mut browser = visitor.unwrap().browser.clone();
            let counted: u64 = browser.post("/count").await.body.parse().unwrap();
            let range = acknowledged..=acknowledged + unclear;
            assert!(range.contains(&(counted - 1)), "{who:?}: {counted} counted, {range:?} told");
        }
    }

    fn counts(&self) -> Counts {
        let mut counts = Counts::new();
        for seen in self.seen.iter().filter(|seen| seen.route == Route::Count && !seen.is_stranger) {
            let count = counts.entry(seen.who.clone()).or_default();
            if seen.status == 200 {
                count.0 += 1;
            } else {
                count.1 += 1;
            }
        }
        counts
    }
}

impl<'a> Part<'a> {
    /// Of these routes alone.
    pub fn of(&self, routes: &[Route]) -> Self {
        Self(self.0.iter().copied().filter(|seen| routes.contains(&seen.route)).collect())
    }

    /// How many took longer than an answer without a wait does, on a busy machine as well.
    pub fn slow(&self) -> usize {
        self.0.iter().filter(|seen| seen.took > Duration::from_millis(20)).count()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// All were served as who they are, and there were some.
    pub fn is_well(&self) {
        self.has_only(&[200]);
        assert_eq!(self.strangers(), 0, "signed out");
    }

    pub fn has_only(&self, statuses: &[u16]) {
        assert!(!self.0.is_empty(), "nothing was asked");
        let others: Vec<_> = self.0.iter().filter(|seen| !statuses.contains(&seen.status)).collect();
        assert!(
            others.is_empty(),
            "{} of {}: {:?}",
            others.len(),
            self.len(),
            &others[..others.len().min(5)]
        );
    }

    /// Those that were answered with this status.
    pub fn count(&self, status: u16) -> usize {
        self.0.iter().filter(|seen| seen.status == status).count()
    }

    pub fn strangers(&self) -> usize {
        self.0.iter().filter(|seen| seen.is_stranger).count()
    }

    /// The time within which so many of a thousand were answered.
    pub fn at(&self, per_mille: usize) -> Duration {
        let mut times: Vec<_> = self.0.iter().map(|seen| seen.took).collect();
        times.sort();
        times
            .get((times.len() * per_mille / 1000).min(times.len().saturating_sub(1)))
            .copied()
            .unwrap_or_default()
    }

    pub fn longest(&self) -> Duration {
        self.at(1000)
    }

    /// How many of how many were not 200, by route.
    pub fn told(&self) -> String {
        let mut routes = BTreeMap::<Route, (usize, usize)>::new();
        for seen in &self.0 {
            let (all, refused) = routes.entry(seen.route).or_default();
            *all += 1;
            *refused += usize::from(seen.status != 200);
        }
        let told = routes.iter().map(|(route, (all, refused))| format!("{route:?} {refused}/{all}"));
        told.collect::<Vec<_>>().join(", ")
    }
}
