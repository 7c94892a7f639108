//! A running Mimir.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::http1::{Connection, Request, Response, send};
use crate::metrics::metric;
use crate::ports::free_port;
use crate::process::Process;
use crate::programs::tool;
use crate::promql::{SampleTimes, sample_times};
use crate::wait::until;

/// The parts of a Mimir that take pushes and keep samples.
const WRITE_PATH: &str = "distributor,ingester";

/// The real Mimir on loopback: one process with distributor, HA tracker and ingester, configured as the recorded cases were.
#[derive(Debug)]
pub struct Mimir {
    /// The running program.
    pub process: Process,
    http_port: u16,
    gossip_port: u16,
    /// Starts it again.
    arguments: Vec<String>,
    folder: PathBuf,
    name: String,
}

impl Mimir {
    /// The flag for one that answers queries too.
    pub const READS: &str = "-target=distributor,ingester,querier";

    /// Starts one with its data in `folder`, which it makes, and with a runtime config that it reads five times a second. Waits until it
    /// takes pushes, some 2 s.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn start(folder: &Path, runtime_config: &Path) -> Self {
        Self::start_with(folder, runtime_config, &[])
    }

    /// The same with more flags.
    ///
    /// # Panics
    /// When it does not take pushes.
    #[must_use]
    pub fn start_with(folder: &Path, runtime_config: &Path, flags: &[&str]) -> Self {
        let mut mimir = Self::spawn(folder, 1, runtime_config, flags);
        mimir.wait_until_ready();
        mimir
    }

    /// Starts several in one ring, each with a folder of its own below `folder`. A push to any of them can land in the ingester of any of
    /// them. Waits until each has divided the tenants' rates by their number.
    ///
    /// # Panics
    /// When they don't.
    #[must_use]
    pub fn ring(folder: &Path, count: u8, runtime_config: &Path, flags: &[&str]) -> Vec<Self> {
        let place = |number: u8| folder.join(format!("mimir-{number}"));
        let first = Self::start_with(&place(1), runtime_config, flags);
        let join = format!("-memberlist.join=127.0.0.1:{}", first.gossip_port);
        let flags: Vec<&str> = flags.iter().copied().chain([join.as_str()]).collect();
        let mut ring = vec![first];
        ring.extend((2..=count).map(|number| Self::spawn(&place(number), number, runtime_config, &flags)));
        for mimir in &mut ring {
            mimir.wait_until_ready();
        }
        for mimir in &ring {
            mimir.wait_for_members(count);
        }
        ring
    }

    /// The samples of a tenant that a selector of the last half hour finds; only of a Mimir with [`Mimir::READS`].
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    #[track_caller]
    pub fn sample_times(&self, tenant: &str, selector: &str) -> SampleTimes {
        sample_times(self.http_port, "/prometheus/api/v1/query", Some(tenant), selector)
    }

    /// Where clients push.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.http_port
    }

    /// Sends a request on a connection of its own.
    ///
    /// # Panics
    /// When there is no answer.
    #[track_caller]
    pub fn send(&self, request: &Request) -> Response {
        send(self.http_port, request)
    }

    /// The value of one of its metrics; see [`metric`].
    #[must_use]
    #[track_caller]
    pub fn metric(&self, series: &str) -> Option<f64> {
        metric(self.http_port, "/metrics", series)
    }

    /// All of its metrics, as text.
    ///
    /// # Panics
    /// When there is no answer.
    #[must_use]
    #[track_caller]
    pub fn metrics(&self) -> String {
        self.send(&Request::new("GET", "/metrics")).text().into_owned()
    }

    /// The page of its HA tracker that shows the elected replicas.
    #[must_use]
    pub fn ha_tracker_url(&self) -> String {
        format!("http://127.0.0.1:{}/distributor/ha_tracker", self.http_port)
    }

    fn spawn(folder: &Path, number: u8, runtime_config: &Path, flags: &[&str]) -> Self {
        fs::create_dir_all(folder).expect("a folder can be made");
        let name = format!("mimir-{number}");
        let (http_port, grpc_port, gossip_port) = (free_port(), free_port(), free_port());
        let mut arguments = fixed_flags(&name);
        arguments.extend([
            format!("-server.http-listen-port={http_port}"),
            format!("-server.grpc-listen-port={grpc_port}"),
            format!("-memberlist.bind-port={gossip_port}"),
            format!("-memberlist.advertise-port={gossip_port}"),
            format!("-runtime-config.file={}", runtime_config.display()),
        ]);
        arguments.extend(folders(folder));
        arguments.extend(flags.iter().map(|flag| (*flag).to_owned()));
        let process = run(&name, folder, &arguments);
        Self { process, http_port, gossip_port, arguments, folder: folder.to_owned(), name }
    }

    /// Starts it again on the same ports and with the same data after it ended, and waits until it takes pushes.
    ///
    /// # Panics
    /// When it still runs, or does not take pushes.
    pub fn restart(&mut self) {
        assert!(self.process.ended().is_some(), "Mimir still runs");
        self.process = run(&self.name, &self.folder, &self.arguments);
        self.wait_until_ready();
    }

    fn wait_until_ready(&mut self) {
        let Self { process, http_port, .. } = self;
        until("Mimir is ready", || {
            assert!(process.ended().is_none(), "Mimir ended");
            let ready = Connection::open(*http_port).and_then(|mut open| open.send(&Request::new("GET", "/ready")));
            ready.is_ok_and(|response| response.status == 200)
        });
    }

    fn wait_for_members(&self, count: u8) {
        until(&format!("each of {count} Mimirs knows all"), || {
            ["distributor", "ingester"].iter().all(|ring| {
                let members = format!(r#"cortex_ring_members{{name="{ring}",state="ACTIVE"}}"#);
                self.metric(&members) == Some(f64::from(count))
            })
        });
        // A distributor counts the others only when it sends a heartbeat.
        let heartbeats =
            || self.metric(r#"cortex_ring_member_heartbeats_total{name="distributor"}"#).unwrap_or_default();
        let before = heartbeats();
        until("a distributor counts the others", || heartbeats() >= before + 2.0);
    }
}

fn run(name: &str, folder: &Path, arguments: &[String]) -> Process {
    Process::start(name, folder, Command::new(tool("mimir")).current_dir(folder).args(arguments))
}

/// What all Mimirs have in common: first what the recorded cases were played with, then what makes one ready soon.
fn fixed_flags(name: &str) -> Vec<String> {
    let flags = [
        "-auth.multitenancy-enabled=true",
        "-distributor.ha-tracker.enable=true",
        "-distributor.ha-tracker.store=memberlist",
        "-distributor.ha-tracker.update-timeout=15s",
        "-distributor.ha-tracker.failover-timeout=30s",
        "-ingester.ring.replication-factor=1",
        "-server.http-listen-address=127.0.0.1",
        "-server.grpc-listen-address=127.0.0.1",
        "-memberlist.bind-addr=127.0.0.1",
        "-memberlist.advertise-addr=127.0.0.1",
        "-ingester.ring.instance-addr=127.0.0.1",
        "-distributor.ring.instance-addr=127.0.0.1",
        "-common.storage.backend=filesystem",
        "-activity-tracker.filepath=",
        "-usage-stats.enabled=false",
        "-log.level=warn",
        "-ingester.ring.min-ready-duration=0s",
        "-ingester.ring.num-tokens=16",
        "-memberlist.gossip-interval=50ms",
        "-distributor.ring.heartbeat-period=1s",
        "-runtime-config.reload-period=200ms",
    ];
    let named = [
        format!("-target={WRITE_PATH}"),
        format!("-ingester.ring.instance-id={name}"),
        format!("-distributor.ring.instance-id={name}"),
        format!("-memberlist.nodename={name}"),
    ];
    flags.map(str::to_owned).into_iter().chain(named).collect()
}

fn folders(folder: &Path) -> Vec<String> {
    let place = |flag: &str, name: &str| -> String {
        let path: PathBuf = folder.join(name);
        format!("-{flag}={}", path.display())
    };
    vec![
        place("common.storage.filesystem.dir", "storage"),
        place("blocks-storage.tsdb.dir", "tsdb"),
        place("blocks-storage.bucket-store.sync-dir", "sync"),
    ]
}
