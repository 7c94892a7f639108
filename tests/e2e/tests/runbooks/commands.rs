//! Every block of commands, in order, and the state of the cluster and NGINX after those that change something.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;

use e2e::{Nginx, ProxyBackends, Upstream, push_request, repository, samples, send};

use super::operator_shell::OperatorShell;
use super::runbook;

/// The blocks of commands of a runbook.
fn blocks(text: &str) -> Vec<String> {
    text.split("```sh\n").skip(1).filter_map(|rest| rest.split_once("```").map(|(block, _)| block.to_owned())).collect()
}

/// An operator's shell with two upstreams in place of Mimir and Envoy: these tests look at where NGINX sends a push.
fn start() -> (OperatorShell, Upstream, Upstream) {
    let (mimir, envoy) = (Upstream::start(), Upstream::start());
    let backends = ProxyBackends::new(mimir.port(), envoy.port());
    let shell = OperatorShell::new(Nginx::start("direct.conf", backends));
    shell.run(
        "kubectl create configmap mimir-runtime --namespace mimir --from-literal=runtime.yaml='overrides: { team-a: { ingestion_rate: 5 } }'",
    );
    (shell, mimir, envoy)
}

/// The Envoy configuration in the cluster.
fn bootstrap(shell: &OperatorShell) -> String {
    shell.run(
        "kubectl get configmap mimir-envoy --namespace mimir-edge-enforcement --output jsonpath='{.data.envoy\\.yaml}'",
    )
}

#[track_caller]
fn envoy_has(shell: &OperatorShell, block: &str, lines: &[&str]) {
    let bootstrap = bootstrap(shell);
    for line in lines {
        assert!(bootstrap.contains(line), "after\n{block}Envoy's configuration has no {line}");
    }
}

fn nginx_conf(shell: &OperatorShell) -> String {
    fs::read_to_string(shell.nginx.folder().join("nginx.conf")).expect("NGINX has a configuration")
}

/// The number of replicas that a Deployment is to have.
fn replicas(shell: &OperatorShell, name: &str) -> String {
    shell.run(&format!("kubectl get {name} --namespace mimir-edge-enforcement --output jsonpath='{{.spec.replicas}}'"))
}

/// A push through NGINX arrives at the one, and not at the other.
#[track_caller]
fn a_push_reaches(shell: &OperatorShell, place: &Upstream, other: &Upstream) {
    let before = (place.requests().len() + 1, other.requests().len());
    assert_eq!(send(shell.nginx.port(), &push_request("team-a", &samples(1).bytes)).status, 200);
    assert_eq!((place.requests().len(), other.requests().len()), before);
}

/// Saves the values files of docs/kubernetes.md where the commands run.
fn save_values(shell: &OperatorShell) {
    let page = fs::read_to_string(repository().join("docs/kubernetes.md")).expect("the page");
    let files: Vec<&str> = page.split("```yaml\n# ").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(files.len(), 3, "the page's values files");
    for file in files {
        let (name, values) = file.split_once('\n').expect("a file has a name");
        shell.run(&format!("cat > {name} <<'END'\n{values}END\n"));
    }
}

