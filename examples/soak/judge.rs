//! What was answered, and what of it must never have been.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::client::{Answer, Nothing};
use crate::faults::MIXED_UP;
use crate::site::{BURST, PER_SECOND, WINDOW};

/// How many texts of findings are kept.
const TOLD: usize = 20;

/// How long a mix-up of replies may go unnoticed.
const WAKE: Duration = Duration::from_secs(4);

#[derive(Default)]
pub struct Judge {
    losses: AtomicU64,
    /// What is being done to Redis, or was last, and since when.
    fault: Mutex<Option<(&'static str, Instant)>>,
    pub findings: Mutex<Findings>,
}

#[derive(Default)]
pub struct Findings {
    pub answers: BTreeMap<(&'static str, u16), u64>,
    pub nothing: BTreeMap<Nothing, u64>,
    pub latencies: Vec<u32>,
    /// Requests that were not sent, since too many were under way.
    pub unsent: u64,
    pub wrong: u64,
    pub texts: Vec<String>,
    /// Sessions that were gone for a reason: the store lost everything, or their own user had ended them meanwhile.
    pub excused: u64,
    /// Users who were taken for strangers while replies were mixed up, and not by the next request.
    pub strangers: u64,
    /// When the store lost everything: from, to.
    lost: Vec<(Instant, Instant)>,
    /// Who was admitted when: by key, when it was asked and when it was answered.
    buckets: BTreeMap<u64, Vec<(Instant, Instant)>>,
    windows: BTreeMap<u64, Vec<(Instant, Instant)>>,
}

impl Judge {
    /// How often the store began or ended to lose everything.
    pub fn losses(&self) -> u64 {
        self.losses.load(Ordering::SeqCst)
    }

    /// Around what makes the store lose everything.
    pub fn loses<T>(&self, loss: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        self.losses.fetch_add(1, Ordering::SeqCst);
        let done = loss();
        self.losses.fetch_add(1, Ordering::SeqCst);
        self.findings.lock().unwrap().lost.push((begun, Instant::now()));
        done
    }

    pub fn answered(&self, what: &'static str, begun: Instant, answer: &Result<Answer, Nothing>) {
        let took = u32::try_from(begun.elapsed().as_micros()).unwrap_or(u32::MAX);
        let mut findings = self.findings.lock().unwrap();
        match answer {
            Ok(answer) => *findings.answers.entry((what, answer.status)).or_default() += 1,
            Err(nothing) => *findings.nothing.entry(*nothing).or_default() += 1,
        }
        findings.latencies.push(took);
    }

    pub fn fault(&self, kind: &'static str) {
        *self.fault.lock().unwrap() = Some((kind, Instant::now()));
    }

    pub fn wrong(&self, text: String) {
        let fault = *self.fault.lock().unwrap();
        let after =
            fault.map_or_else(String::new, |(kind, since)| format!(", {:?} after: {kind}", since.elapsed()));
        let text = text + &after;
        let mut findings = self.findings.lock().unwrap();
        findings.wrong += 1;
        if findings.texts.len() < TOLD {
            findings.texts.push(text);
        }
    }

    /// Whether replies were mixed up just now. A reply that says "nothing there" names no key, so until the mix-up is found out it may be
    /// taken for one's own: then somebody is a stranger for a moment.
    pub fn replies_are_mixed_up(&self) -> bool {
        let fault = *self.fault.lock().unwrap();
        fault.is_some_and(|(kind, since)| MIXED_UP.contains(&kind) && since.elapsed() < WAKE)
    }

    pub fn stranger_for_a_moment(&self) {
        self.findings.lock().unwrap().strangers += 1;
    }

    pub fn excuse(&self) {
        self.findings.lock().unwrap().excused += 1;
    }

    pub fn unsent(&self) {
        self.findings.lock().unwrap().unsent += 1;
    }

    pub fn admitted(&self, by_window: bool, key: u64, begun: Instant) {
        let mut findings = self.findings.lock().unwrap();
        let keys = if by_window { &mut findings.windows } else { &mut findings.buckets };
        keys.entry(key).or_default().push((begun, Instant::now()));
    }

    /// Whether limits held, which only the end can tell.
    pub fn count_admissions(&self) {
        let mut findings = self.findings.lock().unwrap();
        let mut wrong = Vec::new();
        for (key, admitted) in &findings.windows {
            let allowed = WINDOW * (1 + findings.losses_within(admitted));
            if admitted.len() as u64 > allowed {
                wrong.push(format!("window {key}: {} admitted of {allowed}", admitted.len()));
            }
        }
        for (key, admitted) in &findings.buckets {
            wrong.extend(findings.overflow(admitted).map(|told| format!("bucket {key}: {told}")));
        }
        findings.wrong += wrong.len() as u64;
        findings.texts.extend(wrong.into_iter().take(TOLD));
    }
}

impl Findings {
    fn losses_within(&self, admitted: &[(Instant, Instant)]) -> u64 {
        let begun = admitted.iter().map(|(begun, _)| begun).min();
        let ended = admitted.iter().map(|(_, ended)| ended).max();
        let within = |(from, to): &&(Instant, Instant)| {
            begun.is_some_and(|b| b <= to) && ended.is_some_and(|e| e >= from)
        };
        self.lost.iter().filter(within).count() as u64
    }

    /// A stretch of time in which a bucket admitted more than what it held and what flowed in, if there is one. A loss of the store
    /// fills it, so what was admitted around one is left out.
    fn overflow(&self, admitted: &[(Instant, Instant)]) -> Option<String> {
        let mut sorted = admitted.to_vec();
        sorted.sort_by_key(|(_, ended)| *ended);
        let touches = |one: &(Instant, Instant)| self.losses_within(std::slice::from_ref(one)) > 0;
        let before = |pair: &[(Instant, Instant)]| self.losses_within(pair) == 0;
        sorted.retain(|one| !touches(one));
        sorted.chunk_by(|one, next| before(&[*one, *next])).find_map(overflow)
    }
}

/// The same where nothing was lost. Each was admitted somewhere between its question and its answer, so a stretch lasts from the first
/// question to the last answer: whoever is found here was admitted against the rule for certain.
fn overflow(sorted: &[(Instant, Instant)]) -> Option<String> {
    let first = sorted.iter().map(|(begun, _)| *begun).min()?;
    let flowed = |at: Instant| at.duration_since(first).as_secs_f64() * PER_SECOND as f64;
    // From the back: the earliest question of all that were answered from here on.
    let mut begun: Vec<f64> = sorted.iter().map(|(begun, _)| flowed(*begun)).collect();
    for i in (1..begun.len()).rev() {
        begun[i - 1] = begun[i - 1].min(begun[i]);
    }
    // Admitted from i to j: j - i + 1, and at most a full bucket and what flowed in from begun[i] to the answer of j.
    let mut room = f64::NEG_INFINITY;
    for (j, (_, ended)) in sorted.iter().enumerate() {
        room = room.max(begun[j] - j as f64);
        let surplus = (j + 1) as f64 - flowed(*ended) + room - BURST as f64;
        if surplus > 1.0 {
            return Some(format!("{surplus:.1} too many"));
        }
    }
    None
}
