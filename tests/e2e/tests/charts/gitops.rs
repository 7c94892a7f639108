//! The values files of docs/kubernetes.md and docs/mtls.md: each renders, and the ones for Argo CD and Flux are complete.

use std::fs;

use e2e::{Kubectl, helm, repository};

use super::{CHARTS, ENVOY, MIMIR_RLS, NAMESPACE, OVERRIDES_SYNC, chart, cluster};

/// The values files for mimir-distributed with the release and the chart of each.
const FILES: [(&str, &str, &str); 3] = [
    ("# overrides-sync.yaml\n", OVERRIDES_SYNC, OVERRIDES_SYNC),
    ("# mimir-rls.yaml\n", MIMIR_RLS, MIMIR_RLS),
    ("# envoy.yaml\n", "mimir-envoy", "envoy"),
];

/// The blocks of a page in this language that begin with this.
fn blocks_of(page: &str, language: &str, start: &str) -> Vec<String> {
    let page = fs::read_to_string(repository().join("docs").join(page)).expect("the page can be read");
    let begin = format!("```{language}\n");
    let blocks = page.split(&begin).skip(1).filter_map(|rest| rest.split_once("```").map(|(block, _)| block));
    blocks.filter(|block| block.starts_with(start)).map(str::to_owned).collect()
}

/// The blocks of YAML of docs/kubernetes.md that begin with this.
fn blocks(start: &str) -> Vec<String> {
    blocks_of("kubernetes.md", "yaml", start)
}

/// The block below a key, without its indentation.
fn below(text: &str, key: &str) -> String {
    let (before, after) = text.split_once(&format!("{key}:\n")).unwrap_or_else(|| panic!("there is no {key}: {text}"));
    let indent = before.rsplit('\n').next().unwrap_or_default().len() + 2;
    let lines =
        after.lines().take_while(|line| line.is_empty() || line.chars().take(indent).all(|letter| letter == ' '));
    lines.map(|line| format!("{}\n", line.get(indent..).unwrap_or_default())).collect()
}

/// That the API server takes what a chart renders for these values, of a release with this name.
#[track_caller]
fn takes(kubectl: &Kubectl, release: &str, name: &str, values: &str) -> String {
    takes_files(kubectl, release, name, &[values])
}

/// The same for several values files.
#[track_caller]
fn takes_files(kubectl: &Kubectl, release: &str, name: &str, values: &[&str]) -> String {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = |(number, text): (usize, &&str)| {
        let path = folder.path().join(format!("{number}.yaml"));
        fs::write(&path, text).expect("a file can be written");
        format!("--values={}", path.display())
    };
    let files: Vec<String> = values.iter().enumerate().map(file).collect();
    let chart = chart(name);
    let mut arguments = vec!["template", release, chart.to_str().expect("a path is text"), "--namespace", NAMESPACE];
    arguments.extend(files.iter().map(String::as_str));
    let manifests = helm(&arguments).ok();
    let unknown = ["monitoring.coreos.com", "cert-manager.io"];
    let objects = manifests.split("---\n").filter(|manifest| unknown.iter().all(|group| !manifest.contains(group)));
    let known = objects.collect::<Vec<_>>().join("---\n");
    let applied = kubectl.run_with(&["apply", "--dry-run=server", "-f", "-"], &known);
    assert_eq!((applied.status, applied.stderr.as_str()), (Some(0), ""), "{name}: {values:?}");
    manifests
}

#[test]
fn the_values_of_other_pages_render() {
    let (_server, kubectl) = cluster();
    let [paths] = blocks_of("configuration.md", "yaml", "paths:\n").try_into().expect("one block");
    let manifests = takes(&kubectl, ENVOY, ENVOY, &paths);
    for route in
        ["\"push /mimir/api/v1/push\"", "\"pass /mimir/prometheus\"", "\"refuse /mimir/prometheus/api/v1/admin\""]
    {
        assert!(manifests.contains(&format!("- name: {route}\n")), "{route}: {manifests}");
    }
    for (name, rendered) in
        [(MIMIR_RLS, "--default-tenant=anonymous"), (ENVOY, "address: mimir-gateway.mimir.svc.cluster.local")]
    {
        let blocks = blocks_of("mimir-gateway.md", "yaml", &format!("# {name}.yaml\n"));
        let [values] = blocks.try_into().expect("one block");
        assert!(takes(&kubectl, name, name, &values).contains(rendered), "{values}");
    }
}

