//! A Mimir that loads one runtime configuration after the other.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use e2e::{Connection, Process, Request, free_port, tool, until, wait_until};

use super::runtime_config_page;
use super::verdict::Verdict;

/// Long enough for the dearest document on a machine that also compiles.
const DEADLINE: Duration = Duration::from_secs(120);
/// A document of so many bytes can have thousands of tenants, of which each is shown with 150 fields.
const LARGE: usize = 5_000;
const POLL_EVERY: Duration = Duration::from_millis(1);

/// Mimir's verdict on a document, and an upper bound of the time it took: it looks at its file every 2 ms.
pub(crate) struct TimedVerdict {
    pub(crate) verdict: Verdict,
    pub(crate) took: Duration,
}

/// The real program with no part running but the one that reads runtime configurations and shows them.
pub(crate) struct RuntimeMimir {
    process: Process,
    folder: PathBuf,
    file: PathBuf,
    ports: [u16; 3],
    connection: Option<Connection>,
    /// So many documents of its own were put in force.
    rests: u64,
    /// The hash of what is in force.
    hash: String,
}

/// What its metrics say of the last load.
struct Loaded {
    successful: bool,
    hash: String,
}

impl RuntimeMimir {
    /// Starts one that reads a file of this name in `folder`, which it makes.
    pub(crate) fn start(folder: &Path, name: &str) -> Self {
        fs::create_dir_all(folder).expect("a folder can be made");
        let (file, ports) = (folder.join(name), [free_port(), free_port(), free_port()]);
        let process = run(folder, &file, ports);
        let mut mimir =
            Self { process, folder: folder.to_owned(), file, ports, connection: None, rests: 0, hash: String::new() };
        mimir.wait_until_loaded();
        mimir
    }

    /// Loads a document.
    pub(crate) fn verdict_on(&mut self, document: &[u8]) -> TimedVerdict {
        self.rest();
        let started = Instant::now();
        self.write(document);
        let loaded = self.poll(|loaded, resting| !loaded.successful || loaded.hash != resting);
        let took = started.elapsed();
        let verdict = match loaded {
            None => {
                self.restart();
                Verdict::Died
            }
            Some(Loaded { successful: false, .. }) => Verdict::Rejected,
            Some(Loaded { hash, .. }) => {
                self.hash = hash;
                let page = self.in_force(document.len()).expect("Mimir shows what is in force");
                Verdict::Accepted(runtime_config_page::tenants(&page))
            }
        };
        TimedVerdict { verdict, took }
    }

    /// What it shows of the document in force. What differs from the defaults is short, but has no tenant that has them all, and not of every
    /// configuration can Mimir say it.
    fn in_force(&mut self, bytes: usize) -> Option<String> {
        let short = if bytes < LARGE { None } else { self.get("/runtime_config?mode=diff") };
        short.or_else(|| self.get("/runtime_config"))
    }

    /// Why it rejects a document, in its own words.
    pub(crate) fn reason(&mut self, document: &[u8]) -> String {
        self.rest();
        let before = self.process.log().len();
        self.write(document);
        let mut reason = String::new();
        // Its log is written every 100 ms.
        until("Mimir says why", || {
            let log = self.process.log();
            let line = log.get(before..).and_then(|new| new.lines().rfind(|line| line.contains("err=")));
            reason =
                line.and_then(|line| line.split_once("err=")).map(|(_, reason)| reason.to_owned()).unwrap_or_default();
            !reason.is_empty() || self.process.ended().is_some()
        });
        if self.process.ended().is_some() {
            self.restart();
            return "Mimir ended".to_owned();
        }
        reason.trim_matches('"').replace("\\\"", "\"").replace("\\n", "\n")
    }