#[test]
fn the_readmes_installation_works_together() {
    let (shell, _mimir, _envoy) = start();
    let readme = fs::read_to_string(repository().join("README.md")).expect("the README");
    let installs: Vec<String> = blocks(&readme).into_iter().filter(|block| block.contains("helm install")).collect();
    assert_eq!(installs.len(), 1, "the README's installation");
    save_values(&shell);
    shell.run(&installs.concat());
    let deployments = |path: &str| {
        shell.run(&format!(
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
    envoy_has(&shell, "the installation", &[asks, "cluster: mimir\n"]);
}

#[test]
fn each_rollout_command_does_what_the_runbook_says() {
    let (shell, mimir, envoy) = start();
    let text = runbook("rollout.md");
    let blocks = blocks(&text);
    assert!(blocks.len() >= 10, "{}", blocks.len());
    assert_eq!(send(shell.nginx.port(), &push_request("team-a", &vec![b'x'; 3 << 20])).status, 200);
    for block in &blocks {
        let printed = shell.run(block);
        let changes = |what: &str| block.contains(what);
        if changes("--set mode=mirror") {
            let sink = ["cluster: local_sink", "xff_num_trusted_hops: 1\n"];
            envoy_has(&shell, block, &sink);
            envoy_has(&shell, block, &["failure_mode_allow: true", "max_request_bytes: 104857600"]);
            assert!(!bootstrap(&shell).contains("cluster: mimir\n"), "a mirror has a way to Mimir");
        }
        if changes("--set mode=enforce") {
            envoy_has(&shell, block, &["cluster: mimir\n", "failure_mode_allow: true", "max_request_bytes: 104857600"]);
        }
        if changes("extAuthz.failureModeAllow=false") {
            let closed = ["failure_mode_allow: false", "failure_mode_deny: true", "max_request_bytes: 16777216\n"];
            envoy_has(&shell, block, &closed);
        }
        if changes("5% mimir_envoy") {
            assert!(nginx_conf(&shell).contains("{ 5% mimir_envoy;"), "the share is not 5 %");
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
            let edge = shell.run("kubectl get configmap --namespace mimir-edge-enforcement --output yaml");
            assert!(edge.contains("mode: shadow"), "{edge}");
        }
    }
    assert!(nginx_conf(&shell).contains("Step 3, full"), "{}", nginx_conf(&shell));
    // The HPA of the first install outlives every upgrade.
    let autoscalers = shell
        .run("kubectl get hpa --namespace mimir-edge-enforcement --output jsonpath='{.items[*].spec.maxReplicas}'");
    assert_eq!(autoscalers, "10 10");
    a_push_reaches(&shell, &envoy, &mimir);
    let patched = shell.run("kubectl get configmap mimir-runtime --namespace mimir --output yaml");
    assert!(patched.contains("tenant-1.samples_per_second: \"15000\""), "{patched}");
}

#[test]
fn each_rollback_command_does_what_the_runbook_says() {
    let (shell, mimir, envoy) = start();
    shell.run("kubectl create namespace mimir-edge-enforcement");
    for (release, chart) in [("mimir-rls", "mimir-rls"), ("mimir-envoy", "envoy")] {
        shell.run(&format!(
            "helm install {release} charts/{chart} --namespace mimir-edge-enforcement --set replicaCount=2"
        ));
    }
    shell.nginx.switch_to("full-fail-closed.conf");
    a_push_reaches(&shell, &envoy, &mimir);

    let text = runbook("rollback-runbook.md");
    let before_canary = "cp ops/nginx/canary.conf /etc/nginx/nginx.conf";
    for block in blocks(&text) {
        if block.contains("1% mimir_envoy") {
            shell.run(before_canary);
            shell.run("sed -i 's/{ [0-9.]*% mimir_envoy;/{ 25% mimir_envoy;/' /etc/nginx/nginx.conf");
        }
        shell.run(&block);
        if block.contains("direct.conf") {
            a_push_reaches(&shell, &mimir, &envoy);
        }
        if block.contains("1% mimir_envoy") {
            assert!(nginx_conf(&shell).contains("{ 1% mimir_envoy;"), "the share is not 1 %");
        }
        if block.contains("edgeConfig.tenants.team-a") {
            let edge = shell
                .run("kubectl get configmap mimir-rls-edge-config --namespace mimir-edge-enforcement --output yaml");
            assert_eq!(edge.contains("mode: shadow"), block.contains("mode=shadow"), "after\n{block}{edge}");
        }
        if block.contains("--replicas=0") {
            assert_eq!(
                (replicas(&shell, "deployment/mimir-envoy"), replicas(&shell, "deployment/mimir-rls")),
                ("0".into(), "0".into())
            );
        }
        if block.contains("--replicas=2") {
            assert_eq!(
                (replicas(&shell, "deployment/mimir-envoy"), replicas(&shell, "deployment/mimir-rls")),
                ("2".into(), "2".into())
            );
        }
    }
    let direct = text.find("direct.conf /etc").expect("the way back to Mimir");
    let scaled = text.find("--replicas=0").expect("the scaling down");
    assert!(direct < scaled, "something is scaled down before pushes go straight to Mimir");
}

#[test]
fn kubectl_finds_what_the_alerts_entries_ask_for() {
    let (shell, _mimir, _envoy) = start();
    let readme = fs::read_to_string(repository().join("README.md")).expect("the README");
    save_values(&shell);
    shell.run(&blocks(&readme).into_iter().filter(|block| block.contains("helm install")).collect::<String>());
    // No kubelet runs pods here, and nothing knows cert-manager's objects.
    let elsewhere = ["port-forward", "logs deployment/", "describe certificate", "get secret"];
    let page = blocks(&runbook("alerts.md")).concat();
    let commands: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("kubectl ") && !elsewhere.iter().any(|part| line.contains(part)))
        .collect();
    assert!(commands.len() >= 10, "{commands:?}");
    for command in commands {
        shell.run(command);
    }
}

#[test]
fn the_emergency_rollback_waits_for_pushes_of_old_workers() {
    let (shell, _mimir, _envoy) = start();
    shell.nginx.switch_to("full-fail-closed.conf");
    let mut client = TcpStream::connect(("127.0.0.1", shell.nginx.port())).expect("NGINX listens");
    let head = "POST /api/v1/push HTTP/1.1\r\nHost: mimir\r\nX-Scope-OrgID: team-a\r\nConnection: close\r\nContent-Length: 2\r\n\r\n";
    client.write_all(format!("{head}x").as_bytes()).expect("NGINX reads");

    let text = runbook("rollback-runbook.md");
    let before_scaling = blocks(&text).into_iter().take_while(|block| !block.contains("--replicas=0"));
    // Typed at once: an operator in a hurry does not wait until NGINX has reloaded.
    let typed: String = before_scaling.collect();
    thread::scope(|scope| {
        let typing = shell.nginx.reloaded_by(|| scope.spawn(|| shell.type_in(&typed)));
        assert!(!typing.is_finished(), "the edge may be scaled down while an old worker sends a push there:\n{typed}");
        client.write_all(b"x").expect("NGINX reads");
        typing.join().expect("the commands succeed");
    });
    shell.nginx.wait_for_old_workers();
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("NGINX answers");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