#[test]
fn argo_cd_and_flux_install_complete_values_files() {
    let (_server, kubectl) = cluster();
    for (start, key, release_key) in [
        ("apiVersion: argoproj.io/v1alpha1\n", "valuesObject", "releaseName"),
        ("apiVersion: helm.toolkit.fluxcd.io/v2\n", "values", "releaseName"),
    ] {
        let objects: Vec<String> = blocks(start)
            .iter()
            .flat_map(|block| block.split("---\n").map(str::to_owned).collect::<Vec<_>>())
            .collect();
        assert_eq!(objects.len(), 3, "{start}");
        for (object, name) in objects.iter().zip([OVERRIDES_SYNC, MIMIR_RLS, "envoy"]) {
            assert!(object.contains(&format!("charts/{name}\n")), "{object}");
            let named = object.lines().find_map(|line| line.trim().strip_prefix(&format!("{release_key}: ")));
            let manifests = takes(&kubectl, named.expect("a release has a name"), name, &below(object, key));
            assert!(manifests.contains("image: \"HOST/OWNER/"), "{manifests}");
            assert!(manifests.contains("kind: ServiceMonitor"), "monitors are forced: {manifests}");
            assert!(manifests.contains("kubernetes.io/metadata.name: monitoring"), "{manifests}");
        }
    }
}

#[test]
fn the_pages_values_files_render() {
    let (_server, kubectl) = cluster();
    for (file, release, name) in FILES {
        let [values]: [String; 1] = blocks(file).try_into().expect("one file of the name");
        drop(takes(&kubectl, release, name, &values));
    }
    for start in ["podSecurityContext:\n", "tls:\n", "listeners:\n"] {
        let [values]: [String; 1] = blocks(start).try_into().expect("one such block");
        for name in CHARTS {
            drop(takes(&kubectl, name, name, &values));
        }
    }
    let [values]: [String; 1] = blocks("sidecar:\n").try_into().expect("one such block");
    let manifests = takes(&kubectl, "mimir-envoy", "envoy", &values);
    assert!(manifests.contains("--grpc-listen=unix:/run/mimir-rls/grpc.sock\n"), "{manifests}");
}

#[test]
fn the_mtls_page_has_a_secret_for_each_chart() {
    let (_server, kubectl) = cluster();
    let folder = tempfile::tempdir().expect("a folder can be made");
    let [secrets]: [String; 1] = blocks_of("mtls.md", "sh", "for name").try_into().expect("one block makes Secrets");
    for (_, release, _) in FILES {
        for ending in ["crt", "key"] {
            fs::write(folder.path().join(format!("{release}.{ending}")), ending).expect("a file can be written");
        }
    }
    fs::write(folder.path().join("ca.crt"), "ca").expect("a file can be written");
    drop(kubectl.shell(&format!("cd {}\n{secrets}", folder.path().display())).ok());
    let [common]: [String; 1] = blocks_of("mtls.md", "yaml", "# common.yaml\n").try_into().expect("one such file");
    for (file, release, name) in FILES {
        let [values]: [String; 1] = blocks(file).try_into().expect("one file of the name");
        let manifests = takes_files(&kubectl, release, name, &[&values, &common]);
        let secret = format!("secretName: {release}-grpc-tls\n");
        assert!(manifests.matches(&secret).count() > 1, "a pod and cert-manager have the Secret: {manifests}");
        assert!(manifests.contains("imagePullSecrets:") && !manifests.contains("runAsUser:"), "{manifests}");
        let keys = kubectl.ok(&[
            "get",
            "secret",
            &format!("{release}-grpc-tls"),
            "--namespace",
            NAMESPACE,
            "--output",
            "yaml",
        ]);
        assert!(["tls.crt", "tls.key", "ca.crt"].iter().all(|key| keys.contains(&format!("{key}: "))), "{keys}");
    }
}
