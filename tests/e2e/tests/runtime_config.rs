//! The edge makes of recorded runtime configurations what a real Mimir made of them, whichever source they come from.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use e2e::{ADMIN, CONFIG_MAP, Cluster, MimirRls, built};
use serde_json::{Value, json};
use tempfile::tempdir;

mod expected;
mod server;

use expected::{Expected, Tenants, documents, values};
use server::{check, resting};

#[test]
fn edgectl_says_what_mimir_says() {
    let folder = tempdir().expect("a folder can be made");
    for document in documents() {
        let Expected { name, bytes, tenants } = &document;
        let path = folder.path().join(name);
        fs::write(&path, bytes).expect("a document can be written");
        let mut command = Command::new(built("edgectl"));
        let output = command.args(["check", "--format", "json", "--show"]).arg(&path).output().expect("edgectl runs");
        let printed = String::from_utf8_lossy(&output.stdout);
        let report: Value = serde_json::from_str(&printed).unwrap_or_else(|error| {
            panic!("{name}: {error}: {printed}{}", String::from_utf8_lossy(&output.stderr));
        });
        let file = &report["files"][0];
        let outcome = if tenants.is_some() { "accepted" } else { "rejected" };
        assert_eq!(file["outcome"], outcome, "{name}: {printed}");
        // 1 is for what is passed over: an accepted document may have some.
        let code = output.status.code().expect("edgectl ends by itself");
        assert_eq!(code == 2, tenants.is_none(), "{name}: exit code {code}: {printed}");
        if let Some(tenants) = tenants {
            assert_eq!(&shown(&file["limits"]), tenants, "{name}: {printed}");
        }
    }
}

fn shown(limits: &Value) -> Tenants {
    let limits = limits.as_object().expect("limits are shown").iter();
    limits.map(|(tenant, limits)| (tenant.clone(), values(limits))).collect()
}

#[test]
fn a_server_accepts_from_files_what_mimir_accepts() {
    let folder = tempdir().expect("a folder can be made");
    let documents = documents();
    for compressed in [false, true] {
        let wanted: Vec<_> = documents.iter().filter(|document| document.is_compressed() == compressed).collect();
        assert!(!wanted.is_empty(), "there is no document that is compressed: {compressed}");
        let place = folder.path().join(if compressed { "compressed" } else { "plain" });
        fs::create_dir(&place).expect("a folder can be made");
        let file = place.join(if compressed { "runtime.yaml.gz" } else { "runtime.yaml" });
        let good = |text: &str| if compressed { gzip(text) } else { text.as_bytes().to_vec() };
        replace(&file, &good(&resting(0)));
        let rls = MimirRls::start(&place, &format!("file:{}", file.display()), &[allow_empty()]);
        check(&rls, &wanted, |bytes| replace(&file, bytes), |text| replace(&file, &good(text)));
    }
}

/// The real API server holds what is no text in `binaryData`, and overrides-sync hands it on.
#[test]
fn a_server_accepts_from_configmaps_what_mimir_accepts() {
    let cluster = Cluster::start(&resting(0));
    let sync = cluster.sync("sync", &["--allow-empty-overrides"]);
    let folder = tempdir().expect("a folder can be made");
    let rls = MimirRls::start(folder.path(), &sync.feed(), &[allow_empty()]);
    let documents = documents();
    for compressed in [false, true] {
        let wanted: Vec<_> = documents.iter().filter(|document| document.is_compressed() == compressed).collect();
        let key = if compressed { "runtime.yaml.gz" } else { "runtime.yaml" };
        let put = |bytes: &[u8]| {
            // The whole object: no key of the document before stays.
            let data = match std::str::from_utf8(bytes) {
                Ok(text) => json!({ "data": { key: text } }),
                Err(_) => json!({ "binaryData": { key: base64(bytes) } }),
            };
            let mut object =
                json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "mimir-runtime" } });
            object.as_object_mut().expect("an object").extend(data.as_object().cloned().unwrap_or_default());
            let answer = cluster.server.api(ADMIN).put(CONFIG_MAP, &object);
            assert_eq!(answer.status, 200, "{}", answer.text());
        };
        let good = |text: &str| if compressed { gzip(text) } else { text.as_bytes().to_vec() };
        check(&rls, &wanted, put, |text| put(&good(text)));
    }
}

fn allow_empty() -> String {
    "--allow-empty-overrides".to_owned()
}

/// By a rename, so that the server never reads half a document.
fn replace(file: &Path, bytes: &[u8]) {
    let new = file.with_extension("new");
    fs::write(&new, bytes).expect("a document can be written");
    fs::rename(new, file).expect("a document can be put in place");
}

fn gzip(text: &str) -> Vec<u8> {
    filter(Command::new("gzip").args(["-n", "-c"]), text.as_bytes())
}

fn base64(bytes: &[u8]) -> String {
    String::from_utf8(filter(Command::new("base64").arg("--wrap=0"), bytes)).expect("base64 is text")
}

fn filter(command: &mut Command, input: &[u8]) -> Vec<u8> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program starts");
    child.stdin.take().expect("the input is a pipe").write_all(input).expect("a small input fits into a pipe");
    child.wait_with_output().expect("the program ends").stdout
}
