//! The whole edge with everything on that keeps others out: mTLS between its programs, and HTTPS with a token.

use tempfile::TempDir;

use crate::edge::{Edge, EdgeBuilder};
use crate::overrides_sync::OverridesSync;
use crate::secrets::Secrets;
use crate::watched_file::WatchedFile;

/// A running edge: overrides-sync with its limits, mimir-rls that takes them from its feed, and Envoy.
#[derive(Debug)]
pub struct SecuredEdge {
    /// Envoy, mimir-rls and the upstream.
    pub edge: Edge,
    /// Whose feed mimir-rls follows.
    pub sync: OverridesSync,
    /// The limits of overrides-sync.
    pub limits: WatchedFile,
    _folder: TempDir,
}

impl SecuredEdge {
    /// Starts it with these limits, and waits until it serves.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    #[track_caller]
    pub fn start(builder: EdgeBuilder, secrets: &Secrets, limits: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let limits = WatchedFile::of(limits);
        let sync = OverridesSync::start_secured(folder.path(), &limits.source(), secrets);
        sync.wait_until_ready();
        let edge = builder.secured(secrets).limits_from(&sync.feed()).start("");
        Self { edge, sync, limits, _folder: folder }
    }
}
