//! Every block of commands, in order, and what the cluster and NGINX are like after the ones that change something.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;

use e2e::{Behind, Nginx, Sink, push_request, repository, samples, send};

use super::desk::Desk;
use super::runbook;

/// The blocks of commands of a runbook.
fn blocks(text: &str) -> Vec<String> {
    text.split("```sh\n").skip(1).filter_map(|rest| rest.split_once("```").map(|(block, _)| block.to_owned())).collect()
}

/// A desk where mimir and Envoy are two sinks: what is asked here is whom NGINX sends a push to.
fn desk() -> (Desk, Sink, Sink) {
    let (mimir, envoy) = (Sink::start(), Sink::start());
    let behind = Behind { mimir: mimir.port(), queries: mimir.port(), envoy: envoy.port() };
    let desk = Desk::new(Nginx::start("direct.conf", behind));
    desk.run(
        "kubectl create configmap mimir-runtime --namespace mimir --from-literal=runtime.yaml='overrides: { team-a: { ingestion_rate: 5 } }'",
    );
    (desk, mimir, envoy)
}

/// The Envoy configuration in the cluster.
fn bootstrap(desk: &Desk) -> String {
    desk.run(
        "kubectl get configmap mimir-envoy --namespace mimir-edge-enforcement --output jsonpath='{.data.envoy\\.yaml}'",
    )
}

#[track_caller]
fn envoy_has(desk: &Desk, block: &str, lines: &[&str]) {
    let bootstrap = bootstrap(desk);
    for line in lines {
        assert!(bootstrap.contains(line), "after\n{block}Envoy's configuration has no {line}");
    }
}

fn nginx_conf(desk: &Desk) -> String {
    fs::read_to_string(desk.nginx.folder().join("nginx.conf")).expect("NGINX has a configuration")
}

/// The number of replicas that a Deployment is to have.
fn replicas(desk: &Desk, name: &str) -> String {
    desk.run(&format!("kubectl get {name} --namespace mimir-edge-enforcement --output jsonpath='{{.spec.replicas}}'"))
}

/// A push through NGINX arrives at the one, and not at the other.
#[track_caller]
fn a_push_reaches(desk: &Desk, place: &Sink, other: &Sink) {
    let before = (place.arrivals().len() + 1, other.arrivals().len());
    assert_eq!(send(desk.nginx.port(), &push_request("team-a", &samples(1).bytes)).status, 200);
    assert_eq!((place.arrivals().len(), other.arrivals().len()), before);
}

/// Saves the values files of docs/kubernetes.md where the commands run.
fn save_values(desk: &Desk) {
    let page = fs::read_to_string(repository().join("docs/kubernetes.md")).expect("the page");
    let files: Vec<&str> = page.split("```yaml\n# ").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(files.len(), 3, "the page's values files");
    for file in files {
        let (name, values) = file.split_once('\n').expect("a file has a name");
        desk.run(&format!("cat > {name} <<'END'\n{values}END\n"));
    }
}

#[test]
fn the_readmes_lines_install_what_works_together() {
    let (desk, _mimir, _envoy) = desk();
    let readme = fs::read_to_string(repository().join("README.md")).expect("the README");
    let installs: Vec<String> = blocks(&readme).into_iter().filter(|block| block.contains("helm install")).collect();
    assert_eq!(installs.len(), 1, "the README's installation");
    save_values(&desk);
    desk.run(&installs.concat());
    let deployments = |path: &str| {
        desk.run(&format!(
            "kubectl get deployments --namespace mimir-edge-enforcement --output jsonpath='{{.items[*].{path}}}'"
        ))
    };
    assert_eq!(deployments("metadata.name"), "mimir-envoy mimir-rls overrides-sync");
    let images = ["mimir-envoy", "mimir-rls", "overrides-sync"].map(|name| format!("HOST/OWNER/{name}:v0.1.0"));
    assert_eq!(deployments("spec.template.spec.containers[0].image"), images.join(" "));
    let arguments = deployments("spec.template.spec.containers[0].args");
    assert_eq!(arguments.matches("http://mimir-distributor.mimir:8080").count(), 3, "{arguments}");
    assert!(arguments.contains("mimir/mimir-distributor-headless"), "{arguments}");
    let asks = "address: mimir-rls.mimir-edge-enforcement.svc.cluster.local, port_value: 8081 ";
    envoy_has(&desk, "the installation", &[asks, "cluster: mimir\n"]);
}

