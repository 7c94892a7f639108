use std::fs;
use std::os::unix::fs::symlink;

use limits::{EdgePolicy, Mode, Severity};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::*;

struct Watched {
    folder: TempDir,
    source: EdgeConfigSource,
}

impl Watched {
    /// A source whose file is not there yet.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { source: EdgeConfigSource::new(folder.path().join("edge.yaml")), folder }
    }

    fn write(&self, text: &str) {
        fs::write(&self.source.path, text).unwrap();
    }

    /// Default mode and severities of the state that a poll publishes, if it publishes one.
    fn poll(&mut self) -> Option<(Mode, Vec<Severity>)> {
        let state = self.source.poll()?;
        let severities = state.problems.iter().map(|problem| problem.severity).collect();
        Some((state.config.default_policy().mode, severities))
    }
}

#[test]
fn all_tenants_are_in_shadow_until_the_first_good_document() {
    let mut watched = Watched::new();
    assert_eq!(watched.source.control().config.default_policy().mode, Mode::Shadow);
    assert_eq!(watched.poll(), Some((Mode::Shadow, vec![Severity::Kept])));
    assert_eq!(watched.poll(), None, "the same fault is reported once");
    watched.write("mode: enforced");
    watched.poll();
    assert_eq!(watched.poll(), Some((Mode::Shadow, vec![Severity::Rejected])));
    watched.write("mode: enforce");
    watched.poll();
    assert_eq!(watched.poll(), Some((Mode::Enforce, vec![])));
    assert_eq!(watched.poll(), None);
}

#[test]
fn a_bad_or_missing_document_keeps_the_last_good_configuration() {
    let mut watched = Watched::new();
    watched.write("mode: off");
    assert_eq!(watched.poll(), Some((Mode::Off, vec![])));
    watched.write("mode: [");
    watched.poll();
    assert_eq!(watched.poll(), Some((Mode::Off, vec![Severity::Rejected])));
    fs::remove_file(&watched.source.path).unwrap();
    assert_eq!(watched.poll(), Some((Mode::Off, vec![Severity::Rejected, Severity::Kept])));
    let gone = Fault { name: "edge.yaml".to_owned(), what: "file", error: std::io::Error::other("gone") };
    let problem = gone.problem("it stays").to_string();
    assert_eq!(problem, "edge.yaml: the file cannot be read: gone; it stays");
}

#[test]
fn a_swapped_link_is_a_change() {
    let mut watched = Watched::new();
    let at = |name: &str| watched.folder.path().join(name);
    for (folder, text) in [("1", "mode: shadow"), ("2", "mode: off")] {
        fs::create_dir(at(folder)).unwrap();
        fs::write(at(folder).join("edge.yaml"), text).unwrap();
    }
    // As Kubernetes mounts a ConfigMap.
    symlink("1", at("..data")).unwrap();
    symlink("..data/edge.yaml", &watched.source.path).unwrap();
    let (data, swap) = (at("..data"), at("..data_tmp"));
    assert_eq!(watched.poll(), Some((Mode::Shadow, vec![])));
    symlink("2", &swap).unwrap();
    fs::rename(&swap, &data).unwrap();
    watched.poll();
    assert_eq!(watched.poll(), Some((Mode::Off, vec![])));
}

#[tokio::test]
async fn a_started_source_has_read_its_file_and_follows_it() {
    let watched = Watched::new();
    watched.write("mode: enforce");
    let path = watched.source.path.clone();
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    let mut states = watched.source.start(&Tasks::new(stop)).await;
    assert_eq!(states.borrow().config.default_policy().mode, Mode::Enforce);
    fs::write(path, "mode: off").unwrap();
    let turned_off = states.wait_for(|state| state.config.default_policy().mode == Mode::Off);
    tokio::time::timeout(std::time::Duration::from_secs(20), turned_off).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_fixed_configuration_is_there_and_never_changes() {
    let mut states = LoadedEdgeConfig::fixed(EdgeConfig::default());
    assert_eq!(*states.borrow().config.default_policy(), EdgePolicy::default());
    assert!(states.changed().await.is_err());
}
