//! A Redis Cluster: masters with all slots between them, and a replica for each.

use std::process::{Command, Stdio};

use crate::server::{RedisServer, free_port, wait};

/// Masters, and as many replicas, which take over half a second after their master is gone.
#[derive(Debug)]
pub struct RedisCluster {
    /// The masters, each with its share of the slots, in their order.
    pub masters: Vec<RedisServer>,
    /// The first one's replica, the second one's, and so on.
    pub replicas: Vec<RedisServer>,
}

impl RedisCluster {
    /// Starts three masters without replicas.
    ///
    /// # Panics
    ///
    /// When they do not come together within 30 s.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(3, false, &[])
    }

    /// Starts three masters with a replica each.
    ///
    /// # Panics
    ///
    /// When they do not come together within 30 s.
    #[must_use]
    pub fn start_replicated() -> Self {
        Self::start_with(3, true, &[])
    }

    /// Starts masters, with a replica each if `replicated`, and further arguments for all.
    ///
    /// # Panics
    ///
    /// When they do not come together within 30 s.
    #[must_use]
    pub fn start_with(masters: usize, replicated: bool, args: &[&str]) -> Self {
        let masters: Vec<_> = (0..masters).map(|_| server(args)).collect();
        let replicas: Vec<_> =
            if replicated { masters.iter().map(|_| server(args)).collect() } else { vec![] };
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
        let urls: Vec<_> = self.masters.iter().take(2).map(RedisServer::url).collect();
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

fn server(args: &[&str]) -> RedisServer {
    let bus = free_port().to_string();
    let own = ["--cluster-enabled", "yes", "--cluster-node-timeout", "500", "--cluster-port", &bus];
    RedisServer::start_with(&[&own[..], args].concat())
}

fn bus(server: &RedisServer) -> String {
    let settings: Vec<String> = server.cmd("CONFIG", ("GET", "cluster-port"));
    settings[1].clone()
}

fn id(server: &RedisServer) -> String {
    server.cmd("CLUSTER", "MYID")
}

fn nodes(server: &RedisServer) -> String {
    server.cmd("CLUSTER", "NODES")
}