    /// Puts a document of its own in force, unlike any before: whatever is seen from here on is about the next one.
    fn rest(&mut self) {
        self.rests += 1;
        let resting = format!("overrides: {{resting-{}: {{}}}}\n", self.rests);
        // What is good in a `.gz` is compressed; what is not counts as a failure of its own.
        let bytes = if self.file.extension().is_some_and(|extension| extension == "gz") {
            super::stream::gzip(resting.as_bytes(), "-1")
        } else {
            resting.into_bytes()
        };
        self.write(&bytes);
        let loaded = self.poll(|loaded, before| loaded.successful && loaded.hash != before);
        self.hash = loaded.expect("Mimir runs").hash;
    }

    /// By a rename, so that Mimir never reads half a document.
    fn write(&self, document: &[u8]) {
        let new = self.folder.join("new");
        fs::write(&new, document).expect("a document can be written");
        fs::rename(new, &self.file).expect("a document can be put in place");
    }

    /// Asks until what it says is about the newest document; `None` where it ended.
    fn poll(&mut self, is_new: impl Fn(&Loaded, &str) -> bool) -> Option<Loaded> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            match self.loaded() {
                Some(loaded) if is_new(&loaded, &self.hash) => return Some(loaded),
                None if self.process.ended().is_some() => return None,
                _ => assert!(Instant::now() < deadline, "Mimir has not loaded a document for {DEADLINE:?}"),
            }
            wait_until(Instant::now() + POLL_EVERY);
        }
    }

    fn loaded(&mut self) -> Option<Loaded> {
        let page = self.get("/metrics")?;
        let successful =
            page.lines().find_map(|line| line.strip_prefix("cortex_runtime_config_last_reload_successful{"));
        let hash = page.lines().find_map(|line| line.strip_prefix("cortex_runtime_config_hash{"));
        Some(Loaded { successful: successful?.ends_with(" 1"), hash: hash?.to_owned() })
    }

    fn get(&mut self, target: &str) -> Option<String> {
        let mut connection = self.connection.take().or_else(|| Connection::open(self.ports[0]).ok())?;
        let answer = connection.send(&Request::new("GET", target)).ok().filter(|answer| answer.status == 200)?;
        self.connection = Some(connection);
        Some(answer.text().into_owned())
    }

    fn restart(&mut self) {
        self.connection = None;
        drop(fs::remove_file(&self.file));
        self.process = run(&self.folder, &self.file, self.ports);
        self.wait_until_loaded();
    }

    fn wait_until_loaded(&mut self) {
        until("Mimir has read its runtime config", || {
            assert!(self.process.ended().is_none(), "Mimir ended");
            self.loaded().is_some_and(|loaded| {
                self.hash = loaded.hash;
                loaded.successful
            })
        });
    }
}

fn run(folder: &Path, file: &Path, [http, grpc, gossip]: [u16; 3]) -> Process {
    let first = b"overrides: {}\n";
    let compressed = file.extension().is_some_and(|extension| extension == "gz");
    let first = if compressed { super::stream::gzip(first, "-1") } else { first.to_vec() };
    fs::write(file, first).expect("a document can be written");
    let mut command = Command::new(tool("mimir"));
    command.current_dir(folder).args([
        // A small one. The part that exports overrides ends the process where a tenant is null and its metrics are read.
        "-target=query-scheduler",
        "-server.http-listen-address=127.0.0.1",
        "-server.grpc-listen-address=127.0.0.1",
        "-memberlist.bind-addr=127.0.0.1",
        "-memberlist.advertise-addr=127.0.0.1",
        "-query-scheduler.ring.instance-addr=127.0.0.1",
        "-activity-tracker.filepath=",
        "-usage-stats.enabled=false",
        "-log.level=error",
        "-runtime-config.reload-period=2ms",
    ]);
    command.args([
        format!("-server.http-listen-port={http}"),
        format!("-server.grpc-listen-port={grpc}"),
        format!("-memberlist.bind-port={gossip}"),
        format!("-runtime-config.file={}", file.display()),
    ]);
    Process::start("mimir", folder, &mut command)
}
