//! A running etcd.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::http1::{Connection, Request, send};
use crate::ports::free_port;
use crate::process::Process;
use crate::programs::tool;
use crate::wait::until;

/// `/e2e` as etcd's JSON has bytes, outside of what the API server writes.
const UNUSED_KEY: &str = "L2UyZQ==";

/// The real etcd on loopback, alone in its cluster, with its data in a folder of the test.
#[derive(Debug)]
pub(crate) struct Etcd {
    /// The running program.
    pub(crate) process: Process,
    port: u16,
}

impl Etcd {
    /// Starts one and waits until it has a leader.
    ///
    /// # Panics
    /// When it does not start.
    pub(crate) fn start(folder: &Path) -> Self {
        let (port, peer_port) = (free_port(), free_port());
        let mut command = Command::new(tool("etcd"));
        command.arg(format!("--data-dir={}", folder.join("etcd").display()));
        for (flag, port) in [("client", port), ("peer", peer_port)] {
            command.arg(format!("--listen-{flag}-urls=http://127.0.0.1:{port}"));
        }
        command.arg(format!("--advertise-client-urls=http://127.0.0.1:{port}"));
        command.arg(format!("--initial-advertise-peer-urls=http://127.0.0.1:{peer_port}"));
        command.arg(format!("--initial-cluster=default=http://127.0.0.1:{peer_port}"));
        // A test's data need not survive the machine, and there is no other member to elect.
        command.args(["--unsafe-no-fsync", "--heartbeat-interval=10", "--election-timeout=100", "--log-level=warn"]);
        let mut process = Process::start("etcd", folder, &mut command);
        until("etcd is healthy", || {
            assert!(process.ended().is_none(), "etcd ended");
            let health = Connection::open(port).and_then(|mut open| open.send(&Request::new("GET", "/health")));
            health.is_ok_and(|response| response.status == 200)
        });
        Self { process, port }
    }

    /// Where clients find it.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Forgets everything that was before this moment but the newest values, and gives the newest revision, the first that can still be
    /// watched from.
    #[track_caller]
    pub(crate) fn compact(&self) -> u64 {
        // etcd keeps the revision to which it compacts. A write to an unused key lets it forget the last change of a test too.
        let written = self.call("/v3/kv/put", &json!({ "key": UNUSED_KEY, "value": "" }));
        let revision = written.pointer("/header/revision").and_then(Value::as_str).expect("an answer has a revision");
        self.call("/v3/kv/compaction", &json!({ "revision": revision, "physical": true }));
        revision.parse().expect("a revision is a number")
    }

    #[track_caller]
    fn call(&self, path: &str, message: &Value) -> Value {
        let request = Request::new("POST", path).header("Content-Type", "application/json");
        let response = send(self.port, &request.body(message.to_string().as_bytes()));
        assert_eq!(response.status, 200, "etcd rejected {path}: {}", response.text());
        response.json()
    }
}
