//! A network between a client and the API server that can lose connections without telling either end.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// Passes connections on. Ends with the process.
#[derive(Debug)]
pub(crate) struct Proxy {
    port: u16,
    server: String,
    /// Connections that were made before the last of these generations pass nothing on.
    generation: Arc<AtomicU64>,
}

impl Proxy {
    /// In front of the server with this `https://HOST:PORT`.
    pub(crate) fn start(url: &str) -> Self {
        let server = url.strip_prefix("https://").expect("https").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let generation = Arc::new(AtomicU64::new(0));
        let (to, current) = (server.clone(), Arc::clone(&generation));
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(upstream) = TcpStream::connect(&to) else { continue };
                let own = current.load(Ordering::SeqCst);
                for (from, to) in [(&client, &upstream), (&upstream, &client)] {
                    let (from, to) = (from.try_clone().expect("a socket"), to.try_clone().expect("a socket"));
                    let current = Arc::clone(&current);
                    thread::spawn(move || pass(from, to, || current.load(Ordering::SeqCst) == own));
                }
            }
        });
        Self { port, server, generation }
    }

    /// A copy of the kubeconfig `direct` that leads to this proxy instead of the server.
    pub(crate) fn kubeconfig(&self, direct: &Path) -> PathBuf {
        let text = std::fs::read_to_string(direct).expect("a kubeconfig");
        let here = text.replace(&self.server, &format!("127.0.0.1:{}", self.port));
        assert_ne!(here, text);
        let path = direct.with_file_name("kubeconfig-of-the-proxy");
        std::fs::write(&path, here).expect("a file");
        path
    }

    /// From now on nothing passes on the connections that there are; they stay open. New ones are well.
    pub(crate) fn forget_connections(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
    }
}

/// Reads on when nothing passes any more, so that neither end notices.
fn pass(mut from: TcpStream, mut to: TcpStream, passes: impl Fn() -> bool) {
    let mut buffer = [0; 16 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if passes() && to.write_all(buffer.get(..read).unwrap_or_default()).is_err() {
            break;
        }
    }
    if passes() {
        // Either may be gone already.
        drop((from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both)));
    }
}