#[test]
fn each_command_of_the_rollout_does_what_it_is_there_for() {
    let (desk, mimir, envoy) = desk();
    let text = runbook("rollout.md");
    let blocks = blocks(&text);
    assert!(blocks.len() >= 10, "{}", blocks.len());
    assert_eq!(send(desk.nginx.port(), &push_request("team-a", &vec![b'x'; 3 << 20])).status, 200);
    for block in &blocks {
        let printed = desk.run(block);
        let changes = |what: &str| block.contains(what);
        if changes("--set mode=mirror") {
            envoy_has(
                &desk,
                block,
                &["cluster: local_sink", "failure_mode_allow: true", "max_request_bytes: 104857600"],
            );
            assert!(!bootstrap(&desk).contains("cluster: mimir\n"), "a mirror has a way to Mimir");
        }
        if changes("--set mode=enforce") {
            envoy_has(&desk, block, &["cluster: mimir\n", "failure_mode_allow: true", "max_request_bytes: 104857600"]);
        }
        if changes("extAuthz.failureModeAllow=false") {
            let closed = ["failure_mode_allow: false", "failure_mode_deny: true", "max_request_bytes: 16777216\n"];
            envoy_has(&desk, block, &closed);
        }
        if changes("5% mimir_envoy") {
            assert!(nginx_conf(&desk).contains("{ 5% mimir_envoy;"), "the share is not 5 %");
        }
        if changes("print pushes[way]") {
            let straight = format!("127.0.0.1:{} 200", mimir.port());
            assert!(printed.lines().any(|line| line == format!("1 {straight}")), "{printed}");
        }
        if changes("print most") {
            let most: usize = printed.trim().parse().expect("a number is printed");
            assert!((3 << 20..4 << 20).contains(&most), "{most}");
        }
        if changes("edgeConfig.tenants.team-a.mode=shadow") {
            let edge = desk.run("kubectl get configmap --namespace mimir-edge-enforcement --output yaml");
            assert!(edge.contains("mode: shadow"), "{edge}");
        }
    }
    assert!(nginx_conf(&desk).contains("Step 3, full"), "{}", nginx_conf(&desk));
    // The HPA of the first install outlives every upgrade.
    let autoscalers =
        desk.run("kubectl get hpa --namespace mimir-edge-enforcement --output jsonpath='{.items[*].spec.maxReplicas}'");
    assert_eq!(autoscalers, "10 10");
    a_push_reaches(&desk, &envoy, &mimir);
    let patched = desk.run("kubectl get configmap mimir-runtime --namespace mimir --output yaml");
    assert!(patched.contains("tenant-1.samples_per_second: \"15000\""), "{patched}");
}

#[test]
fn each_command_of_the_rollback_does_what_it_is_there_for() {
    let (desk, mimir, envoy) = desk();
    desk.run("kubectl create namespace mimir-edge-enforcement");
    for (release, chart) in [("mimir-rls", "mimir-rls"), ("mimir-envoy", "envoy")] {
        desk.run(&format!(
            "helm install {release} charts/{chart} --namespace mimir-edge-enforcement --set replicaCount=2"
        ));
    }
    desk.nginx.switch_to("full-fail-closed.conf");
    a_push_reaches(&desk, &envoy, &mimir);

    let text = runbook("rollback-runbook.md");
    let before_canary = "cp ops/nginx/canary.conf /etc/nginx/nginx.conf";
    for block in blocks(&text) {
        if block.contains("1% mimir_envoy") {
            desk.run(before_canary);
            desk.run("sed -i 's/{ [0-9.]*% mimir_envoy;/{ 25% mimir_envoy;/' /etc/nginx/nginx.conf");
        }
        desk.run(&block);
        if block.contains("direct.conf") {
            a_push_reaches(&desk, &mimir, &envoy);
        }
        if block.contains("1% mimir_envoy") {
            assert!(nginx_conf(&desk).contains("{ 1% mimir_envoy;"), "the share is not 1 %");
        }
        if block.contains("edgeConfig.tenants.team-a") {
            let edge = desk
                .run("kubectl get configmap mimir-rls-edge-config --namespace mimir-edge-enforcement --output yaml");
            assert_eq!(edge.contains("mode: shadow"), block.contains("mode=shadow"), "after\n{block}{edge}");
        }
        if block.contains("--replicas=0") {
            assert_eq!(
                (replicas(&desk, "deployment/mimir-envoy"), replicas(&desk, "deployment/mimir-rls")),
                ("0".into(), "0".into())
            );
        }
        if block.contains("--replicas=2") {
            assert_eq!(
                (replicas(&desk, "deployment/mimir-envoy"), replicas(&desk, "deployment/mimir-rls")),
                ("2".into(), "2".into())
            );
        }
    }
    let direct = text.find("direct.conf /etc").expect("the way back to Mimir");
    let scaled = text.find("--replicas=0").expect("the scaling down");
    assert!(direct < scaled, "something is scaled down before pushes go straight to Mimir");
}

#[test]
fn the_emergency_rollback_is_done_only_when_no_old_worker_has_a_push() {
    let (desk, _mimir, _envoy) = desk();
    desk.nginx.switch_to("full-fail-closed.conf");
    let mut client = TcpStream::connect(("127.0.0.1", desk.nginx.port())).expect("NGINX listens");
    let head = "POST /api/v1/push HTTP/1.1\r\nHost: mimir\r\nX-Scope-OrgID: team-a\r\nConnection: close\r\nContent-Length: 2\r\n\r\n";
    client.write_all(format!("{head}x").as_bytes()).expect("NGINX reads");

    let text = runbook("rollback-runbook.md");
    let before_scaling = blocks(&text).into_iter().take_while(|block| !block.contains("--replicas=0"));
    // Typed at once: whoever is in a hurry does not look when NGINX has taken the configuration over.
    let typed: String = before_scaling.collect();
    thread::scope(|scope| {
        let typing = desk.nginx.reloaded_by(|| scope.spawn(|| desk.type_in(&typed)));
        assert!(!typing.is_finished(), "the edge may be scaled down while an old worker sends a push there:\n{typed}");
        client.write_all(b"x").expect("NGINX reads");
        typing.join().expect("the commands succeed");
    });
    desk.nginx.wait_for_old_workers();
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("NGINX answers");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
