//! Medians over the rounds, and ratios taken within each round: the machine's speed may change from round to round.

use std::collections::BTreeMap;

use crate::cases::{CASES, Case, PAIRS};

/// One case in one round.
#[derive(Clone, Debug)]
pub struct Round {
    pub rate: f64,
    pub p50_us: u32,
    pub p99_us: u32,
    /// Processor time for each request, in microseconds: the server's and Redis's. Less noisy than rates.
    pub server_us: f64,
    pub redis_us: f64,
    pub bad: usize,
    /// Redis commands for each request, by name.
    pub calls: BTreeMap<String, f64>,
}

/// All rounds, by the case's name.
pub type Rounds = BTreeMap<&'static str, Vec<Round>>;

pub fn print(rounds: &Rounds) {
    let heads = ["req/s", "of limit", "min..max", "p50 ms", "p99 ms", "server us", "redis us", "bad"];
    print!("{:30}", "case");
    heads.iter().for_each(|head| print!(" {head:>10}"));
    println!("  redis commands per request");
    let mut limit = "";
    for case in CASES.iter().filter(|case| rounds.contains_key(case.name)) {
        if case.limit != limit {
            println!();
            limit = case.limit;
        }
        line(case, rounds);
    }
    println!("\nmedians of the ratios within each round:");
    for (a, b) in PAIRS {
        if let Some(ratios) = ratios(rounds, a, b) {
            println!("  {:.2}  {a} / {b}", median(&ratios));
        }
    }
}

fn line(case: &Case, rounds: &Rounds) {
    let Some(own) = rounds.get(case.name) else { return };
    let of = |value: fn(&Round) -> f64| median(&own.iter().map(value).collect::<Vec<_>>());
    let (ratio, range) = match ratios(rounds, case.name, case.limit) {
        Some(ratios) => {
            let (min, max) = ratios.iter().fold((f64::MAX, 0f64), |(a, b), r| (a.min(*r), b.max(*r)));
            (format!("{:.2}", median(&ratios)), format!("{min:.2}..{max:.2}"))
        }
        None => ("-".to_owned(), "-".to_owned()),
    };
    let calls = own.last().into_iter().flat_map(|round| &round.calls);
    let calls: Vec<_> =
        calls.filter(|(_, n)| **n >= 0.005).map(|(name, n)| format!("{name}:{n:.2}")).collect();
    println!(
        "{:30} {:>10.0} {ratio:>10} {range:>10} {:>10.2} {:>10.2} {:>10.1} {:>10.1} {:>10}  {}",
        case.name,
        of(|r| r.rate),
        of(|r| f64::from(r.p50_us) / 1000.0),
        of(|r| f64::from(r.p99_us) / 1000.0),
        of(|r| r.server_us),
        of(|r| r.redis_us),
        own.iter().map(|r| r.bad).sum::<usize>(),
        calls.join(" "),
    );
}

fn ratios(rounds: &Rounds, a: &str, b: &str) -> Option<Vec<f64>> {
    Some(rounds.get(a)?.iter().zip(rounds.get(b)?).map(|(a, b)| a.rate / b.rate).collect())
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        _ if values.is_empty() => f64::NAN,
        0 => f64::midpoint(values[middle - 1], values[middle]),
        _ => values[middle],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_even_and_odd_numbers() {
        assert!(median(&[]).is_nan());
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
    }
}
