//! Sessions, rate limits and the response cache over real sockets: tower-keep, the limit of Redis access on this machine, and peers, in one run.
//!
//! `scripts/bench-peers` builds what is needed and starts this. The servers and one `redis-server` run during the whole run;
//! the rounds visit the cases in rotated order, one at a time. Absolute figures move from machine to machine and from minute
//! to minute: compare the ratios.

mod cases;
mod load;
mod report;
mod servers;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::time::Duration;

use cases::{CASES, Case, Suite};
use keep_testing::RedisServer;
use report::{Round, Rounds};
use servers::{ACTIX_HASH, Error, HASH, Kind, PAGES, STRING, Server};

const USAGE: &str = "usage: peers [--rounds N] [--seconds N] [--connections N] [--demo PATH] [sessions|limits|cache|actix|part of a case's name]...";

struct Options {
    rounds: usize,
    time: Duration,
    connections: usize,
    /// Needed for the cases of sessions.
    demo: PathBuf,
    names: Vec<String>,
}

fn main() -> Result<(), Error> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.as_slice() {
        [serve, name] if serve == "serve" => servers::serve(name),
        _ => bench(&Options::parse(args)?),
    }
}

impl Options {
    fn parse(args: Vec<String>) -> Result<Self, Error> {
        let (demo, time) = (PathBuf::new(), Duration::from_secs(3));
        let mut options = Self { rounds: 5, time, connections: 64, demo, names: Vec::new() };
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or(USAGE);
            match arg.as_str() {
                "--rounds" => options.rounds = value()?.parse()?,
                "--seconds" => options.time = Duration::from_secs_f64(value()?.parse()?),
                "--connections" => options.connections = value()?.parse()?,
                "--demo" => options.demo = value()?.into(),
                option if option.starts_with('-') => return Err(USAGE.into()),
                _ => options.names.push(arg),
            }
        }
        if options.rounds == 0 || options.connections == 0 {
            return Err(USAGE.into());
        }
        Ok(options)
    }

    /// A name chooses a suite, the case of exactly that name, or else all that contain it.
    fn cases(&self) -> Vec<Case> {
        let exact = |name: &str| CASES.iter().any(|case| case.name == name);
        let fits = |case: &Case, name: &str| match Suite::named(name) {
            Some(suite) => case.suite == suite,
            None if exact(name) => case.name == name,
            None => case.name.contains(name),
        };
        let chosen = |case: &&Case| self.names.is_empty() || self.names.iter().any(|name| fits(case, name));
        CASES.iter().filter(chosen).copied().collect()
    }
}

fn bench(options: &Options) -> Result<(), Error> {
    let cases = options.cases();
    let sessions = cases.iter().any(|case| case.suite == Suite::Sessions);
    if sessions && !options.demo.is_file() {
        return Err(USAGE.into());
    }
    let redis = RedisServer::start();
    let used = |kind: Kind| cases.iter().any(|case| case.server == kind);
    let makes_sessions = |kind| matches!(kind, Kind::Ours | Kind::TowerSessions | Kind::Demo);
    let actix = cases.iter().any(|case| case.suite == Suite::Actix);
    let needed = |kind: &Kind| {
        used(*kind)
            || sessions && makes_sessions(*kind)
            || actix && matches!(kind, Kind::ActixOurs | Kind::ActixSession)
    };
    let start = |kind| Ok((kind, Server::start(kind, &redis.url(), &options.demo)?));
    let servers =
        Kind::ALL.into_iter().filter(needed).map(start).collect::<Result<HashMap<_, _>, Error>>()?;
    for (name, bytes) in PAGES {
        let () = redis.cmd("SET", &[&format!("limit:{name}"), &"x".repeat(bytes)]);
    }
    let mut cookies = if sessions { prepare(&redis, &servers)? } else { HashMap::new() };
    if actix {
        prepare_actix(&redis, &servers, &mut cookies)?;
    }
    for case in cases.iter().filter(|case| case.status == "429") {
        // The one request that is admitted.
        load::fetch(servers[&case.server].addr, &load::request(case.method, case.path, "", ""))?;
    }
    println!(
        "{} rounds of {:?} a case, {} connections, {} processors\n",
        options.rounds,
        options.time,
        options.connections,
        std::thread::available_parallelism()?,
    );
    let mut rounds = Rounds::new();
    for round in 0..options.rounds {
        for i in 0..cases.len() {
            let case = &cases[(i + round) % cases.len()];
            let server = &servers[&case.server];
            let cookie = match (case.suite, cookies.get(&case.server)) {
                (Suite::Sessions | Suite::Actix, Some(cookie)) => format!("cookie: {cookie}\r\n"),
                _ => String::new(),
            };
            eprint!("\rround {} of {}: {:40}", round + 1, options.rounds, case.name);
            rounds.entry(case.name).or_default().push(measure(case, server, &cookie, &redis, options)?);
        }
    }
    eprintln!();
    report::print(&rounds);
    Ok(())
}

