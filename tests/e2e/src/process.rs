//! A program that a test started.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, kill_process, prlimit};

use crate::wait::{poll, until, until_some};

pub use rustix::process::Signal;

const SHOWN_LINES: usize = 40;
const STOP_DEADLINE: Duration = Duration::from_secs(15);

/// A running program. Dropping it kills it, and shows the end of its log if the test failed.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    status: Option<ExitStatus>,
}

impl Process {
    /// Starts a program; what it prints goes to a file in `folder`.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(name: &str, folder: &Path, command: &mut Command) -> Self {
        let log = folder.join(format!("{name}.log"));
        let output = File::options().create(true).append(true).open(&log).expect("a log file can be made");
        let errors = output.try_clone().expect("a file handle can be doubled");
        let child =
            command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn().unwrap_or_else(|error| {
                panic!("{name} ({}) cannot be started: {error}", command.get_program().display())
            });
        Self { name: name.to_owned(), child, log, status: None }
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// When the program is gone.
    pub fn signal(&self, signal: Signal) {
        assert!(self.status.is_none(), "{} ended before", self.name);
        kill_process(self.pid(), signal).expect("a child can be signalled");
    }

    fn pid(&self) -> Pid {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a child has a process id")
    }

    /// The program's end, if it has come.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().expect("a child can be waited for");
        }
        self.status
    }

    /// Waits for the program's end.
    ///
    /// # Panics
    /// When it still runs after 30 s.
    pub fn wait(&mut self) -> ExitStatus {
        until_some(&format!("{} ends", self.name.clone()), || self.ended())
    }

    /// Ends the program as a crash would.
    pub fn kill(&mut self) {
        if self.ended().is_none() {
            self.signal(Signal::KILL);
            let status = self.wait();
            assert_eq!(status.signal(), Some(Signal::KILL.as_raw()), "{} ended by itself", self.name);
        }
    }

    /// Asks the program to end, and gives it 15 s to end what it started itself; for drops, which must not panic.
    pub fn stop(&mut self) {
        if self.ended().is_none() {
            self.signal(Signal::TERM);
            poll(STOP_DEADLINE, || self.ended());
        }
    }

    /// Freezes the program: its connections stay open, and nothing answers. All its threads have stopped when this returns; a busy machine takes
    /// some milliseconds for that, in which a push would still be answered.
    ///
    /// # Panics
    /// When it is gone.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
        until(&format!("{} is frozen", self.name), || self.has_stopped());
    }

    /// Whether none of its threads can run.
    fn has_stopped(&self) -> bool {
        let threads = fs::read_dir(format!("/proc/{}/task", self.id())).expect("a program has threads");
        // One that has just ended has no file.
        threads.flatten().filter_map(|thread| fs::read_to_string(thread.path().join("stat")).ok()).all(|stat| {
            let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
            state.is_some_and(|state| matches!(state, 'T' | 't' | 'Z' | 'X'))
        })
    }

    /// Resumes it after [`freeze`](Self::freeze).
    ///
    /// # Panics
    /// When it is gone.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Sets how many descriptors it may have.
    ///
    /// # Panics
    /// When it is gone.
    pub fn limit_descriptors(&self, most: u64) {
        let most = Rlimit { current: Some(most), ..getrlimit(Resource::Nofile) };
        prlimit(Some(self.pid()), Resource::Nofile, most).expect("a child's limits can be set");
    }

    /// How many descriptors it has.
    ///
    /// # Panics
    /// When it is gone.
    #[must_use]
    pub fn descriptors(&self) -> u64 {
        fs::read_dir(format!("/proc/{}/fd", self.id())).expect("a running program has descriptors").count() as u64
    }

    /// The memory that it has resident now, in bytes.
    ///
    /// # Panics
    /// When the program is gone.
    #[must_use]
    pub fn rss(&self) -> u64 {
        self.memory("VmRSS:")
    }

    /// The most memory it has had resident since its start, in bytes.
    ///
    /// # Panics
    /// When the program is gone.
    #[must_use]
    pub fn peak_rss(&self) -> u64 {
        self.memory("VmHWM:")
    }

    /// The CPU time that its threads have used since they started.
    ///
    /// # Panics
    /// When the program is gone.
    #[must_use]
    pub fn cpu_time(&self) -> Duration {
        let threads = fs::read_dir(format!("/proc/{}/task", self.id())).expect("a running program has threads");
        // The first number is the time on a CPU in nanoseconds. A thread that has just ended has no file.
        let used = threads.flatten().filter_map(|thread| {
            let line = fs::read_to_string(thread.path().join("schedstat")).ok()?;
            line.split(' ').next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(used.sum())
    }

    fn memory(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).expect("a running program has a status");
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a running program has memory");
        let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("memory is a number of kB");
        kibibytes << 10
    }

    /// What the program printed so far.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.status.is_none() {
            // Both fail only if it is gone already.
            drop(self.child.kill());
            drop(self.child.wait());
        }
        if thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let tail = lines.get(lines.len().saturating_sub(SHOWN_LINES)..).unwrap_or_default();
            eprintln!("---- log of {} ({} lines)\n{}\n----", self.name, lines.len(), tail.join("\n"));
        }
    }
}
