//! What is printed at the end, and whether it holds.

use std::collections::BTreeMap;

use crate::client::Nothing;
use crate::judge::Judge;
use crate::process::Sample;

/// Memory may grow by so much a minute.
const MIB_A_MINUTE: f64 = 1.0;
/// Files that may be open at the end beside those at the beginning: the pool's connections, and one that is being made.
const MORE_FILES: usize = 5;
/// The first part of a run, in which memory grows to what is needed.
const WARM_UP: f64 = 0.25;
/// A run that is shorter says nothing about memory: what a minute shows is warm-up.
const LONG_ENOUGH: u64 = 240;

pub struct Summary<'a> {
    pub judge: &'a Judge,
    pub faults: &'a BTreeMap<&'static str, u64>,
    pub watched: &'a [Sample],
    /// Open files at rest.
    pub before: usize,
    pub after: usize,
    pub complaints: Vec<String>,
}

impl Summary<'_> {
    /// Prints everything; whether all of it is as it must be.
    pub fn print(&self, seconds: u64) -> bool {
        self.judge.count_admissions();
        self.print_faults(seconds);
        let values = self.print_answers(seconds);
        let memory = self.print_memory(seconds);
        for complaint in &self.complaints {
            println!("the site said: {complaint}");
        }
        let holds = values && memory && self.complaints.is_empty();
        println!("{}", if holds { "all holds" } else { "IT DOES NOT HOLD" });
        holds
    }

    fn print_faults(&self, seconds: u64) {
        println!("{} faults in {seconds} s:", self.faults.values().sum::<u64>());
        for (kind, times) in self.faults {
            println!("  {times:3} x {kind}");
        }
    }

    fn print_answers(&self, seconds: u64) -> bool {
        let mut findings = self.judge.findings.lock().unwrap();
        let answers: u64 = findings.answers.values().sum();
        println!(
            "{answers} answers, {} a second; {} requests not sent, since too many were under way",
            answers / seconds,
            findings.unsent
        );
        let mut statuses = BTreeMap::<u16, u64>::new();
        for ((_, status), times) in &findings.answers {
            *statuses.entry(*status).or_default() += times;
        }
        println!("  by status: {statuses:?}");
        for ((what, status), times) in &findings.answers {
            println!("  {what:>10} {status}: {times}");
        }
        let nothing = |kind| findings.nothing.get(&kind).copied().unwrap_or(0);
        let (broken, never) = (nothing(Nothing::Broken), nothing(Nothing::Never));
        println!("  ended early: {broken}; never answered: {never}");
        findings.latencies.sort_unstable();
        let at = |share: f64| {
            let index = (findings.latencies.len() as f64 * share) as usize;
            findings.latencies.get(index).map_or(0.0, |micros| f64::from(*micros) / 1_000.0)
        };
        println!(
            "  ms: half {:.1}, 99 % {:.1}, 99.9 % {:.1}, all {:.1}",
            at(0.5),
            at(0.99),
            at(0.999),
            at(1.0 - 1e-9)
        );
        println!(
            "  signed out by a loss of the store, or by a sign-out or sign-in under way: {}",
            findings.excused
        );
        println!("  taken for a stranger for a moment, while replies were mixed up: {}", findings.strangers);
        println!("WRONG VALUES: {}", findings.wrong);
        for text in &findings.texts {
            println!("  {text}");
        }
        findings.wrong == 0 && never == 0
    }

    fn print_memory(&self, seconds: u64) -> bool {
        let (Some(first), Some(last)) = (self.watched.first(), self.watched.last()) else {
            println!("memory and files: there is no /proc here");
            return true;
        };
        let warm: Vec<_> =
            self.watched.iter().filter(|sample| sample.seconds > last.seconds * WARM_UP).collect();
        let slope = slope(&warm) * 60.0 / 1024.0;
        let most = self.watched.iter().map(|sample| sample.files).max().unwrap_or(0);
        println!(
            "memory: {:.1} MiB at first, {:.1} at the end; after warm-up {slope:+.2} MiB a minute",
            first.rss_kib / 1024.0,
            last.rss_kib / 1024.0
        );
        let tenths = self.watched.chunks(self.watched.len().div_ceil(10));
        let tenths: Vec<_> =
            tenths.map(|tenth| format!("{:.1}", tenth[tenth.len() - 1].rss_kib / 1024.0)).collect();
        println!("  at each tenth of the time: {}", tenths.join(" "));
        println!("open files at rest: {} before, {} after; {most} at most", self.before, self.after);
        let grows = seconds >= LONG_ENOUGH && slope >= MIB_A_MINUTE;
        !grows && self.after <= self.before + MORE_FILES
    }
}

/// By least squares, in KiB a second.
fn slope(samples: &[&Sample]) -> f64 {
    let n = samples.len() as f64;
    let mean = |of: fn(&Sample) -> f64| samples.iter().map(|sample| of(sample)).sum::<f64>() / n;
    let (x, y) = (mean(|sample| sample.seconds), mean(|sample| sample.rss_kib));
    let above: f64 = samples.iter().map(|sample| (sample.seconds - x) * (sample.rss_kib - y)).sum();
    let below: f64 = samples.iter().map(|sample| (sample.seconds - x).powi(2)).sum();
    if below > 0.0 { above / below } else { 0.0 }
}