/// Makes a session on each server and gives the limit a value of the same size. Returns each server's cookie.
fn prepare(redis: &RedisServer, servers: &HashMap<Kind, Server>) -> Result<HashMap<Kind, String>, Error> {
    let mut cookies = HashMap::new();
    for (kind, path, body) in [
        (Kind::Ours, "/increment", ""),
        (Kind::TowerSessions, "/write", ""),
        (Kind::Demo, "/login", "user=alice"),
    ] {
        let form = "content-type: application/x-www-form-urlencoded\r\n";
        let response = load::fetch(servers[&kind].addr, &load::request("POST", path, form, body))?;
        let cookie = response.cookie().ok_or("a server made no session")?;
        cookies.insert(kind, cookie.to_owned());
    }
    // The limit reads the same request as the demo, cookie and all.
    let cookie = cookies[&Kind::Demo].clone();
    let put = load::request("PUT", "/api/entries/note", &format!("cookie: {cookie}\r\n"), "hello");
    if !load::fetch(servers[&Kind::Demo].addr, &put)?.has("2") {
        return Err("the demo did not take an entry".into());
    }
    let handle = cookie.split(['=', '.']).nth(1).ok_or("not a session's cookie")?;
    let session = format!("demo:session:{handle}");
    let fields: Vec<String> = redis.cmd("HGETALL", &session);
    let bytes: usize = fields.iter().map(String::len).sum();
    let () = redis.cmd("SET", &[STRING, &"x".repeat(bytes)]);
    let () = redis.cmd("COPY", &[session.as_str(), HASH]);
    println!("a session of the demo: {} fields, {bytes} bytes; so is the limit's value", fields.len() / 2);
    cookies.insert(Kind::Limit, cookie);
    Ok(cookies)
}

/// The same on actix-web's servers.
fn prepare_actix(
    redis: &RedisServer,
    servers: &HashMap<Kind, Server>,
    cookies: &mut HashMap<Kind, String>,
) -> Result<(), Error> {
    for kind in [Kind::ActixOurs, Kind::ActixSession] {
        let response = load::fetch(servers[&kind].addr, &load::request("POST", "/write", "", ""))?;
        cookies.insert(kind, response.cookie().ok_or("a server made no session")?.to_owned());
    }
    // The limit reads the same request as ours, cookie and all.
    let cookie = cookies[&Kind::ActixOurs].clone();
    let handle = cookie.split(['=', '.']).nth(1).ok_or("not a session's cookie")?;
    let () = redis.cmd("COPY", &[&format!("keep:session:{handle}"), ACTIX_HASH]);
    cookies.insert(Kind::ActixLimit, cookie);
    Ok(())
}

fn measure(
    case: &Case,
    server: &Server,
    cookie: &str,
    redis: &RedisServer,
    options: &Options,
) -> Result<Round, Error> {
    let request = load::request(case.method, case.path, cookie, "");
    let probe = load::fetch(server.addr, &request)?;
    if !probe.has(case.status) {
        return Err(format!("{}: {}", case.name, probe.head.lines().next().unwrap_or("")).into());
    }
    let cpu = || (cpu_us(server.pid()), cpu_us(redis.pid()));
    let (calls_before, mut before) = (redis.calls(), (0.0, 0.0));
    let (connections, time) = (options.connections, options.time);
    let measured = load::run(server.addr, &request, case.status, connections, time, || before = cpu())?;
    let (after, calls_after) = (cpu(), redis.calls());
    let each = |n: f64| n / measured.latencies_us.len().max(1) as f64;
    let calls = calls_after.into_iter().map(|(name, n)| {
        let n = n - calls_before.get(&name).copied().unwrap_or(0);
        (name, n as f64 / measured.answered.max(1) as f64)
    });
    Ok(Round {
        rate: measured.latencies_us.len() as f64 / options.time.as_secs_f64(),
        p50_us: measured.quantile_us(0.5),
        p99_us: measured.quantile_us(0.99),
        server_us: each(after.0 - before.0),
        redis_us: each(after.1 - before.1),
        bad: measured.bad,
        calls: calls.collect::<BTreeMap<_, _>>(),
    })
}

/// The processor time that a process has used, in microseconds; 0 where there is no `/proc`.
fn cpu_us(pid: u32) -> f64 {
    /// Linux counts in hundredths of a second for user programs on all common machines.
    const TICK_US: f64 = 10_000.0;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<f64>().ok());
    ticks.sum::<f64>() * TICK_US
}
