//! A Redis Cluster: masters with all slots between them, and a replica for each.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::ports::free_port;
use crate::server::{RedisServer, wait};

/// Masters, and as many replicas, which take over half a second after their master is gone.
#[derive(Debug)]
pub struct RedisCluster {
    /// The masters, each with its share of the slots, in their order.
    pub masters: Vec<RedisServer>,
    /// The first one's replica, the second one's, and so on.
    pub replicas: Vec<RedisServer>,
}

/// Of each master.
#[derive(Clone, Copy, Debug)]
enum Replicas {
    None,
    One,
}

impl RedisCluster {
    /// Starts three masters without replicas.
    ///
    /// # Panics
    ///
    /// When they do not come together within 30 s.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(Replicas::None, Vec::new)
    }

    /// Starts three masters with a replica each.
    ///
    /// # Panics
    ///
    /// When they do not come together within 30 s.
    #[must_use]
    pub fn start_replicated() -> Self {
        Self::start_with(Replicas::One, Vec::new)
    }

    /// Starts three masters that speak TLS as well, by the certificate `server.crt`, its key and `ca.crt` of a folder.
    ///
    /// # Panics
    ///
    /// When they do not come together within 30 s.
    #[must_use]
    pub fn start_with_tls(certificates: &Path) -> Self {
        let file = |name: &str| certificates.join(name).display().to_string();
        let (certificate, key, root) = (file("server.crt"), file("server.key"), file("ca.crt"));
        let args = move || {
            let port = free_port().to_string();
            let words = ["--tls-cluster", "yes", "--tls-auth-clients", "no", "--tls-port", &port];
            let files =
                ["--tls-cert-file", &certificate, "--tls-key-file", &key, "--tls-ca-cert-file", &root];
            words.into_iter().chain(files).map(str::to_owned).collect()
        };
        Self::start_with(Replicas::None, args)
    }

    fn start_with(replicas: Replicas, args: impl Fn() -> Vec<String>) -> Self {
        let masters: Vec<_> = (0..3).map(|_| server(&args())).collect();
        let replicas: Vec<_> = match replicas {
            Replicas::None => Vec::new(),
            Replicas::One => masters.iter().map(|_| server(&args())).collect(),
        };
        let share = 16384 / masters.len();
        for (number, master) in masters.iter().enumerate() {
            let last = if number + 1 == masters.len() { 16383 } else { (number + 1) * share - 1 };
            master.tell(&format!("CLUSTER SET-CONFIG-EPOCH {}", number + 1));
            master.tell(&format!("CLUSTER ADDSLOTSRANGE {} {last}", number * share));
        }
        let cluster = Self { masters, replicas };
        for server in cluster.servers().skip(1) {
            server.tell(&format!(
                "CLUSTER MEET 127.0.0.1 {} {}",
                cluster.masters[0].port(),
                bus(&cluster.masters[0])
            ));
        }
        wait("the nodes know each other", || {
            let known = cluster.servers().count();
            cluster.servers().all(|server| {
                nodes(server).lines().filter(|line| !line.contains("handshake")).count() == known
            })
        });
        for (master, replica) in cluster.masters.iter().zip(&cluster.replicas) {
            replica.tell(&format!("CLUSTER REPLICATE {}", id(master)));
        }
        cluster.await_whole();
        wait("the replicas follow", || {
            let follows = |replica: &RedisServer| {
                replica.cmd::<String>("INFO", "replication").contains("master_link_status:up")
            };
            cluster.replicas.iter().all(follows)
        });
        cluster
    }

    fn servers(&self) -> impl Iterator<Item = &RedisServer> {
        self.masters.iter().chain(&self.replicas)
    }

    /// Adds a master without slots.
    ///
    /// # Panics
    ///
    /// When the others do not get to know it within 30 s.
    pub fn add_master(&mut self) {
        let server = server(&[]);
        server.tell(&format!("CLUSTER MEET 127.0.0.1 {} {}", self.masters[0].port(), bus(&self.masters[0])));
        self.masters.push(server);
        self.await_whole();
        let known = self.servers().count();
        wait("the new node is known", || self.servers().all(|server| nodes(server).lines().count() == known));
    }

    /// How a store connects to it: the first two masters are named.
    #[must_use]
    pub fn url(&self) -> String {
        self.named(RedisServer::url)
    }

    /// The same by TLS.
    #[must_use]
    pub fn url_by_tls(&self) -> String {
        self.named(|server| format!("rediss://127.0.0.1:{}", setting(server, "tls-port")))
    }

    fn named(&self, url: impl Fn(&RedisServer) -> String) -> String {
        let urls: Vec<_> = self.masters.iter().take(2).map(url).collect();
        format!("cluster:{}", urls.join(","))
    }

    /// The number of the master to which a slot was given at first.
    #[must_use]
    pub fn master_of(&self, key: &str) -> usize {
        let slot: usize = self.masters[0].cmd("CLUSTER", ("KEYSLOT", key));
        (slot / (16384 / self.masters.len())).min(self.masters.len() - 1)
    }

    /// Moves slots from one master to another, key by key, as `redis-cli --cluster reshard` does.
    ///
    /// # Panics
    ///
    /// When that fails.
    pub fn reshard(&self, from: usize, to: usize, slots: usize) {
        let output = Command::new("redis-cli")
            .args(["--cluster", "reshard", &format!("127.0.0.1:{}", self.masters[from].port())])
            .args(["--cluster-from", &id(&self.masters[from]), "--cluster-to", &id(&self.masters[to])])
            .args(["--cluster-slots", &slots.to_string(), "--cluster-yes"])
            .stdin(Stdio::null())
            .output()
            .expect("redis-cli is not installed; on Debian: apt-get install redis-tools");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }

    /// Begins to move the slot of a key, and sends this one key ahead; others of the slot stay until [`finish`](Self::finish).
    ///
    /// # Panics
    ///
    /// When that fails.
    pub fn send_ahead(&self, key: &str, from: usize, to: usize) {
        let (from, to) = (&self.masters[from], &self.masters[to]);
        let slot: u16 = from.cmd("CLUSTER", ("KEYSLOT", key));
        to.tell(&format!("CLUSTER SETSLOT {slot} IMPORTING {}", id(from)));
        from.tell(&format!("CLUSTER SETSLOT {slot} MIGRATING {}", id(to)));
        migrate(key, from, to);
    }

    /// Sends the other keys of a slot after those that went ahead, and the slot itself.
    ///
    /// # Panics
    ///
    /// When that fails.
    pub fn finish(&self, slot: u16, from: usize, to: usize) {
        let (from, to) = (&self.masters[from], &self.masters[to]);
        let keys: Vec<String> = from.cmd("CLUSTER", ("GETKEYSINSLOT", slot, 1000));
        keys.iter().for_each(|key| migrate(key, from, to));
        for server in [to, from] {
            server.tell(&format!("CLUSTER SETSLOT {slot} NODE {}", id(to)));
        }
    }

    /// Whether a master has slots.
    #[must_use]
    pub fn has_slots(&self, master: usize) -> bool {
        let nodes = nodes(&self.masters[master]);
        let own = nodes.lines().find(|line| line.contains("myself"));
        own.is_some_and(|line| line.split(' ').count() > 8)
    }

    /// Waits until each running node finds the Cluster complete.
    ///
    /// # Panics
    ///
    /// When that takes longer than 30 s.
    pub fn await_whole(&self) {
        wait("the cluster is complete", || {
            let complete = |server: &RedisServer| {
                let info: String = server.cmd("CLUSTER", "INFO");
                info.contains("cluster_state:ok") && info.contains("cluster_slots_ok:16384")
            };
            self.servers().filter(|server| server.is_running()).all(complete)
        });
    }

    /// Waits until a replica has become a master.
    ///
    /// # Panics
    ///
    /// When that takes longer than 30 s.
    pub fn await_promotion(&self, replica: usize) {
        wait("the replica takes over", || {
            self.replicas[replica].cmd::<String>("INFO", "replication").contains("role:master")
        });
    }
}

fn server(args: &[String]) -> RedisServer {
    let bus = free_port().to_string();
    let own = ["--cluster-enabled", "yes", "--cluster-node-timeout", "500", "--cluster-port", &bus];
    let args: Vec<_> = own.into_iter().chain(args.iter().map(String::as_str)).collect();
    RedisServer::start_with(&args)
}

fn migrate(key: &str, from: &RedisServer, to: &RedisServer) {
    from.tell(&format!("MIGRATE 127.0.0.1 {} {key} 0 5000", to.port()));
}

fn setting(server: &RedisServer, name: &str) -> String {
    let settings: Vec<String> = server.cmd("CONFIG", ("GET", name));
    settings[1].clone()
}

fn bus(server: &RedisServer) -> String {
    setting(server, "cluster-port")
}

fn id(server: &RedisServer) -> String {
    server.cmd("CLUSTER", "MYID")
}

fn nodes(server: &RedisServer) -> String {
    server.cmd("CLUSTER", "NODES")
}
